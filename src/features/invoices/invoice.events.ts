import { type EntityManager } from '@mikro-orm/postgresql';
import { type EventContext, type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import {
  invoiceReport,
  type InvoiceReport,
  subscriptionReport,
  type SubscriptionReport,
} from '../../stripe/billing-reports.js';
import { type AccountStripe } from '../../stripe/account-stripe.js';
import { idOf, type InvoiceId, type SubscriptionId } from '../../stripe/types.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { lockSubscription, recordSubscription, subscriptionVersion } from '../subscriptions/subscription-record.js';
import { ensureDraftFee, missingFee } from './draft-fee.js';
import { lockCycle, recordInvoice } from './invoice-record.js';

type InvoiceEvent = EventOf<
  | 'invoice.created'
  | 'invoice.updated'
  | 'invoice.finalized'
  | 'invoice.finalization_failed'
  | 'invoice.paid'
  | 'invoice.payment_succeeded'
  | 'invoice.payment_failed'
  | 'invoice.payment_action_required'
  | 'invoice.overdue'
  | 'invoice.overpaid'
  | 'invoice.voided'
  | 'invoice.marked_uncollectible'
>;

/** An invoice with all its lines, and the subscription that made it: its own events may come later. */
export interface LoadedInvoice {
  readonly invoice: InvoiceReport;
  readonly subscription: SubscriptionReport | null;
}

const invoiceChanged: EventHandler<InvoiceEvent, LoadedInvoice> = {
  exclusive: true,

  apply(em, { data }, context, fetched) {
    return record(em, fetched?.invoice ?? invoiceReport(data.object), context, fetched);
  },

  version: (em, { data }) => invoiceVersion(em, data.object.id, subscriptionOf(data.object)),
  load: ({ data }, { stripe }) => loadInvoice(stripe, data.object.id as InvoiceId),
};

/** Says which payment an invoice had; the payment itself is for those to note that know payments. */
const paymentMade: EventHandler<EventOf<'invoice_payment.paid'>, LoadedInvoice> = {
  exclusive: true,

  // In order with the invoice's own events.
  object: ({ data }) => idOf(data.object.invoice),

  async apply(em, { data }, context, fetched) {
    if (fetched) return record(em, fetched.invoice, context, fetched);
    return (await lockCycle(em, idOf<InvoiceId>(data.object.invoice)!, context.accountId)) ? 'done' : 'fetch';
  },

  version: (em, { data }) => invoiceVersion(em, idOf(data.object.invoice)!, null),
  load: ({ data }, { stripe }) => loadInvoice(stripe, idOf<InvoiceId>(data.object.invoice)!),
};

/** A credit note changes its invoice, and the note does not say to what. */
const creditNoted: EventHandler<
  EventOf<'credit_note.created' | 'credit_note.updated' | 'credit_note.voided'>,
  LoadedInvoice
> = {
  exclusive: true,

  object: ({ data }) => idOf(data.object.invoice),

  async apply(em, { data }, context, fetched) {
    if (fetched) return record(em, fetched.invoice, context, fetched);
    return (await lockCycle(em, idOf<InvoiceId>(data.object.invoice)!, context.accountId)) ? 'fetch' : 'done';
  },

  version: (em, { data }) => invoiceVersion(em, idOf(data.object.invoice)!, null),
  load: ({ data }, { stripe }) => loadInvoice(stripe, idOf<InvoiceId>(data.object.invoice)!),
};

/** Days ahead, of an invoice that does not exist yet and has no id. Kept with its payload; nothing changes by it. */
const announced: EventHandler<EventOf<'invoice.upcoming'>> = {
  object: ({ data }) => idOf(data.object.parent?.subscription_details?.subscription) ?? idOf(data.object.customer),
  apply: () => Promise.resolve('done'),
};

export const invoiceEvents = {
  'invoice.created': invoiceChanged,
  'invoice.updated': invoiceChanged,
  'invoice.finalized': invoiceChanged,
  'invoice.finalization_failed': invoiceChanged,
  'invoice.paid': invoiceChanged,
  'invoice.payment_succeeded': invoiceChanged,
  'invoice.payment_failed': invoiceChanged,
  'invoice.payment_action_required': invoiceChanged,
  'invoice.overdue': invoiceChanged,
  'invoice.overpaid': invoiceChanged,
  'invoice.voided': invoiceChanged,
  'invoice.marked_uncollectible': invoiceChanged,
  'invoice.upcoming': announced,
  'invoice_payment.paid': paymentMade,
  'credit_note.created': creditNoted,
  'credit_note.updated': creditNoted,
  'credit_note.voided': creditNoted,
} satisfies EventHandlers;

/** What the platform takes is set while the invoice is a draft. To be listed after the events above, which make the invoice. */
const drafted: EventHandler<EventOf<'invoice.created' | 'invoice.updated'>, { readonly fee: number | null }> = {
  exclusive: true,

  async apply(em, { data }, { accountId }, fetched) {
    if (fetched || data.object.status !== 'draft') return 'done';
    const known = await lockCycle(em, data.object.id as InvoiceId, accountId);
    return known && (await missingFee(em, known, data.object.amount_due)) !== null ? 'fetch' : 'done';
  },

  async load({ data }, { accountId, commands }) {
    const stripeInvoiceId = data.object.id as InvoiceId;
    // Looked up again: between the two, somebody else may have set it.
    const fee = await commands.db.transaction(async (em) => {
      const known = await lockCycle(em, stripeInvoiceId, accountId);
      return known && missingFee(em, known, data.object.amount_due);
    });
    if (fee !== null) await ensureDraftFee(commands, { stripeInvoiceId, accountId, fee });
    return { fee };
  },
};

export const draftFeeEvents = {
  'invoice.created': drafted,
  'invoice.updated': drafted,
} satisfies EventHandlers;

/** Records an invoice that was read just now. */
export async function recordLoadedInvoice(
  em: EntityManager,
  loaded: LoadedInvoice,
  context: Pick<EventContext, 'accountId' | 'created'>,
): Promise<void> {
  await record(em, loaded.invoice, context, loaded);
}

async function record(
  em: EntityManager,
  report: InvoiceReport,
  { accountId, created }: Pick<EventContext, 'accountId' | 'created'>,
  fetched: LoadedInvoice | null,
): Promise<'done' | 'fetch'> {
  if (report.subscriptionId === null) return 'done';
  // A payload shows the first ten lines.
  if (!fetched && report.hasMoreLines && report.status === 'draft') return 'fetch';
  const source = { accountId, asOf: created, fetched: fetched !== null };
  if (fetched?.subscription && !(await lockSubscription(em, fetched.subscription.id, accountId)))
    await recordSubscription(em, fetched.subscription, source);
  const recorded = await recordInvoice(em, report, source);
  if (recorded) return recorded.order === 'unclear' ? 'fetch' : 'done';
  if (fetched || report.customerId === null) return 'done';
  // The invoice came before its subscription; of somebody we do not know it is none of ours.
  const owner = { stripeCustomerId: report.customerId, stripeAccountId: accountId };
  return (await em.findOne(StripeCustomer, owner)) ? 'fetch' : 'done';
}

/** Reads an invoice with all its lines, and its subscription. */
export async function loadInvoice(stripe: AccountStripe, id: InvoiceId): Promise<LoadedInvoice> {
  const loaded = await stripe.retrieveInvoice(id);
  if (loaded.lines.has_more) loaded.lines.data = await stripe.listInvoiceLines(id);
  const invoice = invoiceReport(loaded);
  if (invoice.subscriptionId === null) return { invoice, subscription: null };
  return { invoice, subscription: subscriptionReport(await stripe.retrieveSubscription(invoice.subscriptionId)) };
}

function subscriptionOf(invoice: InvoiceEvent['data']['object']): SubscriptionId | null {
  return idOf(invoice.parent?.subscription_details?.subscription);
}

/** Locks what a report of an invoice changes, and says which version of it this is. */
export async function invoiceVersion(
  em: EntityManager,
  id: string,
  subscriptionId: SubscriptionId | null,
): Promise<string> {
  const subscription = subscriptionId && (await subscriptionVersion(em, subscriptionId));
  const rows = await em.execute<{ version: string }[]>(
    `select concat(c.updated_at, ' ', i.updated_at) as version from stripe_invoices c left join invoices i on i.id = c.invoice_id
     where c.stripe_invoice_id = ? for update of c`,
    [id],
  );
  return `${rows[0]?.version ?? ''} ${subscription ?? ''}`;
}
