import { randomUUID } from 'node:crypto';
import { getNamedType, graphql, type GraphQLField, type GraphQLObjectType, isNonNullType, isObjectType } from 'graphql';
import { ReadDatabase } from '../../../src/db/reads/reads.js';
import { createSchema } from '../../../src/graphql/schema.js';
import { newUuid } from '../../../src/shared/uuid.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { silent } from '../../webhooks/stage.js';

// A statement is planned once for each connection, when some tenant happens to come first; the plan is then used for all.

const schema = createSchema();
const query = schema.getQueryType()!;
const many = 5_000;
/** A page of 20 and one more, with a look-up for each thing that belongs to a row, and two or three rows of each list in it. */
const few = 500;

const id = `('00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'))::uuid`;
const day = `timestamptz '2026-01-01' + n * interval '1 minute'`;
/** What is inserted as the n-th row of a tenant. */
const columns: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  users: { id: 'n', email: `n || '@example.com'`, name: `'User'`, role: `'admin'` },
  customers: { id: 'n', name: `'Customer ' || n`, email: `n || '@example.com'`, created_at: day },
  contracts: { id: 'n', customer_id: '1 + n / 10', name: `'Contract'`, status: `(array['ACTIVE', 'PAUSED', 'ENDED', 'CANCELED'])[1 + n % 4]`, unit_amount: '100', currency: `'usd'`, starts_at: day },
  invoices: { id: 'n', customer_id: '1 + n / 10', number: 'n', status: `'OPEN'`, payment_status: `(array['UNPAID', 'PENDING', 'PAID', 'FAILED', 'REFUNDED'])[1 + n % 5]`, total: '1000', currency: `'usd'`, due_at: day, created_at: day },
  invoice_lines: { id, livemode: 'false', invoice_id: 'n', position: '1', stripe_line_id: 'n', amount: '1000', currency: `'usd'` },
  stripe_invoices: { id, livemode: 'false', stripe_account_id: 'account', invoice_id: 'n', stripe_invoice_id: `'in_' || n`, currency: `'usd'` },
  payments: { id, livemode: 'false', customer_id: '1 + n / 10', invoice_id: 'n', subscription_id: id, stripe_account_id: 'account', stripe_payment_intent_id: `'pi_' || n`, stripe_charge_id: `'ch_' || n`, stripe_payment_method_id: `'pm_' || n`, amount: '1000', amount_received: '1000', currency: `'usd'`, status: `(array['PENDING', 'PROCESSING', 'FAILED', 'CANCELED', 'SUCCEEDED'])[1 + n % 5]`, created_at: day },
  payment_methods: { id, livemode: 'false', customer_id: '1 + n / 10', stripe_account_id: 'account', stripe_payment_method_id: `'pm_' || n`, type: `'CARD'` },
  payment_failures: { id, livemode: 'false', payment_id: id, attempt: 'n', amount: '1000', currency: `'usd'`, code: `'card_declined'`, failed_at: day },
  stripe_subscriptions: { id, livemode: 'false', customer_id: '1 + n / 10', contract_id: 'n', stripe_account_id: 'account', stripe_subscription_id: `'sub_' || n`, status: `(array['ACTIVE', 'PAST_DUE', 'TRIALING', 'PAUSED'])[1 + n % 4]`, unit_amount: '100', currency: `'usd'`, billing_interval: `'MONTH'`, created_at: day },
  stripe_discounts: { id, livemode: 'false', stripe_account_id: 'account', stripe_subscription_id: `'sub_' || n`, stripe_discount_id: `'di_' || n` },
  disputes: { id, livemode: 'false', payment_id: id, stripe_account_id: 'account', stripe_dispute_id: `'dp_' || n`, stripe_charge_id: `'ch_' || n`, amount: '1000', currency: `'usd'`, status: `(array['NEEDS_RESPONSE', 'UNDER_REVIEW', 'WON', 'LOST'])[1 + n % 4]`, reason: `'general'`, is_inquiry: 'false', charge_refundable: 'false', evidence_due_by: day, stripe_created_at: day },
  refunds: { id, livemode: 'false', payment_id: id, stripe_account_id: 'account', stripe_charge_id: `'ch_' || n`, amount: '10', currency: `'usd'`, created_at: day },
  payouts: { id, livemode: 'false', stripe_account_id: 'account', stripe_payout_id: `'po_' || n`, amount: '100', currency: `'usd'`, status: `'PAID'`, method: `'standard'`, automatic: 'true', reconciliation: `'completed'`, arrival_date: day, stripe_created_at: day },
  ledger_transactions: { id, livemode: 'false', number: 'n', stripe_account_id: 'account', cause: `'txn_' || n`, stripe_balance_transaction_id: `'txn_' || n`, type: `'charge'`, category: `'charge'`, currency: `'usd'`, amount: '100', stripe_fee: '0', application_fee: '0', net: '100', stripe_charge_id: `'ch_' || n`, booked_at: day },
  ledger_postings: { id, livemode: 'false', transaction_id: id, number: 'n', account: `(array['CUSTOMER_RECEIVABLE', 'STRIPE_BALANCE', 'STRIPE_FEES', 'REFUNDS'])[1 + n % 4]`, currency: `'usd'`, amount: '100', balance: '100', stripe_charge_id: `'ch_' || n`, booked_at: day },
  ledger_checks: { id, livemode: 'false', stripe_account_id: 'account', transactions: '1', checked_at: day, differences: `'[]'` },
  payout_transactions: { livemode: 'false', payout_id: id, transaction_id: id },
  audit_log: { id, livemode: 'false', actor: `'somebody'`, action: `'something'`, subject_type: `'thing'`, at: day },
  mails: { id, livemode: 'false', key: 'n', template: `(array['receipt', 'renewal'])[1 + n % 2]`, data: `'{}'`, customer_id: '1 + n / 10', state: `(array['QUEUED', 'SENT', 'FAILED'])[1 + n % 3]`, created_at: day },
  webhook_endpoints: { id, livemode: 'false', url: `'https://example.com'`, types: `'{payment.succeeded}'`, secret_check: `'x'` },
  webhook_deliveries: { id, livemode: 'false', endpoint_id: `('00000000-0000-7000-8000-' || lpad(to_hex(1 + n / 100), 12, '0'))::uuid`, key: 'n', type: `(array['payment.succeeded', 'payment.failed'])[1 + n % 2]`, data: `'{}'`, state: `(array['PENDING', 'DELIVERED', 'FAILED'])[1 + n % 3]`, next_attempt_at: `case when n % 3 = 0 then now() end`, created_at: day },
  dunning_cases: { id, livemode: 'false', invoice_id: 'n', customer_id: '1 + n / 10', stripe_account_id: 'account', amount: '1000', currency: `'usd'`, retries: `'OURS'`, retry_days: `'{1}'`, at_end: `'LEAVE'`, state: `(array['OPEN', 'RECOVERED', 'LOST'])[1 + n % 3]`, closed_at: `case when n % 3 > 0 then now() end`, opened_at: day },
  dunning_steps: { id, livemode: 'false', case_id: id, number: '1', kind: `'RETRY'`, at: day },
}; // prettier-ignore

