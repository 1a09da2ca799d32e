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

/** When the payment came in that made the total full. */
export function settledAt(payments: readonly Share[], total: number): Date | null {
  const inOrder = payments.filter(({ received }) => received > 0).sort((a, b) => +a.succeededAt! - +b.succeededAt!);
  let sum = 0;
  return inOrder.find(({ received }) => (sum += received) >= total)?.succeededAt ?? null;
}
