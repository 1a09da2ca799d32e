import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type Order } from '../../shared/ordering.js';
import { type InvoiceReport } from '../../stripe/billing-reports.js';
import { type AccountId, type InvoiceId } from '../../stripe/types.js';
import { StripeSubscription } from '../subscriptions/subscription.entity.js';
import { type BillingSource } from '../subscriptions/subscription-record.js';
import { Invoice, InvoiceStatus } from './invoice.entity.js';
import { StripeInvoice } from './stripe-invoice.entity.js';

// The one place where the invoices that subscriptions make at Stripe become invoices of the PSA's. One for each, whoever reports it.

/** An invoice of the PSA's, and the cycle of a subscription that it bills. Both are locked. */
export interface CycleInvoice {
  readonly invoice: Invoice;
  readonly cycle: StripeInvoice;
}

const locked = { lockMode: LockMode.PESSIMISTIC_WRITE } as const;

/**
 * What a transaction has locked: an EntityManager lives as long as its transaction. One batch of events names an invoice some twenty times,
 * and nobody else can change it meanwhile.
 */
const lockedBy = new WeakMap<EntityManager, Map<InvoiceId, CycleInvoice>>();

/** The invoice of a cycle that is known already, locked. */
export async function lockCycle(
  em: EntityManager,
  stripeInvoiceId: InvoiceId,
  stripeAccountId: AccountId,
): Promise<CycleInvoice | null> {
  const held = lockedBy.get(em)?.get(stripeInvoiceId);
  // Only while it is what is written: another copy of the row may have taken its place.
  const isManaged =
    held && em.getUnitOfWork().getById<Invoice>(Invoice, [tenantOf(em), held.invoice.id]) === held.invoice;
  if (isManaged && held.cycle.stripeAccountId === stripeAccountId) return held;
  const cycle = await em.findOne(StripeInvoice, { stripeInvoiceId, stripeAccountId }, locked);
  if (!cycle || cycle.invoiceId === null) return null;
  return keep(em, { cycle, invoice: await em.findOneOrFail(Invoice, { id: cycle.invoiceId }, locked) });
}

function keep(em: EntityManager, known: CycleInvoice): CycleInvoice {
  const held = lockedBy.get(em) ?? new Map<InvoiceId, CycleInvoice>();
  lockedBy.set(em, held.set(known.cycle.stripeInvoiceId, known));
  return known;
}

/**
 * Records what Stripe says of the invoice of a cycle: makes the PSA's invoice when it is seen first, with the next number.
 * @returns null when its subscription is not known; `unclear` when the report cannot be put in order: fetch the invoice and record that
 */
export async function recordInvoice(
  em: EntityManager,
  report: InvoiceReport,
  source: BillingSource,
): Promise<(CycleInvoice & { readonly order: Order }) | null> {
  const { accountId } = source;
  const known = await lockCycle(em, report.id, accountId);
  if (known) {
    const { invoice, cycle } = known;
    const state = {
      status: invoice.stripeStatus,
      paid: invoice.amountPaidMinor,
      credited: invoice.amountCreditedMinor,
    };
    const order = cycle.order(report, state, source);
    if (order === 'newer') {
      if (invoice.status === InvoiceStatus.DRAFT) await rewriteLines(em, invoice.id, report);
      cycle.takeOver(report, source.asOf);
      invoice.takeOver(report);
    }
    return { invoice, cycle, order };
  }
  if (report.subscriptionId === null) return null;
  const where = { stripeSubscriptionId: report.subscriptionId, stripeAccountId: accountId };
  const subscription = await em.findOne(StripeSubscription, where);
  if (!subscription) return null;
  // Two events of one invoice may be here at once; the second waits for the first, and takes its rows.
  const [made] = await em.execute<{ id: string }[]>(
    `insert into stripe_invoices (tenant_id, livemode, stripe_account_id, stripe_invoice_id, subscription_id, currency)
     values (?, ?, ?, ?, ?, ?) on conflict (tenant_id, stripe_invoice_id) do nothing returning id`,
    [tenantOf(em), livemodeOf(em), accountId, report.id, subscription.id, report.currency],
  );
  if (!made) return recordInvoice(em, report, source);
  return { ...(await addInvoice(em, report, subscription, source)), order: 'newer' };
}

async function addInvoice(
  em: EntityManager,
  report: InvoiceReport,
  subscription: StripeSubscription,
  { accountId, asOf }: BillingSource,
): Promise<CycleInvoice> {
  const cycle = await em.findOneOrFail(
    StripeInvoice,
    { stripeInvoiceId: report.id, stripeAccountId: accountId },
    locked,
  );
  const invoice = Object.assign(new Invoice(), {
    customerId: subscription.customerId,
    contractId: subscription.contractId,
    subscriptionId: subscription.id,
    number: await nextNumber(em),
    currency: report.currency,
    // Stripe's, so that invoices that are heard of late stand where they belong.
    createdAt: report.created,
  });
  invoice.takeOver(report);
  cycle.takeOver(report, asOf);
  em.persist(invoice);
  await em.flush();
  cycle.invoiceId = invoice.id;
  await insertLines(em, invoice.id, report);
  return { invoice, cycle };
}

/** The lines of a draft are written anew: what was pending has come on it, or was taken off. */
async function rewriteLines(em: EntityManager, invoiceId: number, report: InvoiceReport): Promise<void> {
  await em.execute('delete from invoice_lines where invoice_id = ?', [invoiceId]);
  await insertLines(em, invoiceId, report);
}

async function insertLines(em: EntityManager, invoiceId: number, { lines, currency }: InvoiceReport): Promise<void> {
  if (lines.length === 0) return;
  const rows = lines.map((line, position) => ({
    position,
    stripe_line_id: line.id,
    description: line.description,
    quantity: line.quantity,
    amount: line.amount,
    tax: line.tax,
    proration: line.proration,
    period_start: line.periodStart,
    period_end: line.periodEnd,
  }));
  await em.execute(
    `insert into invoice_lines (tenant_id, livemode, invoice_id, currency, position, stripe_line_id, description, quantity, amount, tax,
       proration, period_start, period_end)
     select ?, ?, ?, ?, l.* from jsonb_to_recordset(?::jsonb) as l (position int, stripe_line_id text, description text, quantity int,
       amount bigint, tax bigint, proration boolean, period_start timestamptz, period_end timestamptz)`,
    [tenantOf(em), livemodeOf(em), invoiceId, currency, JSON.stringify(rows)],
  );
}

/** What the numbers of a tenant begin with, until somebody writes another prefix into its line. Test mode must not use up live numbers. */
const prefixes = { live: 'SUB-', test: 'TEST-SUB-' };

/**
 * The tenant's next invoice number. Taken in the transaction that makes the invoice: nobody else gets one meanwhile, and an invoice that
 * is not made leaves no gap. Numbers that the PSA has given itself are passed over.
 */
async function nextNumber(em: EntityManager): Promise<string> {
  const livemode = livemodeOf(em);
  for (;;) {
    const [row] = await em.execute<{ prefix: string; number: number }[]>(
      `insert into invoice_numbers as n (tenant_id, livemode, prefix, next) values (?, ?, ?, 2)
       on conflict (tenant_id, livemode) do update set next = n.next + 1 returning prefix, next - 1 as number`,
      [tenantOf(em), livemode, livemode ? prefixes.live : prefixes.test],
    );
    const number = `${row!.prefix}${String(row!.number).padStart(6, '0')}`;
    const taken = await em.execute<object[]>('select from invoices where number = ? limit 1', [number]);
    if (taken.length === 0) return number;
  }
}
