import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** A trial that is about to become a subscription that is paid for. */
export interface TrialEndingData {
  readonly customerName: string;
  readonly what: string;
  /** Of each period, before taxes, discounts and credits. */
  readonly amount: MailMoney;
  readonly endsAt: string;
  /** Whether there is something to charge then. */
  readonly hasMethod: boolean;
}

export const trialEnding: MailTemplate<TrialEndingData> = {
  topic: MailTopic.TRIALS,
  subject: ({ what, endsAt }, say) => `The trial of ${what} ends on ${say.date(endsAt)}`,
  view: ({ customerName, what, amount, endsAt, hasMethod }, say) => ({
    ...{ customerName, what, hasMethod, amount: say.money(amount), date: say.date(endsAt) },
  }),
  sample: {
    customerName: 'Harbour Street Dental',
    what: 'Backup for servers',
    amount: { amount: 9_900, currency: 'usd' },
    endsAt: '2026-12-01T00:00:00.000Z',
    hasMethod: false,
  },
};
