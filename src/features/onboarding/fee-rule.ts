import { badInput } from '../../shared/errors.js';
import { type FeeRule } from '../../shared/fee.js';
import { maxAmount } from '../../shared/money.js';

/**
 * Reads a fee rule as a client wrote it.
 * @param percent 0 to 100 with at most two decimals: subscriptions at Stripe take no more
 * @param fixed whole minor units, of whatever currency a payment will be in
 * @returns the rule with exactly two decimals: `"2.5"` becomes `"2.50"`
 * @throws AppError BAD_USER_INPUT
 */
export function readFeeRule({ percent, fixed }: FeeRule): FeeRule {
  const [, whole = '', decimals = ''] = /^(\d{1,3})(?:\.(\d{1,2}))?$/.exec(percent) ?? [];
  const hundredths = Number(whole) * 100 + Number(decimals.padEnd(2, '0'));
  if (whole === '' || hundredths > 10_000)
    throw badInput('input.percent', 'The percentage must be between 0 and 100, with at most two decimals.');
  if (!Number.isSafeInteger(fixed) || fixed < 0 || fixed > maxAmount)
    throw badInput('input.fixed', `The fixed part must be a whole number of minor units from 0 to ${maxAmount}.`);
  return { percent: `${Number(whole)}.${decimals.padEnd(2, '0')}`, fixed };
}
