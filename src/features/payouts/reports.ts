import { type TenantDb } from '../../db/database.js';
import { minorDigits } from '../../shared/money.js';

/** A number or an amount: what a spreadsheet may take for one. Texts are not written like this, whatever they look like. */
export class Figure {
  constructor(readonly text: string) {}
}

type Cell = string | Figure | null;
type Row = Readonly<Record<string, unknown>>;

/** From when to when; either may be left open. */
export interface Span {
  readonly from: Date | null;
  readonly to: Date | null;
}

/** A table that is written out row by row. */
export interface Report {
  readonly columns: readonly string[];
  /** A page of rows in their order, after the given one. */
  readonly sql: string;
  /** The values of a row by which the next page is found; the same number as `sql` has placeholders for them. */
  readonly place: (row: Row) => readonly unknown[];
  readonly start: readonly unknown[];
  readonly cells: (row: Row) => readonly Cell[];
  /** Done once, before the first row is read. */
  readonly prepare?: (db: TenantDb) => Promise<unknown>;
}

/** So many rows a page has; the last one has fewer. */
export const pageSize = 1_000;

/** Minor units as people write them: 9430 usd is 94.30. Never through a float. */
export function decimalOf(minor: unknown, currency: unknown): Figure | null {
  if (minor === null || minor === undefined) return null;
  const digits = minorDigits(String(currency));
  const amount = BigInt(minor as string);
  const text = (amount < 0n ? -amount : amount).toString().padStart(digits + 1, '0');
  const whole = text.slice(0, text.length - digits);
  return new Figure(`${amount < 0n ? '-' : ''}${whole}${digits ? `.${text.slice(-digits)}` : ''}`);
}

/** An instant as RFC 3339 writes it. */
export const time = (value: unknown): string | null =>
  value === null ? null : new Date(value as string).toISOString();
const text = (value: unknown): string | null => (value as string | number | null | undefined)?.toString() ?? null;

const payments: Report = {
  columns: [
    ...[
      'id',
      'created_at',
      'succeeded_at',
      'status',
      'customer',
      'invoice',
      'currency',
      'amount',
      'received',
      'refunded',
    ],
    ...[
      'booked_currency',
      'gross',
      'stripe_fee',
      'application_fee',
      'net',
      'dispute',
      'stripe_payment_intent',
      'payout',
      'description',
    ],
  ],
  sql: `select p.*, p.created_at::text as place, c.name as customer, i.number as invoice, o.stripe_payout_id as payout
    from (select * from payments where (created_at, id) > (?::timestamptz, ?::uuid) and created_at >= ? and created_at < ?
      order by created_at, id limit ${pageSize}) p
    left join customers c on c.tenant_id = p.tenant_id and c.id = p.customer_id
    left join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
    left join lateral (select o.stripe_payout_id from ledger_transactions t
      join payout_transactions x on x.tenant_id = t.tenant_id and x.transaction_id = t.id
      join payouts o on o.tenant_id = x.tenant_id and o.id = x.payout_id
      where t.tenant_id = p.tenant_id and t.stripe_charge_id = p.stripe_charge_id and t.category = 'charge' limit 1) o on true
    order by p.created_at, p.id`,
  place: (row) => [row.place, row.id],
  start: ['-infinity', '00000000-0000-0000-0000-000000000000'],
  cells: (row) => [
    ...[
      text(row.id),
      time(row.created_at),
      time(row.succeeded_at),
      text(row.status),
      text(row.customer),
      text(row.invoice),
    ],
    text(row.currency),
    ...[row.amount, row.amount_received, row.amount_refunded].map((amount) => decimalOf(amount, row.currency)),
    text(row.booked_currency),
    ...[row.booked_gross, row.stripe_fee, row.application_fee, row.net].map((amount) =>
      decimalOf(amount, row.booked_currency),
    ),
    ...[text(row.dispute_state), text(row.stripe_payment_intent_id), text(row.payout), text(row.description)],
  ],
};

const ledger: Report = {
  columns: [
    ...['number', 'booked_at', 'transaction', 'type', 'category', 'account', 'currency', 'debit', 'credit', 'balance'],
    ...['stripe_balance_transaction', 'source', 'payment', 'description'],
  ],
  sql: `select l.*, t.number as transaction, t.type, t.category, t.stripe_balance_transaction_id, t.source_id, t.description, p.id as payment
    from (select * from ledger_postings where number > ? and booked_at >= ? and booked_at < ? order by number limit ${pageSize}) l
    join ledger_transactions t on t.tenant_id = l.tenant_id and t.id = l.transaction_id
    left join payments p on p.tenant_id = l.tenant_id and p.stripe_charge_id = l.stripe_charge_id
    order by l.number`,
  place: (row) => [row.number],
  start: [0],
  cells: (row) => {
    const amount = BigInt(row.amount as string);
    return [
      ...[new Figure(String(row.number)), time(row.booked_at), new Figure(String(row.transaction))],
      ...[text(row.type), text(row.category), text(row.account), text(row.currency)],
      amount > 0n ? decimalOf(amount, row.currency) : null,
      amount < 0n ? decimalOf(-amount, row.currency) : null,
      decimalOf(row.balance, row.currency),
      ...[text(row.stripe_balance_transaction_id), text(row.source_id), text(row.payment), text(row.description)],
    ];
  },
};

const payouts: Report = {
  columns: [
    ...[
      'id',
      'created_at',
      'arrival_date',
      'status',
      'automatic',
      'currency',
      'amount',
      'payments',
      'refunds',
      'disputes',
      'fees',
    ],
    ...['adjustments', 'total', 'stripe_payout', 'statement_descriptor', 'failure'],
  ],
  sql: `select *, stripe_created_at::text as place from payout_statements
    where (stripe_created_at, id) > (?::timestamptz, ?::uuid) and stripe_created_at >= ? and stripe_created_at < ?
    order by stripe_created_at, id limit ${pageSize}`,
  place: (row) => [row.place, row.id],
  start: payments.start,
  cells: (row) => [
    ...[
      text(row.id),
      time(row.stripe_created_at),
      time(row.arrival_date),
      text(row.status),
      row.automatic ? 'yes' : 'no',
    ],
    text(row.currency),
    ...[row.amount, row.payments, row.refunds, row.disputes, row.fees, row.adjustments, row.total].map((amount) =>
      decimalOf(amount, row.currency),
    ),
    ...[text(row.stripe_payout_id), text(row.statement_descriptor), text(row.failure_code)],
  ],
};

/** What can be had as CSV. */
export const reports: Readonly<Record<string, Report>> = { payments, ledger, payouts };

/**
 * The rows of a report, oldest first. A thousand at a time, each thousand in a short transaction of its own: memory stays flat however many there
 * are, and a reader who takes them slowly keeps no transaction open.
 */
export async function* rowsOf(db: TenantDb, report: Report, { from, to }: Span): AsyncGenerator<readonly Cell[]> {
  const bounds = [from?.toISOString() ?? '-infinity', to?.toISOString() ?? 'infinity'];
  await report.prepare?.(db);
  let place = report.start;
  for (;;) {
    const at = place;
    const rows = await db.transaction((em) => em.execute<Row[]>(report.sql, [...at, ...bounds]));
    for (const row of rows) yield report.cells(row);
    const last = rows.at(-1);
    if (!last || rows.length < pageSize) return;
    place = report.place(last);
  }
}
