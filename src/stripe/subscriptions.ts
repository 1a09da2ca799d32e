import type Stripe from 'stripe';
import { type Connection } from './connection.js';
import { findInPages, matches, pagesOf } from './paging.js';
import {
  type CustomerId,
  type Keyed,
  type Lookup,
  type Metadata,
  type PaymentMethodId,
  type Price,
  type PriceId,
  type ProductId,
  type Subscription,
  type SubscriptionId,
  type SubscriptionItemId,
} from './types.js';

export interface CreatePrice {
  /** What is sold: a product that exists, or the name of one to be made along with the price. An invoice's line says the name. */
  readonly product: { readonly id: ProductId } | { readonly name: string };
  /** Minor units, per piece and interval. */
  readonly unitAmount: number;
  readonly currency: string;
  readonly interval: 'day' | 'week' | 'month' | 'year';
  /** Every how many intervals; 1 when left out. */
  readonly intervalCount?: number;
  readonly metadata: Metadata;
}

export interface CreateSubscription {
  readonly customerId: CustomerId;
  readonly priceId: PriceId;
  readonly quantity: number;
  /** Of each invoice's total: 0–100 with at most two decimals; left out when nothing is due. Fixed fees go on each draft invoice. */
  readonly applicationFeePercent?: number;
  /** Whole days before the first payment. */
  readonly trialDays?: number;
  /** When the first payment is due, if not at once: a contract's later start. Instead of `trialDays`. */
  readonly trialEnd?: Date;
  /** What is charged from the first payment on. */
  readonly paymentMethodId?: PaymentMethodId;
  /** Charges the first invoice at once, without its payer; otherwise it waits to be confirmed in the browser. */
  readonly chargeNow?: boolean;
  /** When it ends by itself: a contract's end. */
  readonly cancelAt?: Date;
  readonly description?: string;
  readonly metadata: Metadata;
}

/** What changes; the rest stays. */
export interface UpdateSubscription {
  readonly itemId: SubscriptionItemId;
  readonly quantity?: number;
  readonly priceId?: PriceId;
  /** What is written on the subscription along with the change, so that it can be told whether it was made. */
  readonly metadata?: Metadata;
  /** Whether the time left of the period is charged or credited. */
  readonly prorate: boolean;
  /** The instant to prorate by: the one that was previewed, so that the sum is the one that was shown. */
  readonly prorationDate?: Date;
}

/** What a subscription's answer shows: the secret that the browser confirms the first payment, or the saved method, with. */
const expand = ['latest_invoice.confirmation_secret', 'pending_setup_intent'];

const expected = { object: 'subscription', prefix: 'sub_' };

/** A price. It cannot be changed later: another amount is another price. */
export function createPrice(via: Connection, input: CreatePrice, keyed: Keyed): Promise<Price> {
  const product = 'id' in input.product ? input.product.id : undefined;
  const params: Stripe.PriceCreateParams = {
    currency: input.currency,
    unit_amount: input.unitAmount,
    recurring: { interval: input.interval, interval_count: input.intervalCount },
    product,
    product_data: 'name' in input.product ? { name: input.product.name } : undefined,
    metadata: input.metadata,
  };
  const echo = { currency: input.currency, unit_amount: input.unitAmount, product };
  return via.change({ object: 'price', echo }, keyed, (options) => via.sdk.prices.create(params, options));
}

/**
 * Starts to bill a customer. Without a trial the first invoice stays open for 23 hours, and the subscription `incomplete`, until it is
 * paid: by a saved method, or in the browser. https://docs.stripe.com/billing/subscriptions/overview
 */
export function createSubscription(via: Connection, input: CreateSubscription, keyed: Keyed): Promise<Subscription> {
  const params: Stripe.SubscriptionCreateParams = {
    customer: input.customerId,
    items: [{ price: input.priceId, quantity: input.quantity }],
    application_fee_percent: input.applicationFeePercent,
    trial_period_days: input.trialDays,
    trial_end: secondsOf(input.trialEnd),
    default_payment_method: input.paymentMethodId,
    cancel_at: secondsOf(input.cancelAt),
    description: input.description,
    payment_behavior: input.chargeNow ? 'allow_incomplete' : 'default_incomplete',
    off_session: input.chargeNow || undefined,
    payment_settings: { save_default_payment_method: 'on_subscription' },
    metadata: input.metadata,
    expand,
  };
  const echo = {
    customer: input.customerId,
    application_fee_percent: input.applicationFeePercent,
    metadata: input.metadata,
  };
  return via.change({ ...expected, echo }, keyed, (options) => via.sdk.subscriptions.create(params, options));
}

/** The subscription as it is now. */
export function retrieveSubscription(via: Connection, id: SubscriptionId): Promise<Subscription> {
  return via.read({ ...expected, echo: { id } }, (options) => via.sdk.subscriptions.retrieve(id, { expand }, options));
}