interface Tenant {
  readonly tenantId: string;
  readonly accountId: string;
}

/** So many rows in every table, for each of so many tenants. @returns the first of them */
async function tenants(count: number, { rows }: { rows: number }): Promise<Tenant> {
  const found = Array.from({ length: count }, (): Tenant => ({
    tenantId: newUuid(),
    accountId: `acct_${randomUUID()}`,
  }));
  const accounts = JSON.stringify(found.map(({ tenantId, accountId }) => ({ tenant: tenantId, account: accountId })));
  const from = `from jsonb_to_recordset('${accounts}') as t (tenant uuid, account text)`;
  const inserts = Object.entries(columns).map(([table, own]) => {
    const all = { tenant_id: 'tenant', ...own };
    return `insert into ${table} (${Object.keys(all).join(', ')}) select ${Object.values(all).join(', ')} ${from}, generate_series(1, ${rows}) n`;
  });
  inserts.push(`insert into tenants (id, name) select tenant, account ${from}`);
  // What such rows set off, and what they should refer to, is of no interest.
  await db.query(`begin; set local session_replication_role = replica; ${inserts.join('; ')}; commit`);
  return found[0]!;
}

/** What is asked of Stripe or of the platform, settings; and events, which are found by account and not by tenant. */
const others =
  'balance subscriptionPreview driftReport platform jobs mailSettings dunningSettings viewer webhookEvent webhookEvents';
/** Sums over many rows. */
const figures = 'mrr mrrCohorts trialConversion revenue paymentFailures';
const beyond = new Set(`${others} ${figures}`.split(' '));
const fields = Object.values(query.getFields()).filter(({ name }) => !beyond.has(name));
const first = '00000000-0000-7000-8000-000000000001';

/** Everything below a type, so many levels deep. */
function everything(type: GraphQLObjectType, depth: number): string {
  const parts = Object.values(type.getFields()).flatMap((field) => {
    const below = getNamedType(field.type);
    if (!isObjectType(below)) return [field.name];
    if (depth === 0 || field.name === 'edges') return [];
    const inner = everything(below, depth - 1);
    const args = field.args.some(({ name }) => name === 'first') ? '(first: 2)' : '';
    return inner ? [`${field.name}${args} { ${inner} }`] : [];
  });
  return parts.join(' ');
}

function question({ name, type, args }: GraphQLField<unknown, unknown>, given?: string): string {
  const needed = args.filter((arg) => isNonNullType(arg.type));
  const keys = needed.map((arg) => `${arg.name}: ${String(arg.type) === 'Int!' ? 1 : JSON.stringify(first)}`);
  const asked = given ?? keys.join(', ');
  return `{ ${name}${asked && `(${asked})`} { ${everything(getNamedType(type) as GraphQLObjectType, 3)} } }`;
}

