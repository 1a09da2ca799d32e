import { type EntityManager } from '@mikro-orm/postgresql';
import {
  type DriftCheck,
  type DriftContext,
  differencesOf,
  type Facts,
  listedCandidates,
  orNull,
  repairFetched,
} from '../../jobs/drift.js';
import { invoiceReport, type InvoiceReport } from '../../stripe/billing-reports.js';
import { type InvoiceId } from '../../stripe/types.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { Invoice } from '../invoices/invoice.entity.js';
import { invoiceVersion, type LoadedInvoice, loadInvoice, recordLoadedInvoice } from '../invoices/invoice.events.js';
import { lockCycle } from '../invoices/invoice-record.js';
import { StripeInvoice } from '../invoices/stripe-invoice.entity.js';
import { followCycle, linkToInvoice } from './payment-record.js';

/** Compares the invoices of subscriptions: those made since, and those of ours that are still to be paid. */
export const invoiceDrift: DriftCheck = {
  object: 'invoice',

  candidates(context) {
    const { accountId, since, stripe } = context;
    return listedCandidates(context, {
      list: stripe.listInvoices({ since }),
      report: invoiceReport,
      differences,
      ours: [
        `select c.stripe_invoice_id as id from stripe_invoices c join invoices i on i.tenant_id = c.tenant_id and i.id = c.invoice_id
         where c.stripe_account_id = ? and (i.created_at >= ? or i.status in ('DRAFT', 'OPEN'))`,
        [accountId, since],
      ],
    });
  },

  async compare(context, stripeId) {
    await context.spend();
    const loaded = await load(context, stripeId);
    return differences(context, stripeId, loaded && loaded.invoice);
  },

  repair: (context, stripeId) =>
    repairFetched<LoadedInvoice | null>(context, {
      version: (em) => invoiceVersion(em, stripeId, null),
      load: () => load(context, stripeId),
      apply: (em, loaded) => (loaded ? apply(em, context, loaded) : Promise.resolve()),
    }),
};

/** As its events would, one after the other: the row, what was asked for to pay it, and how far it is paid. */
async function apply(em: EntityManager, { accountId }: DriftContext, loaded: LoadedInvoice): Promise<void> {
  const { id, created, paymentIntentIds, amountDue } = loaded.invoice;
  await recordLoadedInvoice(em, loaded, { accountId, created });
  const known = await lockCycle(em, id, accountId);
  if (!known) return;
  for (const intent of paymentIntentIds ?? []) await linkToInvoice(em, known, { id: intent, amount: amountDue });
  await followCycle(em, known);
}

async function differences({ db, accountId }: DriftContext, id: string, report: InvoiceReport | null) {
  if (report && report.subscriptionId === null) return [];
  const { cycle, invoice, isOurs } = await db.transaction(async (em) => {
    const where = { stripeInvoiceId: id as InvoiceId, stripeAccountId: accountId };
    const cycle = await em.findOne(StripeInvoice, where);
    const invoice = cycle && (await em.findOne(Invoice, { id: cycle.invoiceId! }));
    const customer = report && { stripeCustomerId: report.customerId!, stripeAccountId: accountId };
    return { cycle, invoice, isOurs: cycle !== null || (customer && (await em.findOne(StripeCustomer, customer))) };
  });
  // Of a customer who is none of ours it is none of ours.
  if (!isOurs) return [];
  const ours = cycle && invoice && { id: String(invoice.id), facts: factsOf(cycle, invoice) };
  return differencesOf(ours, report && stripesFacts(report));
}

function factsOf(cycle: StripeInvoice, invoice: Invoice): Facts {
  const { status, currency, totalMinor, amountPaidMinor, amountCreditedMinor, dueAt } = invoice;
  const { subtotalMinor, taxMinor, creditNotedMinor, attempts, nextAttemptAt } = cycle;
  return {
    ...{ status, currency, attempts },
    total: Number(totalMinor),
    amountPaid: Number(amountPaidMinor),
    amountCredited: Number(amountCreditedMinor),
    subtotal: Number(subtotalMinor),
    tax: Number(taxMinor),
    creditNoted: Number(creditNotedMinor),
    dueAt: dueAt?.toISOString() ?? null,
    nextAttemptAt: nextAttemptAt?.toISOString() ?? null,
  };
}

/** What an invoice would be that was told of this and nothing else: so both sides go through one translation. */
function stripesFacts(report: InvoiceReport): Facts {
  const [cycle, invoice] = [new StripeInvoice(), Object.assign(new Invoice(), { currency: report.currency })];
  cycle.takeOver(report, report.created);
  invoice.takeOver(report);
  return factsOf(cycle, invoice);
}

function load({ stripe }: DriftContext, id: string): Promise<LoadedInvoice | null> {
  return orNull(loadInvoice(stripe, id as InvoiceId));
}
