import { registerEnumType } from 'type-graphql';

/** What a mail is about, as far as a tenant may not want such mails at all. */
export enum MailTopic {
  RECEIPTS = 'RECEIPTS',
  RENEWALS = 'RENEWALS',
  CARDS = 'CARDS',
  TRIALS = 'TRIALS',
  ACTIONS = 'ACTIONS',
  DUNNING = 'DUNNING',
  BALANCE = 'BALANCE',
  DISPUTES = 'DISPUTES',
  WEBHOOKS = 'WEBHOOKS',
  FAILURES = 'FAILURES',
}
registerEnumType(MailTopic, {
  name: 'MailTopic',
  description: 'What a mail is about.',
  valuesConfig: {
    RECEIPTS: { description: 'To the customer: a payment succeeded.' },
    RENEWALS: { description: 'To the customer: a subscription is about to renew.' },
    CARDS: { description: 'To the customer: the card that pays is about to expire.' },
    TRIALS: { description: 'To the customer: a trial is about to end.' },
    ACTIONS: { description: 'To the customer: a payment waits for a confirmation.' },
    DUNNING: { description: 'To the customer: a payment failed and is tried again, or needs another method.' },
    BALANCE: { description: 'To the tenant’s admins: little or less than nothing is left at Stripe.' },
    DISPUTES: { description: 'To the tenant’s admins: a dispute waits for an answer.' },
    WEBHOOKS: { description: 'To the tenant’s admins: a webhook endpoint was switched off.' },
    FAILURES: { description: 'To the tenant’s admins: many payments of a day failed.' },
  },
});
