import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { invoiceReport } from '../../stripe/billing-reports.js';
import { keepPaid, keepState } from './subscription-history.js';

type SubscriptionEvent = EventOf<
  | 'customer.subscription.created'
  | 'customer.subscription.updated'
  | 'customer.subscription.deleted'
  | 'customer.subscription.paused'
  | 'customer.subscription.resumed'
>;

/** After the handler that keeps the subscription itself: whose it is must be known. */
const subscriptionTold: EventHandler<SubscriptionEvent> = {
  async apply(em, { data }, { accountId, eventId, created }) {
    const previous = 'previous_attributes' in data ? data.previous_attributes : null;
    await keepState(em, data.object, previous, { accountId, eventId, at: created });
    return 'done';
  },
};

/** Of no interest is what came to nothing: the first invoice of a trial is paid, too. */
const invoicePaid: EventHandler<EventOf<'invoice.paid'>> = {
  async apply(em, { data }, { accountId, eventId, created }) {
    const { subscriptionId, total, paidAt } = invoiceReport(data.object);
    if (subscriptionId && total > 0) await keepPaid(em, subscriptionId, { accountId, eventId, at: paidAt ?? created });
    return 'done';
  },
};

export const insightsEvents = {
  'customer.subscription.created': subscriptionTold,
  'customer.subscription.updated': subscriptionTold,
  'customer.subscription.deleted': subscriptionTold,
  'customer.subscription.paused': subscriptionTold,
  'customer.subscription.resumed': subscriptionTold,
  'invoice.paid': invoicePaid,
} satisfies EventHandlers;