/** As far as an index gives the rows in their order: several statuses are several stretches of theirs. */
const filtered: [field: string, args: string][] = [
  ['invoices', 'filter: { customerId: 7 }'],
  ['invoices', 'filter: { paymentStatus: [UNPAID, FAILED] }'],
  ['invoices', 'last: 20'],
  ['payments', 'filter: { customerId: 7 }'],
  ['payments', 'filter: { invoiceId: 7 }'],
  ['payments', `filter: { subscriptionId: "${first}" }`],
  ['payments', 'filter: { createdAfter: "2026-01-05T00:00:00Z" }'],
  ['payments', 'filter: { createdBefore: "2026-01-05T00:00:00Z" }'],
  ['payments', 'filter: { createdAfter: "2026-01-03T00:00:00Z", createdBefore: "2026-01-05T00:00:00Z" }'],
  ['payments', 'filter: { status: [FAILED, CANCELED], customerId: 7 }'],
  ['payments', 'filter: { currency: "usd" }'],
  ['payments', 'filter: { status: [CANCELED] }'],
  ['payments', 'filter: { status: [FAILED], createdAfter: "2026-01-02T00:00:00Z" }'],
  ['payments', 'last: 20'],
  ['contracts', 'filter: { customerId: 7 }'],
  ['contracts', 'filter: { status: [ACTIVE] }'],
  ['subscriptions', 'filter: { contractId: 7 }'],
  ['subscriptions', 'filter: { status: [ACTIVE, PAST_DUE] }'],
  ['disputes', `filter: { paymentId: "${first}" }`],
  ['disputes', `filter: { status: [WON, LOST] }`],
  ['dunningCases', 'filter: { customerId: 7 }'],
  ['dunningCases', 'filter: { state: [OPEN, LOST] }'],
  ['failedPayments', 'filter: { customerId: 7 }'],
  ['failedPayments', 'filter: { from: "2026-01-03T00:00:00Z", to: "2026-01-05T00:00:00Z" }'],
  ['ledger', 'filter: { account: STRIPE_BALANCE, currency: "usd" }'],
  ['ledger', `filter: { paymentId: "${first}" }`],
  ['mails', 'filter: { customerId: 7 }'],
  ['mails', 'filter: { state: [SENT, FAILED] }'],
  ['webhookDeliveries', `filter: { endpointId: "${first}" }`],
  ['webhookDeliveries', `filter: { state: [PENDING, FAILED] }`],
];

const questions = [
  ...fields.map((field) => [field.name, question(field)] as const),
  ...filtered.map(([name, args]) => [`${name}(${args})`, question(query.getFields()[name]!, args)] as const),
];

let db: TestDatabase;
let reads: ReadDatabase;

beforeEach(async () => {
  db = await createTestDatabase();
  await db.query(`do $$ declare t regclass; begin
    for t in select oid from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace loop
      execute format('alter table %s set (autovacuum_enabled = off)', t);
    end loop;
  end $$`);
  reads = new ReadDatabase({ url: db.url, livemode: false, logger: silent, connections: 1 });
});

afterEach(async () => {
  await reads.stop();
  await db.drop();
});

/** @returns how many rows of tables and of indexes it took */
async function ask({ tenantId }: Tenant, source: string): Promise<number> {
  const before = await rowsRead();
  const mine = reads.tenant(tenantId);
  const viewer = { role: 'admin', tenantId, subject: '1' };
  const { errors } = await graphql({ schema, source, contextValue: { viewer, reads: mine } });
  expect(errors).toBeUndefined();
  // The connection tells what it has counted when this transaction ends.
  await mine.figures('select pg_stat_force_next_flush()');
  return (await rowsRead()) - before;
}

async function rowsRead(): Promise<number> {
  const [row] = await db.query<{ rows: number }>(
    `select ((select sum(seq_tup_read) from pg_stat_user_tables) + (select sum(idx_tup_read) from pg_stat_user_indexes))::integer as rows`,
  );
  return row!.rows;
}

async function dear(small: Tenant, big: Tenant): Promise<string[]> {
  const found: string[] = [];
  for (const [name, source] of questions) {
    await ask(small, source);
    await ask(small, source);
    const rows = await ask(big, source);
    if (rows > few) found.push(`${name} read ${rows} rows`);
  }
  return found;
}

test('a page costs its rows and what belongs to them, though the statements were planned for a tenant with one row', async () => {
  const small = await tenants(1, { rows: 1 });
  const big = await tenants(1, { rows: many });
  await db.query('analyze');
  expect(await dear(small, big)).toEqual([]);
});

test('it does so also where nearly all tenants are small', async () => {
  const small = await tenants(500, { rows: 2 });
  const big = await tenants(1, { rows: many });
  await db.query('analyze');
  expect(await dear(small, big)).toEqual([]);
});

test('it does so also before PostgreSQL has looked at the tables', async () => {
  const small = await tenants(1, { rows: 1 });
  const big = await tenants(1, { rows: many });
  const found = await dear(small, big);
  // A view of three tables, of which nothing is known: which one to begin with is a guess.
  expect(found.filter((line) => !line.startsWith('failedPayments read'))).toEqual([]);
});
