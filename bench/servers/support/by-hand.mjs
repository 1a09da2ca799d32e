// What the two servers that are written by hand share: a schema like ours, and how a careful person resolves it. A request has one transaction, opened
// in one round trip when it first asks the database; a list is one statement, and what its rows point to is fetched for all of them together.
import pg from 'pg';
import { opening } from './viewer.mjs';

export const typeDefs = `
scalar DateTime
scalar SafeInt
type Money { amount: SafeInt! currency: String! }
type Customer { id: Int! name: String! }
type Invoice { id: Int! number: String! status: String! }
type Payment { id: ID! amount: Money! status: String! createdAt: DateTime! customer: Customer invoice: Invoice }
type PageInfo { endCursor: String hasNextPage: Boolean! }
type PaymentConnection { nodes: [Payment!]! pageInfo: PageInfo! }
type Query { payments(first: Int = 20, after: String): PaymentConnection! }
`;

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });

/** The database as one request sees it. */
export class Session {
  constructor(tenantId) {
    this.tenantId = tenantId;
  }

  async query(name, text, values) {
    this.client ??= this.#open();
    const client = await this.client;
    return (await client.query({ name, text, values })).rows;
  }

  async #open() {
    const client = await pool.connect();
    await client.query(opening(this.tenantId));
    return client;
  }

  /** To be called when the answer is complete. */
  async end() {
    const client = await this.client;
    if (!client) return;
    await client.query('commit');
    client.release();
  }
}

export async function payments(session, { first, after }) {
  const place = after ? JSON.parse(Buffer.from(after, 'base64url').toString()) : null;
  const columns = 'id, amount, currency, status, created_at, customer_id, invoice_id';
  const rows = place
    ? await session.query(
        'after',
        `select ${columns} from payments where (created_at, id) < ($1, $2) order by created_at desc, id desc limit $3`,
        [...place, first + 1],
      )
    : await session.query('first', `select ${columns} from payments order by created_at desc, id desc limit $1`, [
        first + 1,
      ]);
  const nodes = rows.slice(0, first);
  const last = nodes.at(-1);
  return {
    nodes,
    pageInfo: {
      endCursor: last ? Buffer.from(JSON.stringify([last.created_at, last.id])).toString('base64url') : null,
      hasNextPage: rows.length > first,
    },
  };
}

export const customers = (session, ids) =>
  byId(session, 'customers', 'select id, name from customers where id = any($1::int[])', ids);
export const invoices = (session, ids) =>
  byId(session, 'invoices', 'select id, number, status from invoices where id = any($1::int[])', ids);

async function byId(session, name, text, ids) {
  const rows = await session.query(name, text, [[...new Set(ids)]]);
  const found = new Map(rows.map((row) => [row.id, row]));
  return ids.map((id) => found.get(id) ?? null);
}

export const Payment = {
  amount: ({ amount, currency }) => ({ amount: Number(amount), currency }),
  createdAt: ({ created_at: at }) => at.toISOString(),
};
