import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { together, withNext } from '../../db/together.js';
import { type Order } from '../../shared/ordering.js';
import { isUuid, type Uuid } from '../../shared/uuid.js';
import { type ChargeReport, type IntentReport } from '../../stripe/reports.js';
import { type AccountId, type Metadata, type PaymentIntentId } from '../../stripe/types.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { Invoice } from '../invoices/invoice.entity.js';
import { type CycleInvoice } from '../invoices/invoice-record.js';
import { StripeInvoice } from '../invoices/stripe-invoice.entity.js';
import { followPayments, isOpen, isSameShare, type Share, shareOf, sumsOf } from './invoice-share.js';
import { Payment } from './payment.entity.js';
import { cancelSuperseded, openPayments } from './superseded.js';

// The one place where what Stripe says of a payment becomes rows: the answers to our own calls, webhooks and look-ups all end here.

/** What an intent of ours carries at Stripe, so that it can be found, and a webhook that is quicker than our own answer finds its row. */
export const paymentKey = 'psa_payment_id';

/** Where a report comes from. */
export interface Source {
  readonly accountId: AccountId;
  /** Stripe's stamp of the report. */
  readonly asOf: Date;
  /** Whether it was read from Stripe, and nothing was written in between. */
  readonly fetched: boolean;
}

/** The latest moment that an answer of Stripe surely knew of: answers carry no stamp of their own. */
export function stampOf({ created, charge, canceledAt }: IntentReport): Date {
  return new Date(Math.max(+created, +(charge?.created ?? 0), +(canceledAt ?? 0)));
}

/**
 * Records what Stripe says of an intent, and lets the invoice follow. An intent that we did not make becomes a payment, too.
 * @returns `unclear`: the report cannot be put in order; fetch the intent and record that
 */
export async function recordIntent(em: EntityManager, report: IntentReport, source: Source): Promise<Order> {
  const [invoices, known] = await lock(em, report.id, report.metadata, source.accountId);
  const payment = known ?? (await adopt(em, report, report.id, source.accountId));
  const before = shareOf(payment);
  // An intent that is made just as its invoice is paid is one too many, as well.
  const isNew = !payment.stripePaymentIntentId;
  const order = payment.applyIntent(report, source.asOf, source.fetched);
  if (isNew || !isSameShare(shareOf(payment), before)) await followInvoice(em, payment, before, source.asOf, invoices);
  return order;
}

/**
 * Records what Stripe says of a charge.
 * @param canAsk whether Stripe can be asked for what the report leaves out; if not, what it says is all there is
 * @returns `unclear` also when it is booked and the report does not say how
 */
export async function recordCharge(
  em: EntityManager,
  report: ChargeReport,
  source: Source,
  canAsk = true,
): Promise<Order> {
  // Without an intent it was made past everything that this server does; and a failed try is told by its intent.
  if (!report.paymentIntentId || report.status !== 'succeeded') return 'stale';
  const [invoices, known] = await lock(em, report.paymentIntentId, report.metadata, source.accountId);
  const payment = known ?? (await adopt(em, report, report.paymentIntentId, source.accountId));
  if (canAsk && payment.lacksBooking(report)) return 'unclear';
  const before = shareOf(payment);
  const order = payment.applyCharge(report, source.asOf, source.fetched);
  if (!isSameShare(shareOf(payment), before)) await followInvoice(em, payment, before, source.asOf, invoices);
  return order;
}

/** An intent that Stripe made to collect the invoice of a cycle. */
export interface InvoiceIntent {
  readonly id: PaymentIntentId;
  /** Minor units that were asked for. */
  readonly amount: number;
}

/**
 * Joins the payment that Stripe made for the invoice of a cycle with that invoice and its subscription, and lets the invoice follow. The
 * intent itself does not know its invoice, and may not have been heard of yet.
 */
export async function linkToInvoice(
  em: EntityManager,
  { invoice, cycle }: CycleInvoice,
  { id, amount }: InvoiceIntent,
): Promise<void> {
  const { stripeAccountId, subscriptionId } = cycle;
  const stranger = { amount, currency: invoice.currency, customerId: null };
  const payment = (await lockPayment(em, id, {}, stripeAccountId)) ?? (await adopt(em, stranger, id, stripeAccountId));
  if (payment.invoiceId !== null) return;
  Object.assign(payment, { invoiceId: invoice.id, subscriptionId, customerId: invoice.customerId });
  await followCycle(em, { invoice, cycle });
}

/** Says how far the invoice of a cycle is paid, by its payments as they are. Its row is locked by the caller. */
export async function followCycle(em: EntityManager, { invoice, cycle }: CycleInvoice): Promise<void> {
  await em.flush();
  invoice.followCycle(sumsOf(await sharesOf(em, invoice.id)), cycle.attempts);
}

/** The payment of an intent, locked, as {@link lockPayment} finds it, and its invoice, locked before it. */
function lock(
  em: EntityManager,
  ...which: [PaymentIntentId, Metadata, AccountId]
): Promise<[Invoice[], Payment | null]> {
  return together(
    em,
    () => lockInvoiceOf(em, ...which),
    () => lockPayment(em, ...which),
  );
}

/**
 * Whoever changes an invoice and its payments locks the invoice first: the news of the two arrive side by side, and would otherwise wait
 * for one another.
 */
