import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** Too little lies at Stripe, or less than nothing. */
export interface BalanceAlertData {
  readonly isNegative: boolean;
  readonly available: readonly MailMoney[];
  readonly pending: readonly MailMoney[];
  readonly lookedAt: string;
}

export const balanceAlert: MailTemplate<BalanceAlertData> = {
  topic: MailTopic.BALANCE,
  subject: ({ isNegative }) => (isNegative ? 'Your Stripe balance is negative' : 'Your Stripe balance is low'),
  view: ({ isNegative, available, pending, lookedAt }, say) => ({
    isNegative,
    available: available.map((money) => ({ amount: say.money(money) })),
    pending: pending.map((money) => ({ amount: say.money(money) })),
    date: say.dateTime(lookedAt),
  }),
  sample: {
    isNegative: true,
    available: [{ amount: -12_300, currency: 'usd' }],
    pending: [{ amount: 4_500, currency: 'usd' }],
    lookedAt: '2026-11-23T09:30:00.000Z',
  },
};
