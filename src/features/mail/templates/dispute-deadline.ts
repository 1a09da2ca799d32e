import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** A dispute that nobody has answered, and that is lost unless somebody does. */
export interface DisputeDeadlineData {
  /** Not whose: what an admin was mailed outlives a customer's data. */
  readonly invoiceNumber: string | null;
  readonly amount: MailMoney;
  /** Stripe's word for it: `fraudulent`. */
  readonly reason: string;
  readonly stripeDisputeId: string;
  readonly answerBy: string;
}

export const disputeDeadline: MailTemplate<DisputeDeadlineData> = {
  topic: MailTopic.DISPUTES,
  subject: ({ amount, answerBy }, say) => `Dispute over ${say.money(amount)}: answer by ${say.date(answerBy)}`,
  view: ({ invoiceNumber, amount, reason, stripeDisputeId, answerBy }, say) => ({
    ...{ invoiceNumber, reason: reason.replaceAll('_', ' '), stripeDisputeId },
    ...{ amount: say.money(amount), date: say.dateTime(answerBy) },
  }),
  sample: {
    invoiceNumber: 'INV-1042',
    amount: { amount: 123_450, currency: 'usd' },
    reason: 'product_not_received',
    stripeDisputeId: 'dp_example',
    answerBy: '2026-11-30T23:59:59.000Z',
  },
};
