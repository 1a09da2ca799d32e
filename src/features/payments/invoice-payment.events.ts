import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { invoiceReport } from '../../stripe/billing-reports.js';
import { idOf, type InvoiceId, type PaymentIntentId } from '../../stripe/types.js';
import { lockCycle } from '../invoices/invoice-record.js';
import { followCycle, type InvoiceIntent, linkToInvoice } from './payment-record.js';

// Stripe's invoices do not show in a payload what pays them, and neither do intents. Which belongs to which is told by
// `invoice_payment.paid` once the money came in; before that it is asked for. Listed after the invoices' own events, which make the rows.

/** Links what paid an invoice. */
const invoicePaid: EventHandler<EventOf<'invoice_payment.paid'>> = {
  exclusive: true,

  object: ({ data }) => idOf(data.object.invoice),

  async apply(em, { data }, { accountId }) {
    const { payment, invoice, amount_requested: amount } = data.object;
    const id = idOf<PaymentIntentId>(payment.payment_intent);
    const known = id && (await lockCycle(em, idOf<InvoiceId>(invoice)!, accountId));
    if (known) await linkToInvoice(em, known, { id, amount });
    return 'done';
  },
};

type InvoiceEvent = EventOf<
  | 'invoice.created'
  | 'invoice.updated'
  | 'invoice.finalized'
  | 'invoice.paid'
  | 'invoice.payment_succeeded'
  | 'invoice.payment_failed'
  | 'invoice.payment_action_required'
  | 'invoice.voided'
  | 'invoice.marked_uncollectible'
>;

/** Lets an invoice follow its payments whenever Stripe says something new of it. */
const invoiceFollows: EventHandler<InvoiceEvent> = {
  exclusive: true,

  async apply(em, { data }, { accountId }) {
    const known = await lockCycle(em, data.object.id as InvoiceId, accountId);
    if (known) await followCycle(em, known);
    return 'done';
  },
};

/** Links the intent of an invoice that waits: for its payer, after a failed try, or before the first one. */
const invoiceWaits: EventHandler<InvoiceEvent, { readonly intents: readonly InvoiceIntent[] }> = {
  exclusive: true,

  async apply(em, { type, data }, { accountId }, fetched) {
    const known = await lockCycle(em, data.object.id as InvoiceId, accountId);
    if (!known) return 'done';
    if (fetched) {
      for (const intent of fetched.intents) await linkToInvoice(em, known, intent);
      await followCycle(em, known);
      return 'done';
    }
    await followCycle(em, known);
    // A renewal is collected at once, and the news of that says what was charged; only a first invoice waits for its payer.
    const waits = type !== 'invoice.finalized' || data.object.billing_reason === 'subscription_create';
    if (!waits || data.object.amount_due <= 0) return 'done';
    const linked = await em.execute<object[]>('select from payments where invoice_id = ? limit 1', [known.invoice.id]);
    return linked.length > 0 ? 'done' : 'fetch';
  },

  async load({ data }, { stripe }) {
    const { paymentIntentIds, amountDue } = invoiceReport(await stripe.retrieveInvoice(data.object.id as InvoiceId));
    return { intents: (paymentIntentIds ?? []).map((id) => ({ id, amount: amountDue })) };
  },
};

export const invoicePaymentEvents = {
  'invoice_payment.paid': invoicePaid,
  'invoice.created': invoiceFollows,
  'invoice.updated': invoiceFollows,
  'invoice.finalized': invoiceWaits,
  'invoice.paid': invoiceFollows,
  'invoice.payment_succeeded': invoiceFollows,
  'invoice.payment_failed': invoiceWaits,
  'invoice.payment_action_required': invoiceWaits,
  'invoice.voided': invoiceFollows,
  'invoice.marked_uncollectible': invoiceFollows,
} satisfies EventHandlers;
