import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** A payment that succeeded. */
export interface ReceiptData {
  readonly customerName: string;
  /** Short enough to be quoted. */
  readonly receiptNumber: string;
  readonly amount: MailMoney;
  readonly paidAt: string;
  readonly invoiceNumber: string | null;
  readonly description: string | null;
  /** `Visa •••• 4242`. */
  readonly method: string | null;
  /** Stripe's own page of it. */
  readonly receiptUrl: string | null;
}

export const receipt: MailTemplate<ReceiptData> = {
  topic: MailTopic.RECEIPTS,
  subject: ({ amount, invoiceNumber }, say) =>
    `Receipt from ${say.tenant}: ${say.money(amount)}${invoiceNumber ? ` for ${invoiceNumber}` : ''}`,
  view: (data, say) => ({
    customerName: data.customerName,
    amount: say.money(data.amount),
    date: say.date(data.paidAt),
    receiptNumber: data.receiptNumber,
    invoiceNumber: data.invoiceNumber,
    description: data.description,
    method: data.method,
    receiptUrl: data.receiptUrl,
  }),
  sample: {
    customerName: 'Harbour Street Dental',
    receiptNumber: 'R-0199F2C3',
    amount: { amount: 123_450, currency: 'usd' },
    paidAt: '2026-11-23T09:30:00.000Z',
    invoiceNumber: 'INV-1042',
    description: null,
    method: 'Visa •••• 4242',
    receiptUrl: 'https://pay.stripe.com/receipts/example',
  },
};
