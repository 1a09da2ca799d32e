import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';
import { type MailMoney } from '../say.js';

/** An invoice that could not be collected. */
export interface DunningData {
  readonly customerName: string;
  readonly invoiceNumber: string;
  readonly due: MailMoney;
  /** What only the customer can do: name another method, or confirm. Null when it may be tried again as it is. */
  readonly ask: 'METHOD' | 'CONFIRMATION' | null;
  /** When it is tried the next time; null when it will not be, or when Stripe has not said. */
  readonly retryAt: string | null;
  /** Whether nothing is tried after that. */
  readonly isLastRetry: boolean;
  /** Whether this is the last notice: all was tried. */
  readonly isOver: boolean;
  /** What becomes of the subscription, or has become of it; null when nothing does, or there is none. */
  readonly end: 'CANCEL' | 'UNPAID' | null;
  readonly payUrl: string | null;
}

export const dunning: MailTemplate<DunningData> = {
  topic: MailTopic.DUNNING,
  subject: ({ invoiceNumber, ask, isOver, due }, say) => {
    if (isOver) return `Last notice: invoice ${invoiceNumber} from ${say.tenant} is not paid`;
    if (ask === 'METHOD') return `Please update your payment method for invoice ${invoiceNumber} from ${say.tenant}`;
    if (ask === 'CONFIRMATION') return `Please confirm your payment of invoice ${invoiceNumber} from ${say.tenant}`;
    return `Payment of ${say.money(due)} for invoice ${invoiceNumber} from ${say.tenant} did not go through`;
  },
  view: (data, say) => ({
    customerName: data.customerName,
    invoiceNumber: data.invoiceNumber,
    due: say.money(data.due),
    asksMethod: data.ask === 'METHOD' && !data.isOver,
    asksConfirmation: data.ask === 'CONFIRMATION' && !data.isOver,
    retryAt: data.ask === null && !data.isOver && data.retryAt !== null ? say.date(data.retryAt) : null,
    deadline: data.isLastRetry && !data.isOver && data.end !== null && data.retryAt ? say.date(data.retryAt) : null,
    willCancel: data.end === 'CANCEL' && !data.isOver,
    isOver: data.isOver,
    wasCanceled: data.isOver && data.end === 'CANCEL',
    wasPaused: data.isOver && data.end === 'UNPAID',
    payUrl: data.payUrl,
  }),
  sample: {
    customerName: 'Harbour Street Dental',
    invoiceNumber: 'INV-1042',
    due: { amount: 123_450, currency: 'usd' },
    ask: null,
    retryAt: '2026-11-30T09:30:00.000Z',
    isLastRetry: true,
    isOver: false,
    end: 'CANCEL',
    payUrl: 'https://billing.example.com/pay/example',
  },
};
