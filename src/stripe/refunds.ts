import { type Connection } from './connection.js';
import { findInPages, matches, pagesOf } from './paging.js';
import { type ChargeId, type Keyed, type Lookup, type Metadata, type Refund, type RefundId } from './types.js';

export interface CreateRefund {
  readonly chargeId: ChargeId;
  /** Minor units, at most what is left of the charge; all that is left when left out. */
  readonly amount?: number;
  readonly reason?: 'duplicate' | 'fraudulent' | 'requested_by_customer';
  /** Gives the platform's fee back too, in proportion. Only where a fee was taken: Stripe refuses it otherwise. */
  readonly refundApplicationFee?: boolean;
  readonly metadata: Metadata;
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
  };
  const echo = { charge: input.chargeId, amount: input.amount, metadata: input.metadata };
  return via.change({ ...expected, echo }, keyed, (options) => via.sdk.refunds.create(params, options));
}

/** The refund as it is now, with its booking. */
export function retrieveRefund(via: Connection, id: RefundId): Promise<Refund> {
  return via.read({ ...expected, echo: { id } }, (options) =>
    via.sdk.refunds.retrieve(id, { expand: ['balance_transaction'] }, options),
  );
}

/** All refunds of a charge, newest first. */
export function listRefunds(via: Connection, charge: ChargeId): AsyncGenerator<Refund> {
  return pagesOf<Refund>(via, null, (page, options) => via.sdk.refunds.list({ ...page, charge }, options));
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
