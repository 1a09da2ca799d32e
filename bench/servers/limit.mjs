// L0, the limit: bare node:http and pg. One hand-written statement per question, prepared, and the opening of the transaction, the statement and the
// COMMIT in one message: one round trip. No GraphQL, no framework; what it is asked stands in a header.
import { createServer } from 'node:http';
import pg from 'pg';
import { opening, tenantOf } from './support/viewer.mjs';

const { DATABASE_URL, PORT } = process.env;
const connections = Number(process.env.CONNECTIONS ?? 8);
const millis = (column) => `(date_part('epoch', ${column}) * 1000)::int8`;

const page = (where) => `
  select p.id, p.amount, p.currency, p.status, ${millis('p.created_at')}, c.id, c.name, i.id, i.number, i.status
  from (select * from payments ${where} order by created_at desc, id desc limit 21) p
  left join customers c on c.tenant_id = p.tenant_id and c.id = p.customer_id
  left join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id
  order by p.created_at desc, p.id desc`;

const statements = {
  q1: ['', page('')],
  q2: ['timestamptz, uuid', page('where (created_at, id) < ($1, $2)')],
  q3: [
    'int',
    `select i.id, i.number, i.status, i.total, i.currency, c.id, c.name,
      (select json_agg(json_build_array(p.id, p.amount, p.currency, p.status, ${millis('p.created_at')}))
       from (select * from payments p where p.invoice_id = i.id order by created_at desc, id desc limit 20) p)
     from invoices i join customers c on c.tenant_id = i.tenant_id and c.id = i.customer_id where i.id = $1`,
  ],
  q4: ['', `select id, name from tenants`],
  q5: ['text, timestamptz', page('where status = $1 and created_at > $2')],
};

const raw = { getTypeParser: () => (value) => value };
const pool = new pg.Pool({ connectionString: DATABASE_URL, max: connections });
pool.on('connect', () => undefined);
const prepared = new WeakSet();

async function run(tenantId, name, values) {
  const client = await pool.connect();
  try {
    if (!prepared.has(client)) {
      prepared.add(client);
      await client.query('set plan_cache_mode = force_generic_plan');
      await client.query(`begin; set local role app_tenant`);
      for (const [each, [types, text]] of Object.entries(statements))
        await client.query(`prepare ${each}${types && `(${types})`} as ${text}`);
      await client.query('commit');
    }
    const parameters = values.length ? `(${values.map((value) => pg.escapeLiteral(String(value))).join(', ')})` : '';
    const results = await client.query({
      text: `${opening(tenantId)}; execute ${name}${parameters}; commit`,
      rowMode: 'array',
      types: raw,
    });
    return results[4].rows;
  } finally {
    client.release();
  }
}

const answers = {
  q1: pageOf,
  q2: pageOf,
  q5: pageOf,
  q3: ([[id, number, status, total, currency, customer, name, payments]]) => ({
    invoice: {
      id: Number(id),
      number,
      status,
      total: { amount: Number(total), currency },
      customer: { id: Number(customer), name },
      payments: {
        nodes: JSON.parse(payments ?? '[]').map(([id, amount, currency, status, created]) => ({
          id,
          amount: { amount, currency },
          status,
          createdAt: new Date(created).toISOString(),
        })),
      },
    },
  }),
  q4: ([[id, name]]) => ({ viewer: { subject: 'user-1', role: 'ADMIN', tenant: { id, name } } }),
};

function pageOf(rows) {
  const nodes = rows
    .slice(0, 20)
    .map(([id, amount, currency, status, created, customer, name, invoice, number, invoiceStatus]) => ({
      id,
      amount: { amount: Number(amount), currency },
      status,
      createdAt: new Date(Number(created)).toISOString(),
      customer: { id: Number(customer), name },
      invoice: { id: Number(invoice), number, status: invoiceStatus },
    }));
  const last = nodes.at(-1);
  const endCursor = last ? Buffer.from(JSON.stringify([last.createdAt, last.id])).toString('base64url') : null;
  return { payments: { nodes, pageInfo: { endCursor, hasNextPage: rows.length > 20 } } };
}

const parameters = {
  q1: () => [],
  q2: ({ after }) => JSON.parse(Buffer.from(after, 'base64url').toString()),
  q3: ({ id }) => [id],
  q4: () => [],
  q5: ({ filter }) => [filter.status[0], filter.createdAfter],
};

createServer((request, response) => {
  const chunks = [];
  request.on('data', (chunk) => chunks.push(chunk));
  request.on('end', async () => {
    try {
      const name = request.headers['x-question'];
      const tenantId = await tenantOf(request.headers.authorization);
      const { variables } = JSON.parse(chunks.length === 1 ? chunks[0] : Buffer.concat(chunks));
      const body = JSON.stringify({
        data: answers[name](await run(tenantId, name, parameters[name](variables ?? {}))),
      });
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
        .end(body);
    } catch (error) {
      console.error(error);
      response.writeHead(request.headers.authorization ? 500 : 401).end();
    }
  });
}).listen(Number(PORT), '127.0.0.1');