async function lockInvoiceOf(
  em: EntityManager,
  intentId: PaymentIntentId,
  metadata: Metadata,
  accountId: AccountId,
): Promise<Invoice[]> {
  // By our own id, too: the row may not have heard of its intent yet.
  const ours = metadata[paymentKey];
  const rows = await em.execute<Record<string, unknown>[]>(
    `select * from invoices where id in (
       select invoice_id from payments where stripe_payment_intent_id = ? and stripe_account_id = ?
       union select invoice_id from payments where id = ?) order by id for no key update`,
    [intentId, accountId, isUuid(ours) ? ours : null],
  );
  // One that this transaction knows may have changes that are not written yet.
  const known = ({ tenant_id: tenantId, id }: Record<string, unknown>) =>
    em.getUnitOfWork().getById<Invoice>(Invoice, [tenantId, id] as [Uuid, number]);
  return rows.map((row) => known(row) ?? em.map(Invoice, row));
}

/**
 * Locks a payment, and its invoice before it, as everybody does who may change both.
 * @returns which version of the payment this is; null when there is none
 */
export async function paymentVersion(
  em: EntityManager,
  by: { readonly id: string } | { readonly intentId: string | null; readonly accountId: string },
): Promise<string | null> {
  const [which, values] =
    'id' in by
      ? ['id = ?', [by.id]]
      : ['stripe_payment_intent_id = ? and stripe_account_id = ?', [by.intentId, by.accountId]];
  await em.execute(
    `select id from invoices where id = (select invoice_id from payments where ${which}) for no key update`,
    values,
  );
  const rows = await em.execute<{ version: string }[]>(
    `select updated_at::text as version from payments where ${which} for update`,
    values,
  );
  return rows[0]?.version ?? null;
}

/**
 * The payment of an intent, locked: the row we made for it, even when our own transaction has not heard of the intent yet.
 * @returns null for an intent that we did not make and do not know
 */
async function lockPayment(
  em: EntityManager,
  stripePaymentIntentId: PaymentIntentId,
  metadata: Metadata,
  accountId: AccountId,
): Promise<Payment | null> {
  const lock = { lockMode: LockMode.PESSIMISTIC_WRITE } as const;
  const id = metadata[paymentKey];
  if (isUuid(id)) {
    const ours = await em.findOne(Payment, { id, stripeAccountId: accountId }, lock);
    // Metadata can be copied to another intent in the dashboard; a row belongs to the first.
    if (ours && (ours.stripePaymentIntentId ?? stripePaymentIntentId) === stripePaymentIntentId) return ours;
  }
  return em.findOne(Payment, { stripePaymentIntentId, stripeAccountId: accountId }, lock);
}

/** What may be taken over of an intent or of a charge when it is seen for the first time. */
type Stranger = Pick<IntentReport, 'amount' | 'currency' | 'customerId'>;

/** Makes the row of an intent that was made elsewhere: in the dashboard, or by an invoice of Stripe's. */
async function adopt(
  em: EntityManager,
  { amount, currency, customerId }: Stranger,
  stripePaymentIntentId: PaymentIntentId,
  stripeAccountId: AccountId,
): Promise<Payment> {
  const customer = customerId && (await em.findOne(StripeCustomer, { stripeCustomerId: customerId }));
  // Two events of one intent may be here at once; the second waits for the first, and takes its row.
  await em.execute(
    `insert into payments (tenant_id, livemode, customer_id, stripe_account_id, stripe_payment_intent_id, amount, currency)
     values (?, ?, ?, ?, ?, ?, ?) on conflict (tenant_id, stripe_payment_intent_id) do nothing`,
    [
      tenantOf(em),
      livemodeOf(em),
      customer ? customer.customerId : null,
      stripeAccountId,
      stripePaymentIntentId,
      amount,
      currency,
    ],
  );
  return em.findOneOrFail(Payment, { stripePaymentIntentId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** Adds up the payments of an invoice, while nobody else can, and gives up those for which it has no room left. */
async function followInvoice(
  em: EntityManager,
  payment: Payment,
  before: Share,
  asOf: Date,
  locked: readonly Invoice[],
): Promise<void> {
  const { invoiceId: id } = payment;
  if (id === null) return;
  const invoice =
    locked.find((one) => one.id === id) ??
    (await em.findOne(Invoice, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE }));
  if (!invoice) return;
  if (invoice.isCycle) {
    const cycle = await em.findOne(StripeInvoice, { invoiceId: invoice.id });
    if (cycle) return followCycle(em, { invoice, cycle });
  }
  await withNext(em);
  const [payments, open] = await together(
    em,
    () => sharesOf(em, id),
    () => openPayments(em, id),
  );
  followPayments(invoice, payments, payment.amountReceived - before.received, asOf);
  if (payments.some(isOpen)) await cancelSuperseded(em, invoice, open);
}

/** All payments of an invoice, in the order in which they were asked for. */
async function sharesOf(em: EntityManager, invoiceId: number): Promise<Share[]> {
  const rows = await em.execute<ShareRow[]>(
    'select status, amount_received, amount_refunded, succeeded_at from payments where invoice_id = ? order by created_at, id',
    [invoiceId],
  );
  return rows.map((row) => ({
    status: row.status,
    received: Number(row.amount_received),
    refunded: Number(row.amount_refunded),
    succeededAt: row.succeeded_at === null ? null : new Date(row.succeeded_at),
  }));
}

interface ShareRow {
  readonly status: Share['status'];
  readonly amount_received: string | number;
  readonly amount_refunded: string | number;
  readonly succeeded_at: string | Date | null;
}
