import { stripeTime } from '../shared/clock.js';
import {
  expanded,
  idOf,
  type BalanceTransaction,
  type Charge,
  type ChargeId,
  type CustomerId,
  type Metadata,
  type PaymentIntent,
  type PaymentIntentId,
  type PaymentMethod,
  type PaymentMethodId,
} from './types.js';

export type { AccountReport } from './account-report.js';

// What Stripe says, in one shape, whether it came as the answer to a call or inside a webhook. Amounts are minor units.

const intentStatuses = [
  'requires_payment_method',
  'requires_confirmation',
  'requires_action',
  'processing',
  'requires_capture',
  'succeeded',
  'canceled',
] as const;

type IntentStatus = (typeof intentStatuses)[number];

/** Why the last try at paying failed. `message` is written for the payer. */
interface PaymentErrorReport {
  readonly code: string | null;
  /** The issuer's reason: `insufficient_funds`. https://docs.stripe.com/declines/codes */
  readonly declineCode: string | null;
  readonly message: string | null;
}

export interface IntentReport {
  readonly id: PaymentIntentId;
  readonly livemode: boolean;
  readonly status: IntentStatus;
  readonly amount: number;
  readonly amountReceived: number;
  readonly amountCapturable: number;
  readonly currency: string;
  /** What was asked for, not what was booked; null when none was. */
  readonly applicationFee: number | null;
  readonly customerId: CustomerId | null;
  /** What is to be charged, or was last tried. */
  readonly paymentMethodId: PaymentMethodId | null;
  readonly latestChargeId: ChargeId | null;
  /** The latest charge, when it was expanded; never in a webhook. */
  readonly charge: ChargeReport | null;
  readonly lastError: PaymentErrorReport | null;
  readonly metadata: Metadata;
  readonly created: Date;
  readonly canceledAt: Date | null;
  readonly cancellationReason: string | null;
}

export interface ChargeReport {
  readonly id: ChargeId;
  readonly livemode: boolean;
  readonly status: 'succeeded' | 'pending' | 'failed';
  readonly amount: number;
  readonly amountCaptured: number;
  /** Cumulative: never add it up from refunds. */
  readonly amountRefunded: number;
  readonly currency: string;
  readonly captured: boolean;
  readonly disputed: boolean;
  readonly paymentIntentId: PaymentIntentId | null;
  readonly customerId: CustomerId | null;
  readonly paymentMethodId: PaymentMethodId | null;
  /** `card`, `us_bank_account`, … as the charge was really made. */
  readonly methodType: string | null;
  readonly receiptUrl: string | null;
  readonly failure: PaymentErrorReport | null;
  readonly applicationFeeId: string | null;
  readonly balanceTransactionId: string | null;
  /** The booking, when it was expanded and exists already. */
  readonly balance: BalanceReport | null;
  readonly metadata: Metadata;
  readonly created: Date;
}

/** What Stripe booked. Always: `amount = stripeFee + applicationFee + net`, in `currency`. */
export interface BalanceReport {
  readonly id: string;
  readonly type: string;
  /** The currency the account settles in, which need not be the payment's. */
  readonly currency: string;
  /** Negative for refunds, payouts and the like. */
  readonly amount: number;
  /** All that Stripe keeps: its fee, passed-through fees and the taxes on them. */
  readonly stripeFee: number;
  readonly applicationFee: number;
  readonly net: number;
  /** From the payment's currency into this one; null when they are the same. */
  readonly exchangeRate: number | null;
  readonly sourceId: string | null;
  readonly created: Date;
  readonly availableOn: Date;
}

export interface PaymentMethodReport {
  readonly id: PaymentMethodId;
  readonly livemode: boolean;
  readonly type: string;
  readonly customerId: CustomerId | null;
  /** A card's brand or a bank's name. */
  readonly brand: string | null;
  readonly last4: string | null;
  readonly expMonth: number | null;
  readonly expYear: number | null;
  readonly created: Date;
}

