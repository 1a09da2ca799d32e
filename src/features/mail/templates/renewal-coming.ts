import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** A subscription that is about to be charged for its next period. */
export interface RenewalData {
  readonly customerName: string;
  /** What is subscribed to: the contract's name. */
  readonly what: string;
  /** Before taxes, discounts and credits, which Stripe works out then. */
  readonly amount: MailMoney;
  readonly renewsAt: string;
}

export const renewalComing: MailTemplate<RenewalData> = {
  topic: MailTopic.RENEWALS,
  subject: ({ what, renewsAt }, say) => `${what} renews on ${say.date(renewsAt)}`,
  view: ({ customerName, what, amount, renewsAt }, say) => ({
    ...{ customerName, what, amount: say.money(amount), date: say.date(renewsAt) },
  }),
  sample: {
    customerName: 'Harbour Street Dental',
    what: 'Managed workplace',
    amount: { amount: 450_000, currency: 'usd' },
    renewsAt: '2026-12-01T00:00:00.000Z',
  },
};
