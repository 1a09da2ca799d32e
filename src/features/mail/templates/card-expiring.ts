import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';

/** A card that a subscription is charged to, and that will soon be none any more. */
export interface CardExpiringData {
  readonly customerName: string;
  /** `Visa •••• 4242`. */
  readonly card: string;
  /** 1 to 12. It is good until the end of that month. */
  readonly month: number;
  readonly year: number;
}

export const cardExpiring: MailTemplate<CardExpiringData> = {
  topic: MailTopic.CARDS,
  subject: ({ card, month, year }) => `${card} expires at the end of ${monthOf(month, year)}`,
  view: ({ customerName, card, month, year }) => ({ customerName, card, month: monthOf(month, year) }),
  sample: { customerName: 'Harbour Street Dental', card: 'Visa •••• 4242', month: 12, year: 2026 },
};

/** As it stands on the card. */
function monthOf(month: number, year: number): string {
  return `${String(month).padStart(2, '0')}/${year}`;
}
