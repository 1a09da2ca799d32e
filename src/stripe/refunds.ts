import { stripeTime } from '../shared/clock.js';
import { type Connection } from './connection.js';
import { findInPages, matches, pagesOf } from './paging.js';
import { type BalanceReport, balanceReport, type ChargeReport, chargeReport } from './reports.js';
import {
  type ChargeId,
  expanded,
  idOf,
  type Keyed,
  type Lookup,
  type Metadata,
  type PaymentIntentId,
  type Refund,
  type RefundId,
} from './types.js';

export interface CreateRefund {
  readonly chargeId: ChargeId;
  /** Minor units, at most what is left of the charge; all that is left when left out. */
  readonly amount?: number;
  readonly reason?: 'duplicate' | 'fraudulent' | 'requested_by_customer';
  /** Gives the platform's fee back too, in proportion. Only where a fee was taken: Stripe refuses it otherwise. */
  readonly refundApplicationFee?: boolean;
  readonly metadata: Metadata;
}

const statuses = ['pending', 'requires_action', 'succeeded', 'failed', 'canceled'] as const;

/** What Stripe says of a refund, whether as an answer or inside a webhook. */
export interface RefundReport {
  readonly id: RefundId;
  readonly status: (typeof statuses)[number];
  /** Minor units. */
  readonly amount: number;
  readonly currency: string;
  readonly chargeId: ChargeId | null;
  /** The charge, when it was expanded: its `amountRefunded` is the total that counts. Never in a webhook. */
  readonly charge: ChargeReport | null;
  readonly paymentIntentId: PaymentIntentId | null;
  /** `duplicate`, `fraudulent`, `requested_by_customer`, `expired_uncaptured_charge`. */
  readonly reason: string | null;
  /** https://docs.stripe.com/api/refunds/object#refund_object-failure_reason */
  readonly failureReason: string | null;
  readonly balanceTransactionId: string | null;
  /** The booking, when it was expanded: with the part of the platform's fee that went back. */
  readonly balance: BalanceReport | null;
  readonly metadata: Metadata;
  readonly created: Date;
}

/** @throws Error on a status that this version does not know: to treat it as any other would be a guess about money */
export function refundReport(refund: Refund): RefundReport {
  const status = statuses.find((one) => one === refund.status);
  if (!status) throw new Error(`Unknown status of a refund: ${refund.status}`);
  const [charge, balance] = [expanded(refund.charge), expanded(refund.balance_transaction)];
  return {
    id: refund.id as RefundId,
    status,
    amount: refund.amount,
    currency: refund.currency,
    chargeId: idOf(refund.charge),
    charge: charge && chargeReport(charge),
    paymentIntentId: idOf(refund.payment_intent),
    reason: refund.reason,
    failureReason: refund.failure_reason ?? null,
    balanceTransactionId: idOf(refund.balance_transaction),
    balance: balance && balanceReport(balance),
    metadata: refund.metadata ?? {},
    created: stripeTime(refund.created),
  };
}

const expected = { object: 'refund' };

/**
 * Gives money back from the tenant's balance. The refund may be pending, and may fail later: its status says.
 * @throws AppError INVALID_STATE when the charge is refunded already or disputed; STRIPE_REJECTED above what is left
 * https://docs.stripe.com/connect/direct-charges#issue-refunds
 */
export function createRefund(via: Connection, input: CreateRefund, keyed: Keyed): Promise<Refund> {
  const params = {
    charge: input.chargeId,
    amount: input.amount,
    reason: input.reason,
    refund_application_fee: input.refundApplicationFee ? true : undefined,
    metadata: input.metadata,
    expand: ['balance_transaction', 'charge'],
  };
  const echo = { charge: input.chargeId, amount: input.amount, metadata: input.metadata };
  return via.change({ ...expected, echo }, keyed, (options) => via.sdk.refunds.create(params, options));
}

/** The refund as it is now, with its booking, and the charge with its own. */
export function retrieveRefund(via: Connection, id: RefundId): Promise<Refund> {
  const expand = ['balance_transaction', 'charge.balance_transaction'];
  return via.read({ ...expected, echo: { id } }, (options) => via.sdk.refunds.retrieve(id, { expand }, options));
}

/** All refunds of a charge, newest first. */
export function listRefunds(via: Connection, charge: ChargeId): AsyncGenerator<Refund> {
  return pagesOf<Refund>(via, null, (page, options) => via.sdk.refunds.list({ ...page, charge }, options));
}

/** The account's refunds since then, newest first. */
export function listRecentRefunds(via: Connection, since: Date): AsyncGenerator<Refund> {
  return pagesOf<Refund>(via, since, (page, options) => via.sdk.refunds.list(page, options));
}

/** The refund that carries this metadata; null when it is certain that there is none among those made since. */
export function findRefund(
  via: Connection,
  { metadata, since, chargeId }: Lookup & { readonly chargeId?: ChargeId },
): Promise<Refund | null> {
  const refunds = pagesOf<Refund>(via, since, (page, options) =>
    via.sdk.refunds.list({ ...page, charge: chargeId }, options),
  );
  return findInPages(refunds, (refund) => matches(refund.metadata, metadata));
}
