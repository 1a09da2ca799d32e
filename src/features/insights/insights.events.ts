import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { invoiceReport } from '../../stripe/billing-reports.js';
import { idOf, type CustomerId } from '../../stripe/types.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { keepChanged, keepPaid, keepState } from './subscription-history.js';

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

/** After the handler that keeps what a discount is. Which subscriptions have it is told by their own events. */
const discountTold: EventHandler<
  EventOf<'customer.discount.created' | 'customer.discount.updated' | 'customer.discount.deleted'>
> = {
  async apply(em, { data }, { accountId }) {
    const stripeCustomerId = idOf<CustomerId>(data.object.customer);
    const owner =
      stripeCustomerId && (await em.findOne(StripeCustomer, { stripeCustomerId, stripeAccountId: accountId }));
    if (owner) await keepChanged(em, owner.customerId);
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
  'customer.discount.created': discountTold,
  'customer.discount.updated': discountTold,
  'customer.discount.deleted': discountTold,
  'invoice.paid': invoicePaid,
} satisfies EventHandlers;
