import { type TenantRows } from '../../db/many-tenants.js';
import { Invoice } from '../invoices/invoice.entity.js';
import { type Share } from './invoice-share.js';
import { Payment } from './payment.entity.js';

// Payments and their invoices in sets: loaded and locked with one statement each, written with one each, and between the two the same entities
// that are used one by one.

/** A property, its column, and the column's type. */
type Column<Entity> = readonly [property: keyof Entity & string, column: string, type: string];

/** Whatever an event can change of a payment. */
const paymentColumns: readonly Column<Payment>[] = [
  ['status', 'status', 'text'],
  ['amountMinor', 'amount', 'bigint'],
  ['amountReceived', 'amount_received', 'bigint'],
  ['currency', 'currency', 'text'],
  ['requestedApplicationFee', 'requested_application_fee', 'bigint'],
  ['stripePaymentMethodId', 'stripe_payment_method_id', 'text'],
  ['stripeChargeId', 'stripe_charge_id', 'text'],
  ['stripeBalanceTransactionId', 'stripe_balance_transaction_id', 'text'],
  ['bookedCurrency', 'booked_currency', 'text'],
  ['bookedGross', 'booked_gross', 'bigint'],
  ['applicationFeeMinor', 'application_fee', 'bigint'],
  ['stripeFeeMinor', 'stripe_fee', 'bigint'],
  ['netMinor', 'net', 'bigint'],
  ['failureCode', 'failure_code', 'text'],
  ['failureDeclineCode', 'failure_decline_code', 'text'],
  ['failureMessage', 'failure_message', 'text'],
  ['amountRefunded', 'amount_refunded', 'bigint'],
  ['receiptUrl', 'receipt_url', 'text'],
  ['stripeAsOf', 'stripe_as_of', 'timestamptz'],
  ['chargeAsOf', 'charge_as_of', 'timestamptz'],
  ['succeededAt', 'succeeded_at', 'timestamptz'],
  ['canceledAt', 'canceled_at', 'timestamptz'],
];

const invoiceColumns: readonly Column<Invoice>[] = [
  ['status', 'status', 'text'],
  ['paymentStatus', 'payment_status', 'text'],
  ['amountPaidMinor', 'amount_paid', 'bigint'],
  ['paidAt', 'paid_at', 'timestamptz'],
];

const namesOf = <Entity>(columns: readonly Column<Entity>[], of = '') =>
  columns.map(([, column]) => of + column).join(', ');
const setsOf = <Entity>(columns: readonly Column<Entity>[]) =>
  columns.map(([, column]) => `${column} = r.${column}`).join(', ');
const typesOf = <Entity>(columns: readonly Column<Entity>[]) =>
  columns.map(([, column, type]) => `${column} ${type}`).join(', ');

// The invoice first, as everybody does who may change both, and each kind by its id: the payments are looked for when all invoices are held.
const lockRows = `with i as materialized (
    select i.id, i.subscription_id, i.total, i.amount_credited, c.attempts, ${namesOf(invoiceColumns, 'i.')}
    from invoices i left join stripe_invoices c on c.tenant_id = $1 and c.invoice_id = i.id
    where i.tenant_id = $1 and i.id in (select invoice_id from payments where tenant_id = $1 and stripe_payment_intent_id = any($2))
    order by i.id for no key update of i
  ), p as materialized (
    select id, invoice_id, stripe_account_id, stripe_payment_intent_id, ${namesOf(paymentColumns)} from payments
    where tenant_id = $1 and stripe_payment_intent_id = any($2) and (select count(*) from i) >= 0 order by id for no key update
  )
  select json_build_object('invoices', (select json_agg(i) from i), 'payments', (select json_agg(p) from p))`;
// A statement of its own: it sees what those have written for whom the locks had to wait.
const readBeside = `select json_build_object(
  'shares', (select json_agg(p) from (select id, invoice_id, status, amount_received, amount_refunded, succeeded_at from payments
    where tenant_id = $1 and invoice_id in (select invoice_id from payments where tenant_id = $1 and stripe_payment_intent_id = any($2))
    order by created_at, id) p))`;
const updatePayments = `update payments p set ${setsOf(paymentColumns)}
  from json_to_recordset($2) as r(id uuid, ${typesOf(paymentColumns)}) where p.tenant_id = $1 and p.id = r.id`;
const updateInvoices = `update invoices i set ${setsOf(invoiceColumns)}
  from json_to_recordset($2) as r(id integer, ${typesOf(invoiceColumns)}) where i.tenant_id = $1 and i.id = r.id`;

/** A payment's share as a row tells it. */
interface ShareRow {
  readonly id: string;
  readonly invoice_id: number;
  readonly status: Share['status'];
  readonly amount_received: number;
  readonly amount_refunded: number;
  readonly succeeded_at: string | null;
}

/** What is known of a share, and whose it is. */
interface InvoiceShare extends Share {
  readonly paymentId: string;
}

