import type Stripe from 'stripe';
import { stripeTime } from '../shared/clock.js';
import { type Connection } from './connection.js';
import { pagesOf } from './paging.js';
import { type ChargeReport, chargeReport } from './reports.js';
import {
  type ChargeId,
  type Dispute,
  type DisputeId,
  expanded,
  idOf,
  type Keyed,
  type Metadata,
  type PaymentIntentId,
} from './types.js';

/** Texts, and ids of files that were uploaded before. https://docs.stripe.com/api/disputes/update */
export type DisputeEvidence = Stripe.DisputeUpdateParams.Evidence;

const statuses = [
  'warning_needs_response',
  'warning_under_review',
  'warning_closed',
  'needs_response',
  'under_review',
  'won',
  'lost',
  'prevented',
  'appeal_needs_response',
  'appeal_under_review',
] as const;

/** What Stripe says of a dispute, whether as an answer or inside a webhook. */
export interface DisputeReport {
  readonly id: DisputeId;
  readonly status: (typeof statuses)[number];
  /** Stripe's word: `fraudulent`, `product_not_received`. */
  readonly reason: string;
  readonly networkReasonCode: string | null;
  /** Minor units that are disputed; not always all of the charge. */
  readonly amount: number;
  readonly currency: string;
  readonly chargeId: ChargeId;
  /** The charge, when it was expanded; never in a webhook. */
  readonly charge: ChargeReport | null;
  readonly paymentIntentId: PaymentIntentId | null;
  /** Null where there is nothing to answer. */
  readonly evidenceDueBy: Date | null;
  readonly hasEvidence: boolean;
  readonly pastDue: boolean;
  readonly submissionCount: number;
  /** The bank only asks; no money has moved. */
  readonly isInquiry: boolean;
  readonly isChargeRefundable: boolean;
  /** Whether money was taken from the balance because of it, and whether some came back. */
  readonly fundsWithdrawn: boolean;
  readonly fundsReinstated: boolean;
  readonly metadata: Metadata;
  readonly created: Date;
}

/** @throws Error on a status that this version does not know: to treat it as any other would be a guess about money */
export function disputeReport(dispute: Dispute): DisputeReport {
  const status = statuses.find((one) => one === dispute.status);
  if (!status) throw new Error(`Unknown status of a dispute: ${dispute.status}`);
  const { evidence_details: details, balance_transactions: bookings } = dispute;
  const charge = expanded(dispute.charge);
  return {
    id: dispute.id as DisputeId,
    status,
    reason: dispute.reason,
    networkReasonCode: dispute.network_reason_code ?? null,
    amount: dispute.amount,
    currency: dispute.currency,
    chargeId: idOf<ChargeId>(dispute.charge)!,
    charge: charge && chargeReport(charge),
    paymentIntentId: idOf(dispute.payment_intent),
    evidenceDueBy: details.due_by === null ? null : stripeTime(details.due_by),
    hasEvidence: details.has_evidence,
    pastDue: details.past_due,
    submissionCount: details.submission_count,
    isInquiry: status.startsWith('warning_'),
    isChargeRefundable: dispute.is_charge_refundable,
    fundsWithdrawn: bookings.some(({ amount }) => amount < 0),
    fundsReinstated: bookings.some(({ amount }) => amount > 0),
    metadata: dispute.metadata ?? {},
    created: stripeTime(dispute.created),
  };
}

const expected = { object: 'dispute' };

/** The dispute as it is now, with what it booked, and its charge. */
export function retrieveDispute(via: Connection, id: DisputeId): Promise<Dispute> {
  const expand = ['charge.balance_transaction'];
  return via.read({ ...expected, echo: { id } }, (options) => via.sdk.disputes.retrieve(id, { expand }, options));
}

/** The account's disputes since then, newest first. */
export function listDisputes(via: Connection, since: Date | null): AsyncGenerator<Dispute> {
  return pagesOf<Dispute>(via, since, (page, options) => via.sdk.disputes.list(page, options));
}

/**
 * Stores evidence, and sends it to the bank where `submit` says so. It can be submitted once. The metadata says later that it was done.
 * @throws AppError INVALID_STATE, STRIPE_REJECTED past the deadline
 */
export function updateDispute(
  via: Connection,
  id: DisputeId,
  input: { readonly evidence: DisputeEvidence; readonly submit: boolean; readonly metadata?: Metadata },
  keyed: Keyed,
): Promise<Dispute> {
  return via.change({ ...expected, echo: { id, metadata: input.metadata } }, keyed, (options) =>
    via.sdk.disputes.update(id, input, options),
  );
}

/** Gives the dispute up: it is lost, and that cannot be undone. */
export function closeDispute(via: Connection, id: DisputeId, keyed: Keyed): Promise<Dispute> {
  return via.change({ ...expected, echo: { id } }, keyed, (options) => via.sdk.disputes.close(id, {}, options));
}
