import { readFile } from 'node:fs/promises';
import { buildSchema, type ExecutionResult, graphql, type GraphQLScalarType } from 'graphql';
import { formatMoney } from '../../src/shared/money.js';
import { type TestDatabase } from '../support/database.js';
import { type Row } from '../support/factories.js';

interface Page {
  first?: number | null;
  after?: string | null;
  last?: number | null;
  before?: string | null;
  filter?: Row | null;
  search?: string | null;
}

/**
 * The schema, answered as simply as can be: every object fetched by a statement of its own, lists fetched whole and cut in memory. It shares nothing
 * with the server but the text of its schema. Customers, invoices and payments; no cursors, but it takes those of the server.
 * @param placeOf which row a cursor of the server's stands for
 */
export async function reference(db: TestDatabase, tenantId: string, placeOf: ReadonlyMap<string, unknown>) {
  const schema = buildSchema(await readFile('schema.graphql', 'utf8'));
  Object.assign(schema.getType('URL') as GraphQLScalarType, { serialize: (value: string) => new URL(value).href });

  const rows = (sql: string, values: unknown[] = []) =>
    db.query<Row>(sql.replace('where', 'where tenant_id = $1 and'), [tenantId, ...values]);
  const money = (amount: unknown, currency: unknown) =>
    amount === null
      ? null
      : { amount: Number(amount), currency, formatted: formatMoney(Number(amount), currency as string) };

  const page = async (found: Promise<Row[]>, { first, after, last, before }: Page, make: (row: Row) => object) => {
    let list = await found;
    if ((first ?? last ?? 1) < 1 || (first ?? last ?? 1) > 100) throw new Error('Out of range.');
    const at = (cursor: string) => list.findIndex(({ id }) => id === placeOf.get(cursor));
    if (before) list = list.slice(0, at(before));
    const skipped = after ? at(after) + 1 : 0;
    list = list.slice(skipped);
    const size = first ?? last ?? 20;
    const cut = typeof last === 'number' ? list.slice(-size) : list.slice(0, size);
    const more = cut.length < list.length;
    const nodes = cut.map(make);
    return {
      nodes,
      edges: nodes.map((node) => ({ node })),
      pageInfo: {
        hasNextPage: typeof last === 'number' ? Boolean(before) : more,
        hasPreviousPage: typeof last === 'number' ? more : Boolean(after),
      },
    };
  };

  const customer = (row: Row) => ({ ...row, createdAt: iso(row.created_at) });
  const one = async (table: string, id: unknown, make: (row: Row) => object) => {
    const [row] = id === null ? [] : await rows(`select * from ${table} where id = $2`, [id]);
    return row ? make(row) : null;
  };
  const invoice = (row: Row): object => ({
    ...row,
    paymentStatus: row.payment_status,
    total: money(row.total, row.currency),
    amountPaid: money(row.amount_paid, row.currency),
    createdAt: iso(row.created_at),
    dueAt: iso(row.due_at),
    customer: () => one('customers', row.customer_id, customer),
    payments: (args: Page) =>
      page(
        rows('select * from payments where invoice_id = $2 order by created_at desc, id desc', [row.id]),
        args,
        payment,
      ),
  });
  const payment = (row: Row): object => ({
    ...row,
    amount: money(row.amount, row.currency),
    net: money(row.net, row.booked_currency),
    failure:
      row.failure_code === null
        ? null
        : { code: row.failure_code, declineCode: row.failure_decline_code, message: row.failure_message },
    receiptUrl: row.receipt_url,
    createdAt: iso(row.created_at),
    succeededAt: iso(row.succeeded_at),
    customer: () => one('customers', row.customer_id, customer),
    invoice: () => one('invoices', row.invoice_id, invoice),
  });

  const root = {
    customer: ({ id }: Row) => one('customers', id, customer),
    invoice: ({ id }: Row) => one('invoices', id, invoice),
    payment: ({ id }: Row) => one('payments', id, payment),
    customers: ({ search, ...args }: Page) =>
      page(
        rows('select * from customers where strpos(lower(name || email), lower($2)) > 0 order by name, id', [
          search ?? '',
        ]),
        args,
        customer,
      ),
    invoices: (args: Page) =>
      page(rows('select * from invoices where true order by created_at desc, id desc'), args, invoice),
    payments: ({ filter, ...args }: Page) =>
      page(
        rows('select * from payments where ($2::text[] is null or status = any($2)) and ($3::int is null or customer_id = $3) order by created_at desc, id desc', [filter?.status ?? null, filter?.customerId ?? null]), // prettier-ignore
        args,
        payment,
      ),
    viewer: {
      subject: 'user-1',
      role: 'ADMIN',
      tenant: () => db.query('select id, name from tenants where id = $1', [tenantId]).then(([row]) => row),
    },
    platform: () => {
      throw new Error('Not for the people of a tenant.');
    },
  };
  return (source: string, variableValues: Row): Promise<ExecutionResult> =>
    graphql({ schema, source, rootValue: root, variableValues });
}

function iso(value: unknown): string | null {
  return value instanceof Date ? value.toISOString() : null;
}