/** @throws Error on a status that this version does not know: to treat it as any other would be a guess about money */
export function intentReport(intent: PaymentIntent): IntentReport {
  const charge = expanded(intent.latest_charge);
  return {
    id: intent.id as PaymentIntentId,
    livemode: intent.livemode,
    status: intentStatus(intent.status),
    amount: intent.amount,
    // Stripe leaves these out of no full object, but nested ones in errors have been seen without.
    amountReceived: intent.amount_received ?? 0,
    amountCapturable: intent.amount_capturable ?? 0,
    currency: intent.currency,
    applicationFee: intent.application_fee_amount ?? null,
    customerId: idOf(intent.customer),
    // A declined one is taken off the intent, and named by the error.
    paymentMethodId: idOf(intent.payment_method) ?? idOf(intent.last_payment_error?.payment_method),
    latestChargeId: idOf(intent.latest_charge),
    charge: charge && chargeReport(charge),
    lastError: errorReport(intent.last_payment_error),
    metadata: intent.metadata ?? {},
    created: stripeTime(intent.created),
    canceledAt: timeOrNull(intent.canceled_at),
    cancellationReason: intent.cancellation_reason ?? null,
  };
}

/** A charge as it is, with its booking where that was expanded. */
export function chargeReport(charge: Charge): ChargeReport {
  const balance = expanded(charge.balance_transaction);
  return {
    id: charge.id as ChargeId,
    livemode: charge.livemode,
    status: charge.status as ChargeReport['status'],
    amount: charge.amount,
    amountCaptured: charge.amount_captured,
    amountRefunded: charge.amount_refunded,
    currency: charge.currency,
    captured: charge.captured,
    disputed: charge.disputed,
    paymentIntentId: idOf(charge.payment_intent),
    customerId: idOf(charge.customer),
    paymentMethodId: charge.payment_method as PaymentMethodId | null,
    methodType: charge.payment_method_details?.type ?? null,
    receiptUrl: charge.receipt_url,
    failure: charge.failure_code
      ? {
          code: charge.failure_code,
          declineCode: charge.outcome?.reason ?? null,
          message: charge.failure_message,
        }
      : null,
    applicationFeeId: idOf(charge.application_fee),
    balanceTransactionId: idOf(charge.balance_transaction),
    balance: balance && balanceReport(balance),
    metadata: charge.metadata ?? {},
    created: stripeTime(charge.created),
  };
}

/**
 * What Stripe booked for a charge, refund or payout. Everything of the fee that is not the platform's counts as Stripe's, so that
 * the three parts always add up to the gross.
 * @throws Error when Stripe's own numbers do not add up: nothing may be posted from them
 */
export function balanceReport(booking: BalanceTransaction): BalanceReport {
  const ofType = (wanted: boolean) =>
    booking.fee_details
      .filter(({ type }) => (type === 'application_fee') === wanted)
      .reduce((sum, { amount }) => sum + amount, 0);
  const applicationFee = ofType(true);
  const stripeFee = ofType(false);
  if (applicationFee + stripeFee !== booking.fee || booking.amount - booking.fee !== booking.net)
    throw new Error(`The parts of balance transaction ${booking.id} do not add up.`);
  return {
    id: booking.id,
    type: booking.type,
    currency: booking.currency,
    amount: booking.amount,
    stripeFee,
    applicationFee,
    net: booking.net,
    exchangeRate: booking.exchange_rate,
    sourceId: idOf(booking.source),
    created: stripeTime(booking.created),
    availableOn: stripeTime(booking.available_on),
  };
}

/** A saved way to pay. Of every type, because each keeps what identifies it under the name of its type. */
export function paymentMethodReport(method: PaymentMethod): PaymentMethodReport {
  const details = ((method as unknown as Record<string, unknown>)[method.type] ?? {}) as {
    brand?: string | null;
    bank_name?: string | null;
    last4?: string | null;
    exp_month?: number | null;
    exp_year?: number | null;
  };
  return {
    id: method.id as PaymentMethodId,
    livemode: method.livemode,
    type: method.type,
    customerId: idOf(method.customer),
    brand: details.brand ?? details.bank_name ?? null,
    last4: details.last4 ?? null,
    expMonth: details.exp_month ?? null,
    expYear: details.exp_year ?? null,
    created: stripeTime(method.created),
  };
}

function intentStatus(status: string): IntentStatus {
  const known = intentStatuses.find((one) => one === status);
  if (!known) throw new Error(`Unknown status of a payment intent: ${status}`);
  return known;
}

function errorReport(error: PaymentIntent['last_payment_error'] | undefined): PaymentErrorReport | null {
  if (!error) return null;
  return {
    code: error.code ?? null,
    declineCode: error.decline_code ?? null,
    message: error.message ?? null,
  };
}

function timeOrNull(seconds: number | null | undefined): Date | null {
  return typeof seconds === 'number' ? stripeTime(seconds) : null;
}
