import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { idOf, type InvoiceId, type SubscriptionId } from '../../stripe/types.js';
import { closeSettled, followStripe, openCases } from './dunning-cases.js';

// What the rows say by now decides, not the event: these are listed after the handlers that write them. So any order of events ends the same.

type InvoiceEvent = EventOf<
  | 'invoice.updated'
  | 'invoice.paid'
  | 'invoice.payment_failed'
  | 'invoice.payment_action_required'
  | 'invoice.voided'
  | 'invoice.marked_uncollectible'
>;

const invoiceMoved: EventHandler<InvoiceEvent> = {
  exclusive: true,

  async apply(em, { data }, { accountId }) {
    await em.flush();
    const [cycle] = await em.execute<{ invoice_id: number | null }[]>(
      'select invoice_id from stripe_invoices where stripe_invoice_id = ? and stripe_account_id = ?',
      [data.object.id as InvoiceId, accountId],
    );
    if (!cycle?.invoice_id) return 'done';
    await closeSettled(em, cycle.invoice_id);
    await openCases(em, cycle.invoice_id);
    await followStripe(em, cycle.invoice_id);
    return 'done';
  },
};

/** Nobody is asked to pay for what has ended, unless that is how Stripe's own retries ended. */
const subscriptionEnded: EventHandler<EventOf<'customer.subscription.deleted'>> = {
  exclusive: true,
  object: ({ data }) => data.object.id,

  async apply(em, { data }, { accountId }) {
    await em.flush();
    const open = await em.execute<{ invoice_id: number }[]>(
      `select k.invoice_id from dunning_cases k join stripe_subscriptions s on s.tenant_id = k.tenant_id and s.id = k.subscription_id
       where s.stripe_subscription_id = ? and s.stripe_account_id = ? and k.state = 'OPEN' order by k.id`,
      [idOf<SubscriptionId>(data.object)!, accountId],
    );
    for (const { invoice_id: invoiceId } of open) {
      await closeSettled(em, invoiceId);
      await followStripe(em, invoiceId);
    }
    return 'done';
  },
};

export const dunningEvents = {
  'invoice.updated': invoiceMoved,
  'invoice.paid': invoiceMoved,
  'invoice.payment_failed': invoiceMoved,
  'invoice.payment_action_required': invoiceMoved,
  'invoice.voided': invoiceMoved,
  'invoice.marked_uncollectible': invoiceMoved,
  'customer.subscription.deleted': subscriptionEnded,
} satisfies EventHandlers;
