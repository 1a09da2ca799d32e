import { type MailTemplate } from '../mail-template.js';
import { MailTopic } from '../mail-topic.js';

/** The tenant's own software is not told anything any more. */
export interface WebhookEndpointDisabledData {
  readonly url: string;
  readonly reason: string;
  readonly disabledAt: string;
}

export const webhookEndpointDisabled: MailTemplate<WebhookEndpointDisabledData> = {
  topic: MailTopic.WEBHOOKS,
  subject: () => 'A webhook endpoint was switched off',
  view: ({ url, reason, disabledAt }, say) => ({ endpoint: url, reason, date: say.dateTime(disabledAt) }),
  sample: {
    url: 'https://psa.example.com/hooks',
    reason: 'Nothing arrived there for five days.',
    disabledAt: '2026-11-23T09:30:00.000Z',
  },
};
