import { type Invoice } from '../invoices/invoice.entity.js';
import { type Payment } from './payment.entity.js';
import { PaymentStatus } from './payment-state.js';

/** All of a payment that its invoice depends on. Amounts in minor units. */
export interface Share {
  readonly status: PaymentStatus;
  readonly received: number;
  readonly refunded: number;
  readonly succeededAt: Date | null;
}

/** What of a payment its invoice follows. */
export function shareOf({ status, amountReceived, amountRefunded, succeededAt }: Payment): Share {
  return { status, received: amountReceived, refunded: amountRefunded, succeededAt };
}

/** Whether an invoice has to follow. */
export function isSameShare(one: Share, other: Share): boolean {
  return (
    one.status === other.status &&
    one.received === other.received &&
    one.refunded === other.refunded &&
    one.succeededAt?.getTime() === other.succeededAt?.getTime()
  );
}

/** Whether the payer can still pay it, and nothing is on its way. */
export function isOpen({ status, received }: Share): boolean {
  return (
    received === 0 && [PaymentStatus.PENDING, PaymentStatus.ACTION_REQUIRED, PaymentStatus.FAILED].includes(status)
  );
}

/** What the payments of an invoice amount to, in the order in which they were asked for. */
export function sumsOf(payments: readonly Share[]) {
  const total = (amounts: number[]) => amounts.reduce((sum, amount) => sum + amount, 0);
  const last = payments.findLast(({ status }) => status !== PaymentStatus.CANCELED)?.status;
  return {
    received: total(payments.map(({ received }) => received)),
    refunded: total(payments.map(({ refunded }) => refunded)),
    processing: payments.some(({ status }) => status === PaymentStatus.PROCESSING),
    lastFailed: last === PaymentStatus.FAILED,
    waiting: last === PaymentStatus.ACTION_REQUIRED,
  };
}

/**
 * Lets an invoice that is no cycle follow its payments.
 * @param gained minor units that they have brought since it last followed them
 * @param asOf Stripe's time of the news
 */
export function followPayments(invoice: Invoice, payments: readonly Share[], gained: number, asOf: Date): void {
  const sums = sumsOf(payments);
  const elsewhere = invoice.paidElsewhere(sums.received - gained);
  const needed = invoice.totalMinor - invoice.amountCreditedMinor - elsewhere;
  invoice.follow(sums, elsewhere, settledAt(payments, needed) ?? invoice.paidAt ?? asOf);
}

/** When the payment came in that made the total full; null when they were not needed for that. */
function settledAt(payments: readonly Share[], needed: number): Date | null {
  if (needed <= 0) return null;
  const inOrder = payments.filter(({ received }) => received > 0).sort((a, b) => +a.succeededAt! - +b.succeededAt!);
  let sum = 0;
  return inOrder.find(({ received }) => (sum += received) >= needed)?.succeededAt ?? null;
}
