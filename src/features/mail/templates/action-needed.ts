import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** A payment that waits until the payer has confirmed it with the bank. */
export interface ActionNeededData {
  readonly customerName: string;
  readonly amount: MailMoney;
  readonly invoiceNumber: string;
  /** Until when it can be confirmed. */
  readonly confirmBy: string;
  /** Where that is done. */
  readonly payUrl: string;
}

export const actionNeeded: MailTemplate<ActionNeededData> = {
  topic: MailTopic.ACTIONS,
  subject: ({ invoiceNumber }) => `Please confirm your payment of ${invoiceNumber}`,
  view: ({ customerName, amount, invoiceNumber, confirmBy, payUrl }, say) => ({
    ...{ customerName, invoiceNumber, payUrl, amount: say.money(amount), date: say.dateTime(confirmBy) },
  }),
  sample: {
    customerName: 'Harbour Street Dental',
    amount: { amount: 123_450, currency: 'usd' },
    invoiceNumber: 'INV-1042',
    confirmBy: '2026-11-24T08:30:00.000Z',
    payUrl: 'https://billing.example.com/pay/example',
  },
};