/** Payments by their intents, with all that they may change. */
export interface LockedPayments {
  readonly payments: ReadonlyMap<string, Payment>;
  readonly byId: ReadonlyMap<string, Payment>;
  readonly invoices: ReadonlyMap<number, Invoice>;
  /** How often Stripe tried to collect an invoice, where that is a subscription's cycle. */
  readonly attempts: ReadonlyMap<number, number>;
  /** All payments of each invoice, in the order in which they were asked for. */
  readonly shares: ReadonlyMap<number, readonly InvoiceShare[]>;
  /** Each row as it was loaded. */
  readonly before: ReadonlyMap<object, string>;
}

/** Loads and locks the payments of these intents, as far as they are known, and their invoices. One round trip. */
export async function lockInSets(rows: TenantRows, intentIds: readonly string[]): Promise<LockedPayments> {
  const [locked, beside] = await Promise.all([
    rows.ask<{ invoices: Row[] | null; payments: Row[] | null }>(lockRows, rows.tenantId, intentIds),
    rows.ask<{ shares: ShareRow[] | null }>(readBeside, rows.tenantId, intentIds),
  ]);
  const [invoiceRows, paymentRows] = [locked.invoices ?? [], locked.payments ?? []];
  const shares = new Map<number, InvoiceShare[]>();
  for (const row of beside.shares ?? []) {
    const share = {
      paymentId: row.id,
      status: row.status,
      received: row.amount_received,
      refunded: row.amount_refunded,
      succeededAt: row.succeeded_at === null ? null : new Date(row.succeeded_at),
    };
    const ofInvoice = shares.get(row.invoice_id);
    if (ofInvoice) ofInvoice.push(share);
    else shares.set(row.invoice_id, [share]);
  }
  const payments = new Map(paymentRows.map((row) => [row.stripe_payment_intent_id as string, paymentOf(row)]));
  const invoices = new Map(invoiceRows.map((row) => [row.id as number, invoiceOf(row)]));
  const before = new Map<object, string>();
  for (const payment of payments.values()) before.set(payment, rowOf(payment, paymentColumns));
  for (const invoice of invoices.values()) before.set(invoice, rowOf(invoice, invoiceColumns));
  return {
    payments,
    byId: new Map([...payments.values()].map((payment) => [payment.id, payment])),
    invoices,
    attempts: new Map(
      invoiceRows.filter(({ attempts }) => attempts !== null).map((row) => [row.id as number, row.attempts as number]),
    ),
    shares,
    before,
  };
}

/** Writes those that changed; goes with the next round trip. */
export function writeInSets(rows: TenantRows, { payments, invoices, before }: LockedPayments): void {
  const write = <Entity extends { readonly id: unknown }>(
    statement: string,
    entities: Iterable<Entity>,
    columns: readonly Column<Entity>[],
  ) => {
    const changed: string[] = [];
    for (const entity of entities) {
      const row = rowOf(entity, columns);
      if (row !== before.get(entity)) changed.push(row);
    }
    if (changed.length > 0) rows.tell(statement, rows.tenantId, `[${changed.join(',')}]`);
  };
  write(updatePayments, payments.values(), paymentColumns);
  write(updateInvoices, invoices.values(), invoiceColumns);
}

type Row = Readonly<Record<string, unknown>>;

function paymentOf(row: Row): Payment {
  const { id, invoice_id: invoiceId, stripe_account_id: stripeAccountId, stripe_payment_intent_id: intent } = row;
  return entityOf(Payment, { id, invoiceId, stripeAccountId, stripePaymentIntentId: intent }, row, paymentColumns);
}

function invoiceOf(row: Row): Invoice {
  const { id, subscription_id: subscriptionId, total: totalMinor, amount_credited: amountCreditedMinor } = row;
  return entityOf(Invoice, { id, subscriptionId, totalMinor, amountCreditedMinor }, row, invoiceColumns);
}

/**
 * An entity that no unit of work knows, with what was loaded and no more. It is not constructed: each property of an entity that MikroORM has seen
 * begins with a setter that defines a getter and a setter, which for one payment took longer than all that is decided about it.
 */
function entityOf<Entity extends object>(
  type: new () => Entity,
  fields: Record<string, unknown>,
  row: Row,
  columns: readonly Column<Entity>[],
): Entity {
  for (const [property, column, type] of columns) {
    const value = row[column] ?? null;
    fields[property] = type === 'timestamptz' && value !== null ? new Date(value as string) : value;
  }
  return Object.setPrototypeOf(fields, type.prototype as object) as Entity;
}

function rowOf<Entity extends { readonly id: unknown }>(entity: Entity, columns: readonly Column<Entity>[]): string {
  const row: Record<string, unknown> = { id: entity.id };
  // What is left out is null.
  for (const [property, column] of columns) if (entity[property] !== null) row[column] = entity[property];
  return JSON.stringify(row);
}
