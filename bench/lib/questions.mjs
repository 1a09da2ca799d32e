// What is asked, in the words of each server, and how their answers are compared: what is not the same answer must not be timed.

/** How many there are of what, for so many payments. */
export const sizesFor = (payments) => ({
  tenants: 100,
  customers: 10_000,
  invoices: Math.max(10_000, Math.round(payments * 0.4)),
  payments,
});

const uuid = (prefix, number) => `${prefix}000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
export const tenantId = (number) => uuid('0b', number);

/**
 * Payment i belongs to tenant i % tenants, and so do its invoice and its customer; but the last quarter of them are all the first tenant's, so that it
 * has deep pages. A year of payments, evenly spread.
 */
export const readSeed = ({ tenants, customers, invoices, payments }) => {
  const shared = Math.round(payments * 0.75);
  return `
create function pg_temp.own(prefix text, n bigint) returns uuid language sql immutable return (prefix || '000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid;
insert into tenants (id, name) select pg_temp.own('0b', t), 'Tenant ' || t from generate_series(0, ${tenants - 1}) t;
insert into customers (tenant_id, id, name, email)
  select pg_temp.own('0b', c % ${tenants}), c, 'Customer ' || c || ' Ltd', 'billing' || c || '@example.com' from generate_series(0, ${customers - 1}) c;
insert into invoices (tenant_id, id, customer_id, number, status, payment_status, total, amount_paid, currency, created_at, due_at)
  select pg_temp.own('0b', i % ${tenants}), i, i % ${customers}, 'INV-' || lpad(i::text, 8, '0'), case when i % 3 = 0 then 'OPEN' else 'PAID' end,
    case when i % 3 = 0 then 'UNPAID' else 'PAID' end, 1000 + i % 90000, case when i % 3 = 0 then 0 else 1000 + i % 90000 end, 'usd',
    timestamptz '2025-01-01 00:00:00Z' + i * interval '1 year' / ${invoices}, timestamptz '2025-02-01 00:00:00Z' + i * interval '1 year' / ${invoices}
  from generate_series(0, ${invoices - 1}) i;
insert into payments (tenant_id, id, livemode, customer_id, invoice_id, stripe_account_id, stripe_payment_intent_id, amount, amount_received, currency, status, created_at)
  select pg_temp.own('0b', r % ${tenants}), pg_temp.own('0c', p), false, r % ${customers}, r % ${invoices}, 'acct_bench' || r % ${tenants}, 'pi_bench' || lpad(p::text, 16, '0'),
    1000 + p % 90000, case when p / ${tenants} % 20 < 17 then 1000 + p % 90000 else 0 end, 'usd',
    case when p / ${tenants} % 20 < 17 then 'SUCCEEDED' when p / ${tenants} % 20 < 19 then 'FAILED' else 'PENDING' end,
    timestamptz '2025-01-01 00:00:00Z' + (case when p < ${shared} then p::float8 / ${shared} else (p - ${shared})::float8 / ${payments - shared} end) * interval '1 year'
  from generate_series(0, ${payments - 1}) p, lateral (select case when p < ${shared} then p else p * ${tenants}::bigint % ${invoices} end as r) row;`;
};

const ourNodes =
  'nodes { id amount { amount currency } status createdAt customer { id name } invoice { id number status } } pageInfo { endCursor hasNextPage }';
const theirNodes =
  'nodes { rowId amount currency status createdAt customer: tenantCustomer { rowId name } invoice: tenantInvoice { rowId number status } } pageInfo { endCursor hasNextPage }';

/** By question and dialect. PostGraphile calls our ids `rowId`; its `id` is one of its own. */
export const questions = {
  q1: {
    title: 'Q1, the newest 20 payments with customer and invoice',
    ours: `query Q1 { payments(first: 20) { ${ourNodes} } }`,
    postgraphile: `query Q1 { payments(first: 20, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) { ${theirNodes} } }`,
  },
  q2: {
    title: 'Q2, the same of page 5,000, by cursor',
    ours: `query Q2($after: String!) { payments(first: 20, after: $after) { ${ourNodes} } }`,
    postgraphile: `query Q2($after: Cursor!) { payments(first: 20, after: $after, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) { ${theirNodes} } }`,
  },
  q3: {
    title: 'Q3, an invoice with its customer and its payments',
    ours: 'query Q3($id: Int!) { invoice(id: $id) { id number status total { amount currency } customer { id name } payments(first: 20) { nodes { id amount { amount currency } status createdAt } } } }',
    postgraphile:
      'query Q3($id: Int!) { invoices(condition: { rowId: $id }, first: 1) { nodes { rowId number status total currency customer: tenantCustomer { rowId name } payments: paymentsByTenantIdAndInvoiceId(first: 20, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) { nodes { rowId amount currency status createdAt } } } } }',
  },
  q4: {
    title: 'Q4, the viewer and the tenant',
    ours: 'query Q4 { viewer { subject role tenant { id name } } }',
    postgraphile: 'query Q4 { tenants(first: 1) { nodes { rowId name } } }',
  },
  q5: {
    title: 'Q5, the newest 20 that failed since June',
    ours: `query Q5($filter: PaymentFilter!) { payments(first: 20, filter: $filter) { ${ourNodes} } }`,
    postgraphile: `query Q5($status: String!) { payments(first: 20, condition: { status: $status }, orderBy: [CREATED_AT_DESC, ROW_ID_DESC]) { ${theirNodes} } }`,
  },
};

/** What is left of an answer when names and formats are taken away. */
export function essence(question, data) {
  if (question === 'q4') {
    const tenant = data.viewer?.tenant ?? data.tenants.nodes[0];
    return [tenant.id ?? tenant.rowId, tenant.name];
  }
  if (question === 'q3') {
    const invoice = data.invoice ?? data.invoices.nodes[0];
    return [
      idOf(invoice),
      invoice.number,
      invoice.status,
      ...money(invoice, 'total'),
      idOf(invoice.customer),
      invoice.customer.name,
      invoice.payments.nodes.map(payment),
    ];
  }
  const { nodes, pageInfo } = data.payments;
  return [
    nodes.map((node) => [
      ...payment(node),
      idOf(node.customer),
      node.customer.name,
      idOf(node.invoice),
      node.invoice.number,
      node.invoice.status,
    ]),
    pageInfo.hasNextPage,
    typeof pageInfo.endCursor,
  ];
}

const idOf = ({ id, rowId }) => rowId ?? id;
const payment = (node) => [idOf(node), ...money(node, 'amount'), node.status, Math.floor(Date.parse(node.createdAt))];
const money = (row, name) =>
  typeof row[name] === 'object' ? [Number(row[name].amount), row[name].currency] : [Number(row[name]), row.currency];
