import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type Order } from '../../shared/ordering.js';
import { isUuid, type Uuid } from '../../shared/uuid.js';
import { type RefundReport } from '../../stripe/refunds.js';
import { type AccountId } from '../../stripe/types.js';
import { Payment } from '../payments/payment.entity.js';
import { paymentVersion, recordCharge, type Source } from '../payments/payment-record.js';
import { Refund } from './refund.entity.js';
import { progressOf, refundStatusOf, RefundStatus } from './refund-state.js';

// The one place where what Stripe says of a refund becomes rows. Whoever comes here holds the lock of the payment first.

/** What a refund of ours carries at Stripe, so that it can be found, and a webhook that is quicker than our own answer finds its row. */
export const refundKey = 'psa_refund_id';

const lock = { lockMode: LockMode.PESSIMISTIC_WRITE } as const;

/**
 * Records what Stripe says of a refund and, where it came along, of its charge: the payment's total is that of the charge. A refund that was
 * made in the dashboard becomes a row, too.
 * @returns `unclear`: fetch the refund with its charge and record that
 */
export async function recordRefund(em: EntityManager, report: RefundReport, source: Source): Promise<Order> {
  const { charge, paymentIntentId } = report;
  // Without an intent it was made past everything that this server does.
  if (!paymentIntentId) return 'stale';
  const chargeOrder = charge ? await recordCharge(em, charge, source) : 'stale';
  const { accountId } = source;
  await paymentVersion(em, { intentId: paymentIntentId, accountId });
  const payment = await em.findOne(
    Payment,
    { stripePaymentIntentId: paymentIntentId, stripeAccountId: accountId },
    lock,
  );
  // The charge brings the payment with it.
  if (!payment) return charge ? 'stale' : 'unclear';
  const refund = (await knownRefund(em, payment.id, report)) ?? (await adopt(em, payment.id, report, accountId));

  const isNewEnd = progressOf(refundStatusOf(report.status)) === 2 && progressOf(refund.status) < 2;
  // Money that came back lowers the total, and not every event of that says so. How much of the fee went back, no event says.
  const isIncomplete =
    (isNewEnd && !charge) ||
    (report.balanceTransactionId !== null &&
      !report.balance &&
      !refund.isBooked &&
      (isFeeTaken(payment) || !payment.isBooked));
  if (isIncomplete && !source.fetched) return 'unclear';

  const order = refund.applyStripe(report, source.asOf, source.fetched);
  // Where no fee was taken none goes back, also where nobody had to ask Stripe for the booking.
  if (payment.isBooked && !isFeeTaken(payment)) refund.noteNoFee(payment.bookedCurrency);
  await noteRefundsUnderWay(em, payment);
  return chargeOrder === 'unclear' ? chargeOrder : order;
}

/** Whether the platform took a part, so that a part of it can go back; as booked, or as asked for until it is. */
export function isFeeTaken({ applicationFeeMinor, requestedApplicationFee }: Payment): boolean {
  return (applicationFeeMinor ?? requestedApplicationFee ?? 0) > 0;
}

/** Lets the payment show whether any of its refunds is still under way. */
export async function noteRefundsUnderWay(em: EntityManager, payment: Payment): Promise<void> {
  await em.flush();
  const underWay = { paymentId: payment.id, status: { $in: [RefundStatus.PENDING, RefundStatus.REQUIRES_ACTION] } };
  payment.refundPending = (await em.count(Refund, underWay)) > 0;
}

/**
 * Minor units of a payment that can still be given back: what Stripe's total leaves, or our rows if they are more. Those count of which it is
 * not known whether Stripe has them; the total may hold them already, so the two are not added up. Stripe itself lets nobody give back more than
 * came in, should there be refunds that nobody has told us of. The caller holds the payment's lock.
 */
export async function refundableOf(em: EntityManager, payment: Payment): Promise<number> {
  const [sum] = await em.execute<{ amount: string }[]>(
    `select coalesce(sum(amount), 0) as amount from refunds where payment_id = ? and status not in ('FAILED', 'CANCELED')`,
    [payment.id],
  );
  return Math.max(0, payment.amountReceived - Math.max(payment.amountRefunded, Number(sum!.amount)));
}

/** Locks what a report of a refund changes, and says which version of it this is. */
export async function refundVersion(
  em: EntityManager,
  payment: Parameters<typeof paymentVersion>[1],
  refund: { readonly stripeRefundId: string } | { readonly id: string },
): Promise<string | null> {
  const version = await paymentVersion(em, payment);
  const [which, value] = 'id' in refund ? ['id', refund.id] : ['stripe_refund_id', refund.stripeRefundId];
  const [row] = await em.execute<{ version: string }[]>(
    `select updated_at::text as version from refunds where ${which} = ? for update`,
    [value],
  );
  return version && `${version} ${row?.version ?? ''}`;
}

/** The row we made for it, even when our own transaction has not heard of it yet, or the one that Stripe's id names. */
async function knownRefund(em: EntityManager, paymentId: Uuid, { id, metadata }: RefundReport): Promise<Refund | null> {
  const ours = metadata[refundKey];
  if (isUuid(ours)) {
    const refund = await em.findOne(Refund, { id: ours, paymentId }, lock);
    if (refund && (refund.stripeRefundId ?? id) === id) return refund;
  }
  return em.findOne(Refund, { stripeRefundId: id }, lock);
}

/** Makes the row of a refund that was made elsewhere: in the dashboard. */
async function adopt(
  em: EntityManager,
  paymentId: Uuid,
  { id, chargeId, amount, currency, created }: RefundReport,
  accountId: AccountId,
): Promise<Refund> {
  await em.execute(
    `insert into refunds (tenant_id, livemode, payment_id, stripe_account_id, stripe_refund_id, stripe_charge_id, amount, currency, created_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (tenant_id, stripe_refund_id) do nothing`,
    [tenantOf(em), livemodeOf(em), paymentId, accountId, id, chargeId, amount, currency, created],
  );
  return em.findOneOrFail(Refund, { stripeRefundId: id }, lock);
}