/** Every subscription that was made since, newest first, whatever its status. */
export function listSubscriptions(via: Connection, since: Date): AsyncGenerator<Subscription> {
  return pagesOf<Subscription>(via, since, (page, options) =>
    via.sdk.subscriptions.list({ ...page, status: 'all' }, options),
  );
}

/** The subscription that carries this metadata, whatever its status; null when it is certain that there is none made since. */
export function findSubscription(
  via: Connection,
  { metadata, since, customerId }: Lookup & { readonly customerId?: CustomerId },
): Promise<Subscription | null> {
  const subscriptions = pagesOf<Subscription>(via, since, (page, options) =>
    // Without a status the list leaves out the canceled ones.
    via.sdk.subscriptions.list({ ...page, customer: customerId, status: 'all' }, options),
  );
  return findInPages(subscriptions, (subscription) => matches(subscription.metadata, metadata));
}

/** Other seats or another price. */
export function updateSubscription(
  via: Connection,
  id: SubscriptionId,
  input: UpdateSubscription,
  keyed: Keyed,
): Promise<Subscription> {
  const params: Stripe.SubscriptionUpdateParams = {
    items: [itemOf(input)],
    proration_behavior: input.prorate ? 'create_prorations' : 'none',
    proration_date: secondsOf(input.prorationDate),
    metadata: input.metadata,
    expand,
  };
  return via.change({ ...expected, echo: { id } }, keyed, (options) =>
    via.sdk.subscriptions.update(id, params, options),
  );
}

/** When a subscription ends by itself, or what is to be taken back of that. */
export type CancellationDate = 'period_end' | 'not_period_end' | Date | 'no_date';

/** Lets it run out at the end of the paid period or at an instant, or takes the one or the other back. */
export function scheduleCancellation(
  via: Connection,
  id: SubscriptionId,
  at: CancellationDate,
  { metadata, ...keyed }: Keyed & { readonly metadata?: Metadata },
): Promise<Subscription> {
  return via.change({ ...expected, echo: { id } }, keyed, (options) =>
    via.sdk.subscriptions.update(id, { ...cancellationOf(at), metadata }, options),
  );
}

/** What becomes of the invoices of a subscription whose collection is paused. */
export interface CollectionPause {
  readonly behavior: 'keep_as_draft' | 'mark_uncollectible' | 'void';
  /** When it is collected again by itself; only by hand when left out. */
  readonly resumesAt?: Date;
}

/** Goes on making invoices, but does not collect them; null collects again. https://docs.stripe.com/billing/subscriptions/pause-payment */
export function pauseCollection(
  via: Connection,
  id: SubscriptionId,
  pause: CollectionPause | null,
  { metadata, ...keyed }: Keyed & { readonly metadata?: Metadata },
): Promise<Subscription> {
  // An empty string is how Stripe is told to forget a value.
  const wanted = pause ? { behavior: pause.behavior, resumes_at: secondsOf(pause.resumesAt) } : ('' as const);
  return via.change({ ...expected, echo: { id } }, keyed, (options) =>
    via.sdk.subscriptions.update(id, { pause_collection: wanted, metadata }, options),
  );
}

/** Ends it now, for good. Stripe keeps no key for this call: once done, doing it again is NOT_FOUND. */
export function cancelSubscription(
  via: Connection,
  id: SubscriptionId,
  { prorate }: { readonly prorate: boolean },
  keyed: Keyed,
): Promise<Subscription> {
  return via.change({ ...expected, echo: { id, status: 'canceled' } }, keyed, (options) =>
    via.sdk.subscriptions.cancel(id, { prorate, invoice_now: prorate }, options),
  );
}

/** Stops billing until it is resumed: status `paused`, no invoices, no new periods. */
export function pauseSubscription(via: Connection, id: SubscriptionId, keyed: Keyed): Promise<Subscription> {
  return via.change({ ...expected, echo: { id, status: 'paused' } }, keyed, (options) =>
    via.sdk.subscriptions.pause(id, { type: 'subscription' }, options),
  );
}

/** Goes on billing after a pause. Where an invoice is due at once, it stays `paused` until that is paid. */
export function resumeSubscription(via: Connection, id: SubscriptionId, keyed: Keyed): Promise<Subscription> {
  return via.change({ ...expected, echo: { id } }, keyed, (options) =>
    via.sdk.subscriptions.resume(id, { expand }, options),
  );
}

function cancellationOf(at: CancellationDate): Stripe.SubscriptionUpdateParams {
  if (at === 'period_end' || at === 'not_period_end') return { cancel_at_period_end: at === 'period_end' };
  // An empty string is how Stripe is told to forget a value.
  return { cancel_at: at === 'no_date' ? '' : secondsOf(at) };
}

/** The one item that a subscription of ours has, as an update names it. */
export function itemOf({ itemId, quantity, priceId }: UpdateSubscription) {
  return { id: itemId, quantity, price: priceId };
}

/** Stripe's seconds. */
export function secondsOf(instant: Date | undefined): number | undefined {
  return instant && Math.floor(instant.getTime() / 1_000);
}
