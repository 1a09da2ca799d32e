import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type Order } from '../../shared/ordering.js';
import { type Uuid } from '../../shared/uuid.js';
import { type DisputeReport } from '../../stripe/disputes.js';
import { Payment } from '../payments/payment.entity.js';
import { paymentVersion, recordCharge, type Source } from '../payments/payment-record.js';
import { DisputeState } from '../payments/payment-state.js';
import { Dispute } from './dispute.entity.js';

// The one place where what Stripe says of a dispute becomes rows. Whoever comes here holds the lock of the payment first.

const lock = { lockMode: LockMode.PESSIMISTIC_WRITE } as const;

/**
 * Records what Stripe says of a dispute, and lets its payment show it.
 * @returns `unclear`: fetch the dispute with its charge and record that
 */
export async function recordDispute(em: EntityManager, report: DisputeReport, source: Source): Promise<Order> {
  const { charge, paymentIntentId } = report;
  // Without an intent it was charged past everything that this server does.
  if (!paymentIntentId) return 'stale';
  const { accountId } = source;
  await paymentVersion(em, { intentId: paymentIntentId, accountId });
  const find = () => em.findOne(Payment, { stripePaymentIntentId: paymentIntentId, stripeAccountId: accountId }, lock);
  let payment = await find();
  // A payment that nobody has told of yet comes with its charge.
  if (!payment && charge) {
    await recordCharge(em, charge, source);
    payment = await find();
  }
  if (!payment) return charge ? 'stale' : 'unclear';

  const dispute = await lockDispute(em, payment.id, report, source);
  const order = dispute.applyStripe(report, source.asOf, source.fetched);
  if (order === 'newer') await em.flush();
  if (order === 'newer') payment.disputeState = await latestStateOf(em, payment.id);
  return order;
}

/** Locks what a report of a dispute changes, and says which version of it this is. */
export async function disputeVersion(
  em: EntityManager,
  payment: Parameters<typeof paymentVersion>[1],
  stripeDisputeId: string,
): Promise<string | null> {
  const version = await paymentVersion(em, payment);
  const [row] = await em.execute<{ version: string }[]>(
    'select updated_at::text as version from disputes where stripe_dispute_id = ? for update',
    [stripeDisputeId],
  );
  return version && `${version} ${row?.version ?? ''}`;
}

/** The row of a dispute, made when it is seen for the first time. */
async function lockDispute(
  em: EntityManager,
  paymentId: Uuid,
  report: DisputeReport,
  { accountId }: Source,
): Promise<Dispute> {
  const known = await em.findOne(Dispute, { stripeDisputeId: report.id }, lock);
  if (known) return known;
  await em.execute(
    `insert into disputes (tenant_id, livemode, payment_id, stripe_account_id, stripe_dispute_id, stripe_charge_id, amount, currency, status,
       reason, is_inquiry, charge_refundable, stripe_created_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (tenant_id, stripe_dispute_id) do nothing`,
    [
      ...[tenantOf(em), livemodeOf(em), paymentId, accountId, report.id, report.chargeId],
      ...[report.amount, report.currency, report.status.toUpperCase(), report.reason],
      ...[report.isInquiry, report.isChargeRefundable, report.created],
    ],
  );
  return em.findOneOrFail(Dispute, { stripeDisputeId: report.id }, lock);
}

/** A payment shows its latest dispute; a bank may open another after the first. */
async function latestStateOf(em: EntityManager, paymentId: Uuid): Promise<DisputeState> {
  const [latest] = await em.find(
    Dispute,
    { paymentId },
    { orderBy: { stripeCreatedAt: 'desc', id: 'desc' }, limit: 1 },
  );
  return latest?.status ?? DisputeState.NONE;
}
