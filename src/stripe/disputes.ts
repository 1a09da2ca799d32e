import type Stripe from 'stripe';
import { type Connection } from './connection.js';
import { pagesOf } from './paging.js';
import { type Dispute, type DisputeId, type Keyed } from './types.js';

/** Texts, and ids of files that were uploaded before. https://docs.stripe.com/api/disputes/update */
export type DisputeEvidence = Stripe.DisputeUpdateParams.Evidence;

const expected = { object: 'dispute' };

/** The dispute as it is now, with what it booked. */
export function retrieveDispute(via: Connection, id: DisputeId): Promise<Dispute> {
  return via.read({ ...expected, echo: { id } }, (options) => via.sdk.disputes.retrieve(id, {}, options));
}

/** The account's disputes since then, newest first. */
export function listDisputes(via: Connection, since: Date | null): AsyncGenerator<Dispute> {
  return pagesOf<Dispute>(via, since, (page, options) => via.sdk.disputes.list(page, options));
}

/**
 * Stores evidence, and sends it to the bank where `submit` says so. It can be submitted once.
 * @throws AppError INVALID_STATE, STRIPE_REJECTED past the deadline
 */
export function updateDispute(
  via: Connection,
  id: DisputeId,
  { evidence, submit }: { readonly evidence: DisputeEvidence; readonly submit: boolean },
  keyed: Keyed,
): Promise<Dispute> {
  return via.change({ ...expected, echo: { id } }, keyed, (options) =>
    via.sdk.disputes.update(id, { evidence, submit }, options),
  );
}

/** Gives the dispute up: it is lost, and that cannot be undone. */
export function closeDispute(via: Connection, id: DisputeId, keyed: Keyed): Promise<Dispute> {
  return via.change({ ...expected, echo: { id } }, keyed, (options) => via.sdk.disputes.close(id, {}, options));
}
