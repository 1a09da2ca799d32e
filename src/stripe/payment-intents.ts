import type Stripe from 'stripe';
import { type Connection } from './connection.js';
import { findInPages, matches, pagesOf } from './paging.js';
import {
  type CustomerId,
  type Keyed,
  type Lookup,
  type Metadata,
  type PaymentIntent,
  type PaymentIntentId,
  type PaymentMethodId,
} from './types.js';

export interface CreatePaymentIntent {
  /** Minor units. */
  readonly amount: number;
  /** Lower case. */
  readonly currency: string;
  readonly customerId?: CustomerId;
  /** Minor units, above 0 and below the amount; left out when nothing is due. Never zero: Stripe refuses it. */
  readonly applicationFee?: number;
  readonly paymentMethodId?: PaymentMethodId;
  /** Tries to take the money now, with `paymentMethodId`. Otherwise the browser confirms, with the intent's `client_secret`. */
  readonly confirm?: boolean;
  /** The payer is not there to answer questions: what would need them is declined instead. Only with `confirm`. */
  readonly offSession?: boolean;
  /** Keeps the method on the customer for later payments, with or without the payer. */
  readonly saveMethodFor?: 'on_session' | 'off_session';
  /** Only reserves the money; {@link capturePaymentIntent} takes it. */
  readonly captureLater?: boolean;
  /** Where a bank sends the payer back to, when `confirm` leads there. */
  readonly returnUrl?: string;
  /** Shown to the tenant in Stripe's dashboard. */
  readonly description?: string;
  readonly metadata: Metadata;
}

export interface ConfirmPaymentIntent {
  readonly paymentMethodId?: PaymentMethodId;
  readonly offSession?: boolean;
  readonly returnUrl?: string;
}

export interface CapturePaymentIntent {
  /** Minor units, at most what was reserved; all of it when left out. The rest is released. */
  readonly amount?: number;
  /** The fee for what is captured; the one asked for at creation when left out. */
  readonly applicationFee?: number;
}

export type CancellationReason = 'abandoned' | 'duplicate' | 'fraudulent' | 'requested_by_customer';

/** What makes an intent's answer show which charge paid it and what Stripe booked for it. */
const withBooking = { expand: ['latest_charge.balance_transaction'] };

const expected = { object: 'payment_intent', prefix: 'pi_' };

/**
 * Asks for money on the tenant's account. Which methods the payer may use is the account's own setting.
 * @throws AppError CARD_DECLINED, with the intent that was made all the same; OUTCOME_UNKNOWN
 * https://docs.stripe.com/connect/direct-charges
 */
export function createPaymentIntent(via: Connection, input: CreatePaymentIntent, keyed: Keyed): Promise<PaymentIntent> {
  const params: Stripe.PaymentIntentCreateParams = {
    amount: input.amount,
    currency: input.currency,
    customer: input.customerId,
    application_fee_amount: input.applicationFee,
    payment_method: input.paymentMethodId,
    setup_future_usage: input.saveMethodFor,
    capture_method: input.captureLater ? 'manual' : undefined,
    description: input.description,
    metadata: input.metadata,
    ...(input.confirm && { confirm: true, ...confirmation(input) }),
    // Without somewhere to come back to, methods that lead away from the page cannot be used, and Stripe wants that said.
    ...(input.confirm &&
      !input.returnUrl && { automatic_payment_methods: { enabled: true, allow_redirects: 'never' as const } }),
    ...withBooking,
  };
  const echo = {
    amount: input.amount,
    currency: input.currency,
    customer: input.customerId ?? null,
    application_fee_amount: input.applicationFee ?? null,
    metadata: input.metadata,
  };
  return via.change({ ...expected, echo }, keyed, (options) => via.sdk.paymentIntents.create(params, options));
}

/** The intent as it is now, with its latest charge and that charge's booking. */
export function retrievePaymentIntent(via: Connection, id: PaymentIntentId): Promise<PaymentIntent> {
  return via.read({ ...expected, echo: { id } }, (options) =>
    via.sdk.paymentIntents.retrieve(id, withBooking, options),
  );
}

/** Tries to take the money, as for a retry without the payer. */
export function confirmPaymentIntent(
  via: Connection,
  id: PaymentIntentId,
  input: ConfirmPaymentIntent,
  keyed: Keyed,
): Promise<PaymentIntent> {
  const params = { payment_method: input.paymentMethodId, ...confirmation(input), ...withBooking };
  return via.change({ ...expected, echo: { id } }, keyed, (options) =>
    via.sdk.paymentIntents.confirm(id, params, options),
  );
}

/** Takes the money that was reserved. @throws AppError INVALID_STATE when none is */
export function capturePaymentIntent(
  via: Connection,
  id: PaymentIntentId,
  input: CapturePaymentIntent,
  keyed: Keyed,
): Promise<PaymentIntent> {
  const params = { amount_to_capture: input.amount, application_fee_amount: input.applicationFee, ...withBooking };
  const echo = { id, amount_received: input.amount };
  return via.change({ ...expected, echo }, keyed, (options) => via.sdk.paymentIntents.capture(id, params, options));
}

/** Gives the intent up, and releases what was reserved. @throws AppError INVALID_STATE once it is paid or under way */
export function cancelPaymentIntent(
  via: Connection,
  id: PaymentIntentId,
  input: { readonly reason?: CancellationReason },
  keyed: Keyed,
): Promise<PaymentIntent> {
  const params = { cancellation_reason: input.reason };
  return via.change({ ...expected, echo: { id, status: 'canceled' } }, keyed, (options) =>
    via.sdk.paymentIntents.cancel(id, params, options),
  );
}

/**
 * The intent that carries this metadata; null when it is certain that there is none among those made since. Reads the whole list, because
 * Stripe's search lags behind by a minute and more. A call that is still on its way is in no list: wait out its deadline first.
 */
export function findPaymentIntent(
  via: Connection,
  { metadata, since, customerId }: Lookup & { readonly customerId?: CustomerId },
): Promise<PaymentIntent | null> {
  const intents = pagesOf<PaymentIntent>(via, since, (page, options) =>
    via.sdk.paymentIntents.list(
      { ...page, customer: customerId, expand: ['data.latest_charge.balance_transaction'] },
      options,
    ),
  );
  return findInPages(intents, (intent) => matches(intent.metadata, metadata));
}

/** Every intent that was made since, newest first, each with its charge and its booking. */
export function listPaymentIntents(via: Connection, since: Date): AsyncGenerator<PaymentIntent> {
  return pagesOf<PaymentIntent>(via, since, (page, options) =>
    via.sdk.paymentIntents.list({ ...page, expand: ['data.latest_charge.balance_transaction'] }, options),
  );
}

function confirmation({ offSession, returnUrl }: { offSession?: boolean; returnUrl?: string }) {
  return { off_session: offSession ? true : undefined, return_url: returnUrl };
}
