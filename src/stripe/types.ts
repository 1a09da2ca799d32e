import type Stripe from 'stripe';

// The SDK's types under the names that the rest of the server uses. Nobody outside this folder imports the SDK.

export type Account = Stripe.Account;
export type AccountV2 = Stripe.V2.Core.Account;
export type Balance = Stripe.Balance;
export type BalanceTransaction = Stripe.BalanceTransaction;
export type Charge = Stripe.Charge;
export type Coupon = Stripe.Coupon;
export type Customer = Stripe.Customer;
export type Discount = Stripe.Discount;
export type Dispute = Stripe.Dispute;
export type Invoice = Stripe.Invoice;
export type InvoiceLineItem = Stripe.InvoiceLineItem;
export type Mandate = Stripe.Mandate;
export type PaymentIntent = Stripe.PaymentIntent;
export type PaymentMethod = Stripe.PaymentMethod;
export type Payout = Stripe.Payout;
export type Price = Stripe.Price;
export type Refund = Stripe.Refund;
export type SetupIntent = Stripe.SetupIntent;
export type Subscription = Stripe.Subscription;

/** A snapshot event, discriminated by `type`: `Extract<StripeEvent, { type: 'charge.updated' }>`. */
export type StripeEvent = Stripe.Event;

/**
 * A thin event as it is delivered: what changed, but not how it looks now. Plain data, so that it survives being stored.
 * https://docs.stripe.com/api/v2/core/events/event-notification
 */
export interface ThinNotification {
  readonly id: EventId;
  readonly object: 'v2.core.event';
  readonly type: Stripe.V2.Core.EventNotification['type'] | (string & Record<never, never>);
  /** RFC 3339, with milliseconds. */
  readonly created: string;
  readonly livemode: boolean;
  /** Whose object it is (`acct_…`); absent for the platform's own. */
  readonly context?: string | null;
  readonly related_object?: { readonly id: string; readonly type: string; readonly url: string } | null;
  readonly reason?: unknown;
  /** The id of the snapshot event that reports the same change. */
  readonly snapshot_event?: string | null;
}

export type AccountId = `acct_${string}`;
export type ChargeId = `ch_${string}` | `py_${string}`;
export type CustomerId = `cus_${string}`;
export type DiscountId = `di_${string}`;
export type DisputeId = `dp_${string}` | `du_${string}`;
export type EventId = `evt_${string}`;
export type FileId = `file_${string}`;
export type InvoiceId = `in_${string}`;
export type MandateId = `mandate_${string}`;
export type PaymentIntentId = `pi_${string}`;
export type PaymentMethodId = `pm_${string}` | `card_${string}` | `src_${string}` | `ba_${string}`;
export type PayoutId = `po_${string}`;
export type PriceId = `price_${string}` | `plan_${string}`;
export type ProductId = `prod_${string}`;
export type RefundId = `re_${string}` | `pyr_${string}`;
export type SetupIntentId = `seti_${string}`;
export type SubscriptionId = `sub_${string}`;
export type SubscriptionItemId = `si_${string}`;

/** Whether it has the shape of a connected account's id. Stripe alone knows whether there is one. */
export function isAccountId(value: unknown): value is AccountId {
  return typeof value === 'string' && /^acct_[A-Za-z0-9]+$/.test(value);
}

/** What we write on every object that we make at Stripe, and find it by again. Values of at most 500 characters. */
export type Metadata = Readonly<Record<string, string>>;

/**
 * What every call needs that changes something.
 * @property key Stripe's idempotency key, from {@link stripeKey}: the same for every try of one intent
 */
export interface Keyed {
  readonly key: string;
}

/** Where to look for an object whose answer was lost: by what we wrote on it, among those made since. */
export interface Lookup {
  /** Every pair must be on the object. */
  readonly metadata: Metadata;
  /** Our own time of the first try. Objects older than an hour before it are not looked at; the hour allows for clocks that differ. */
  readonly since: Date;
}

/** The id, whether Stripe sent the id alone or the whole object. */
export function idOf<Id extends string>(reference: string | { readonly id: string } | null | undefined): Id | null {
  if (reference === null || reference === undefined) return null;
  return (typeof reference === 'string' ? reference : reference.id) as Id;
}

/** The object, when it was expanded and not deleted. */
export function expanded<T extends { id: string }>(
  reference: string | T | { id: string; deleted: true } | null | undefined,
): T | null {
  if (!reference || typeof reference === 'string') return null;
  return 'deleted' in reference && reference.deleted === true ? null : (reference as T);
}

/**
 * The idempotency key of one call of one command. Stripe keeps it for at least 24 hours, per account.
 * @param commandId our command's UUID
 * @param purpose tells apart the calls of one command: `payment-intent`
 * @throws Error when it would be longer than Stripe's 255 characters
 * https://docs.stripe.com/api/idempotent_requests
 */
export function stripeKey(commandId: string, purpose: string): string {
  const key = `${commandId}:${purpose}`;
  if (key.length > 255) throw new Error(`The idempotency key has ${key.length} characters; Stripe takes 255.`);
  return key;
}
