import { ManyTenants, type TenantRows } from '../../src/db/many-tenants.js';
import { keepFailures } from '../../src/features/payments/payment-failures.js';
import { lockInSets, writeInSets } from '../../src/features/payments/payment-rows.js';
import { type IntentReport } from '../../src/stripe/reports.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { aStripeConfig } from '../support/factories.js';
import { silent } from '../webhooks/stage.js';

// A statement is planned once for each connection, when some tenant happens to come first; the plan is then used for all.

let db: TestDatabase;
let manyTenants: ManyTenants;

beforeEach(async () => {
  db = await createTestDatabase();
  manyTenants = new ManyTenants({ url: db.url, livemode: false, logger: silent, connections: 1 });
});
afterEach(async () => {
  await manyTenants.close();
  await db.drop();
});

async function aTenantWith(payments: number) {
  const { tenantId, accountId } = await aStripeConfig(db);
  await db.query(`insert into customers (tenant_id, id, name, email) values ($1, 1, 'Customer', 'c@example.com')`, [
    tenantId,
  ]);
  await db.query(
    `insert into invoices (tenant_id, id, customer_id, number, total, currency)
     select $1, n, 1, 'I-' || n, 1000, 'usd' from generate_series(1, $2::int) n`,
    [tenantId, payments],
  );
  await db.query(
    `insert into payments (tenant_id, livemode, customer_id, invoice_id, stripe_account_id, stripe_payment_intent_id, amount, currency)
     select $1, false, 1, n, $2, 'pi_' || n, 1000, 'usd' from generate_series(1, $3::int) n`,
    [tenantId, accountId, payments],
  );
  return { tenantId, accountId };
}

/** Every statement that a crowd of payments sends. */
async function everything(rows: TenantRows, account: string): Promise<void> {
  const locked = await lockInSets(rows, ['pi_1']);
  for (const payment of locked.payments.values()) payment.status = 'FAILED' as never;
  for (const invoice of locked.invoices.values()) invoice.paymentStatus = 'FAILED' as never;
  writeInSets(rows, locked);
  const report = { id: 'pi_1', amount: 1000, currency: 'usd', latestChargeId: null, lastError: null };
  const context = { accountId: account, eventId: 'evt_1', created: new Date() };
  keepFailures(rows, [{ report: report as unknown as IntentReport, context: context as never }]);
  await rows.ask('select 1');
}

interface Plan {
  readonly 'Node Type': string;
  readonly 'Relation Name'?: string;
  readonly 'Index Cond'?: string;
  readonly Plans?: readonly Plan[];
}

const stepsOf = (plan: Plan): Plan[] => [plan, ...(plan.Plans ?? []).flatMap(stepsOf)];

test.each([
  ['one payment', 1],
  ['five payments', 5],
  ['fifty payments', 50],
])('statements planned for a tenant with %s look up every row by its key', async (_, size) => {
  const small = await aTenantWith(size);
  await aTenantWith(3_000);
  for (let i = 0; i < 20; i++) await aTenantWith(1);
  await db.query('analyze');
  const scans: string[] = [];
  await manyTenants.run(async (transaction) => {
    const rows = transaction.of(small.tenantId);
    await everything(rows, small.accountId);
    const statements = await rows.ask<{ name: string; types: string[]; sql: string }[]>(
      `select json_agg(json_build_object('name', name, 'types', parameter_types::text[], 'sql', statement)) from pg_prepared_statements
       where statement ~ '(payments|invoices)' and statement !~ 'pg_prepared'`,
    );
    expect(statements).toHaveLength(5);
    for (const { name, types, sql } of statements) {
      const values = types
        .map((type) => (type.endsWith('[]') ? `'{}'` : type === 'uuid' ? `'${small.tenantId}'` : `'[]'`))
        .join(', ');
      const [{ Plan: plan }] = await rows.ask<[{ Plan: Plan }]>(`explain (format json) execute ${name} (${values})`);
      for (const step of stepsOf(plan)) {
        if (!step['Relation Name'] || step['Node Type'] === 'ModifyTable') continue;
        const key = /\b(?<!tenant_)(id|invoice_id|stripe_payment_intent_id) = /.test(step['Index Cond'] ?? '');
        if (!key) scans.push(`${step['Relation Name']} by ${step['Index Cond']}: ${sql.slice(0, 60)}`);
      }
    }
  });
  expect(scans).toEqual([]);
});
