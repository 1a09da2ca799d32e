import { ManyTenants } from '../../src/db/many-tenants.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { aStripeConfig } from '../support/factories.js';
import { silent } from '../webhooks/stage.js';

let db: TestDatabase;
let manyTenants: ManyTenants;

beforeAll(async () => {
  db = await createTestDatabase();
  manyTenants = new ManyTenants({ url: db.url, livemode: false, logger: silent });
});
afterAll(async () => {
  await manyTenants.close();
  await db.drop();
});

/** What PostgreSQL would do, step by step. */
interface Plan {
  readonly 'Node Type': string;
  readonly Plans?: readonly Plan[];
}

const stepsOf = (plan: Plan): string[] => [plan['Node Type'], ...(plan.Plans ?? []).flatMap(stepsOf)];

test('rows are looked up by their keys, also where a tenant is so small that reading all of its rows would seem cheaper', async () => {
  const { tenantId, accountId } = await aStripeConfig(db);
  await db.query(
    `insert into payments (tenant_id, livemode, stripe_account_id, stripe_payment_intent_id, amount, currency)
     select $1, false, $2, 'pi_' || n, 100, 'usd' from generate_series(1, 50) n`,
    [tenantId, accountId],
  );
  await db.query('analyze payments');
  let steps: string[] = [];
  await manyTenants.run(async (transaction) => {
    const [{ Plan: plan }] = await transaction
      .of(tenantId)
      .ask<[{ Plan: Plan }]>(
        'explain (format json) select p.id from json_to_recordset($1) as r(intent text) join payments p on p.stripe_payment_intent_id = r.intent',
        '[]',
      );
    steps = stepsOf(plan);
  });
  // The result is the tenant, as the policy asks for it.
  expect(steps).toEqual(['Nested Loop', 'Result', 'Function Scan', 'Index Scan']);
});

test('statements that seem dear are neither compiled nor shared among workers', async () => {
  const { tenantId } = await aStripeConfig(db);
  await manyTenants.run(async (transaction) => {
    const settings = `select json_build_array(current_setting('jit'), current_setting('max_parallel_workers_per_gather'))`;
    expect(await transaction.of(tenantId).ask(settings)).toEqual(['off', '0']);
  });
});
