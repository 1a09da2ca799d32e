import { Decimal } from 'decimal.js';
import { minorStep } from './money.js';

/** What the platform takes of a tenant's payments: a percentage (0–100, two decimals) and a fixed part (minor units). */
export interface FeeRule {
  /** Decimal number as text: `"2.50"`. */
  readonly percent: string;
  /** Minor units of the payment's currency. */
  readonly fixed: number;
}

/**
 * The application fee of one payment: `amount × percent / 100 + fixed`, in decimal arithmetic, rounded half to even to the
 * currency's smallest step, and at most one step below the amount, since Stripe wants the fee below the charge.
 * https://docs.stripe.com/connect/direct-charges#collect-fees
 *
 * @param amount minor units
 * @returns minor units; `undefined` when nothing is due, because Stripe refuses a fee of zero
 * @example applicationFee(10_000, 'usd', { percent: '2.50', fixed: 0 }) === 250
 */
export function applicationFee(amount: number, currency: string, rule: FeeRule): number | undefined {
  const step = minorStep(currency);
  const exact = new Decimal(amount).times(rule.percent).dividedBy(100).plus(rule.fixed);
  const rounded = exact.dividedBy(step).toDecimalPlaces(0, Decimal.ROUND_HALF_EVEN).times(step).toNumber();
  const fee = Math.min(rounded, amount - step);
  return fee > 0 ? fee : undefined;
}
