import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** A day on which many payments failed. */
export interface FailureDigestData {
  /** When the day began, for the tenant. */
  readonly since: string;
  /** Payments of which a try failed on that day. */
  readonly failed: number;
  /** Those, and the ones that succeeded on that day without a failed try. */
  readonly tried: number;
  /** How many of those that failed have been paid since. */
  readonly recovered: number;
  /** What was to be paid by those that failed, by currency. */
  readonly amounts: readonly MailMoney[];
  /** Most frequent first. `METHOD_GONE`: a `DeclineReason`. */
  readonly reasons: readonly { readonly reason: string; readonly count: number }[];
}

export const failureDigest: MailTemplate<FailureDigestData> = {
  topic: MailTopic.FAILURES,
  subject: ({ since, failed, tried }, say) => `${failed} of ${tried} payments failed on ${say.date(since)}`,
  view: ({ since, failed, tried, recovered, amounts, reasons }, say) => ({
    ...{ date: say.date(since), failed: String(failed), tried: String(tried), recovered: String(recovered) },
    amounts: amounts.map((money) => ({ amount: say.money(money) })),
    reasons: reasons.map(({ reason, count }) => ({ reason: wordsOf(reason), count: String(count) })),
  }),
  sample: {
    since: '2026-11-22T00:00:00.000Z',
    ...{ failed: 12, tried: 40, recovered: 3 },
    amounts: [
      { amount: 94_000, currency: 'usd' },
      { amount: 12_000, currency: 'eur' },
    ],
    reasons: [
      { reason: 'FUNDS', count: 7 },
      { reason: 'METHOD_GONE', count: 5 },
    ],
  },
};

/** `Method gone`. */
function wordsOf(reason: string): string {
  return reason.charAt(0) + reason.slice(1).toLowerCase().replaceAll('_', ' ');
}
