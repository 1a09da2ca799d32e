import { BalanceAlerts } from '../../src/features/notices/balance-alerts.js';
import { Database } from '../../src/db/database.js';
import { createLogger } from '../../src/shared/logger.js';
import { insertRow } from '../support/factories.js';
import { createWorld, type TestTenant, type World } from '../payments/support/world.js';

let world: World;
let tenant: TestTenant;

const clock = { time: Date.parse('2096-11-23T09:00:00.000Z'), now: () => new Date(clock.time) };
const day = 86_400_000;

beforeAll(async () => {
  world = await createWorld();
  tenant = await world.aTenant();
  await insertRow(world.db, 'users', {
    tenant_id: tenant.id,
    email: 'admin@msp.example',
    name: 'Admin',
    role: 'admin',
  });
});
afterAll(() => world.stop());

const keys = async () =>
  (await world.db.query<{ key: string }>('select key from mails order by created_at')).map(({ key }) => key);

async function look(mails = true): Promise<void> {
  const database = new Database(world.database.orm, false, mails);
  const { stripe } = world;
  await new BalanceAlerts({ database, stripe, clock, logger: createLogger('silent') }).run({
    signal: new AbortController().signal,
  });
}

/** What the books say refunds took within the last days. */
async function refunded(amount: number): Promise<void> {
  await world.db.query(
    `begin; set local session_replication_role = replica;
     insert into ledger_postings (tenant_id, livemode, transaction_id, account, currency, amount, number, balance, booked_at)
     values ('${tenant.id}', false, '00000000-0000-7000-8000-000000000001', 'REFUNDS', 'usd', ${amount}, 1, ${amount}, now()); commit`,
  );
}

test('a balance that suffices is nothing to tell of, nor one that was low before there was a mail server', async () => {
  await look();
  expect(await keys()).toEqual([]);
});

test('a balance that another week like the last would use up is told to the admins, once a week', async () => {
  await refunded(10_000);
  await look(false);
  expect(await keys()).toEqual([]);
  await look();
  await look();
  expect(await keys()).toHaveLength(1);
  const [mail] = await world.db.query('select * from mails');
  expect(mail).toMatchObject({
    template: 'balance-alert',
    recipient: 'admin@msp.example',
    data: { isNegative: false },
  });
  clock.time += 7 * day;
  await look();
  expect((await keys()).map((key) => key.split(':').slice(0, 2))).toEqual([
    ['balance', 'LOW'],
    ['balance', 'LOW'],
  ]);
});
