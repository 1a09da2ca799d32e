import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { subscriptionReport, type SubscriptionReport } from '../../stripe/billing-reports.js';
import { type SubscriptionId } from '../../stripe/types.js';
import { recordSubscription, subscriptionVersion } from './subscription-record.js';

type SubscriptionEvent = EventOf<
  | 'customer.subscription.created'
  | 'customer.subscription.updated'
  | 'customer.subscription.deleted'
  | 'customer.subscription.trial_will_end'
  | 'customer.subscription.paused'
  | 'customer.subscription.resumed'
>;

/** Also of subscriptions that were made in the dashboard, as long as their customer is one of ours. */
const subscriptionChanged: EventHandler<SubscriptionEvent, SubscriptionReport> = {
  exclusive: true,

  async apply(em, { data }, { accountId, created }, fetched) {
    const source = { accountId, asOf: created, fetched: fetched !== null };
    const recorded = await recordSubscription(em, fetched ?? subscriptionReport(data.object), source);
    return recorded?.order === 'unclear' ? 'fetch' : 'done';
  },

  version: (em, { data }) => subscriptionVersion(em, data.object.id),
  load: async ({ data }, { stripe }) =>
    subscriptionReport(await stripe.retrieveSubscription(data.object.id as SubscriptionId)),
};

export const subscriptionEvents = {
  'customer.subscription.created': subscriptionChanged,
  'customer.subscription.updated': subscriptionChanged,
  'customer.subscription.deleted': subscriptionChanged,
  'customer.subscription.trial_will_end': subscriptionChanged,
  'customer.subscription.paused': subscriptionChanged,
  'customer.subscription.resumed': subscriptionChanged,
} satisfies EventHandlers;
