import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { DriftJob } from '../../src/features/drift/drift-job.js';
import { Bookkeeper } from '../../src/features/ledger/bookkeeper.js';
import { systemClock } from '../../src/shared/clock.js';
import { StripeService } from '../../src/stripe/stripe.service.js';
import { handlers } from '../../src/webhooks/handlers.js';
import { Inbox } from '../../src/webhooks/inbox.js';
import { Sweep } from '../../src/webhooks/sweep.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { aStripeConfig } from '../support/factories.js';
import { silent } from '../webhooks/stage.js';

// Nobody listens at that port, and one call in vain is enough to know.
const downStripe = () =>
  new StripeService({
    ...{ secretKey: 'sk_test_local_outage', publishableKey: 'pk_test_local_outage', livemode: false },
    ...{ apiBase: 'http://127.0.0.1:1', maxNetworkRetries: 0, logger: silent },
    breaker: { threshold: 1, cooldownMs: 600_000 },
  });

let db: TestDatabase;
let database: Database;
let close: () => Promise<void>;

beforeAll(async () => {
  db = await createTestDatabase();
  const orm = createOrm({ url: db.url, entities });
  database = new Database(orm, false);
  close = () => orm.close(true);
  for (let i = 0; i < 3; i++) await aStripeConfig(db);
});
afterAll(async () => {
  await close();
  await db.drop();
});

test('the sweep ends its round when Stripe turns out to be down, and puts no other account off', async () => {
  const inbox = new Inbox({ url: db.url, logger: silent });
  const stripe = downStripe();
  const sweep = new Sweep({ database, stripe, handlers, inbox, clock: systemClock, logger: silent });
  await sweep.due(); // makes the lines of the accounts
  await db.query('update stripe_sweeps set due_at = now()');
  await sweep.due();
  await sweep.due();
  const failed = await db.query('select from stripe_sweeps where failures > 0');
  expect(failed).toHaveLength(1);
  await sweep.stop();
  await inbox.close();
  stripe.close();
});

test('the comparison with Stripe ends its round when Stripe turns out to be down', async () => {
  await db.query('update stripe_sweeps set drift_due_at = now(), lease_until = null, lease_token = null');
  const stripe = downStripe();
  const job = new DriftJob({ database, stripe, clock: systemClock, logger: silent });
  const { signal } = new AbortController();
  expect(await job.due(signal)).toBe(1);
  expect(await job.due(signal)).toBe(0);
  const put = `drift_due_at > now() and drift_due_at < now() + interval '70 seconds'`;
  expect(await db.query(`select from stripe_sweeps where ${put}`)).toHaveLength(1);
  stripe.close();
});

test('no books are taken up while Stripe is down', async () => {
  await db.query(
    `insert into ledger_imports (tenant_id, stripe_account_id, livemode, wanted_at)
     select tenant_id, stripe_account_id, livemode, now() from stripe_accounts`,
  );
  const stripe = downStripe();
  const bookkeeper = new Bookkeeper(database, stripe, [], [], { logger: silent, batch: 1 });
  expect(await bookkeeper.workOnce()).toBe(1);
  expect(await bookkeeper.workOnce()).toBe(0);
  const [row] = await db.query<{ attempts: string }>('select sum(attempts) as attempts from ledger_imports');
  expect(Number(row!.attempts)).toBe(1);
  stripe.close();
});

test('an account that was visited in vain because Stripe is down is visited again soon after, however often that happened', async () => {
  const stripe = downStripe();
  await db.query('update ledger_imports set attempts = 11, next_attempt_at = now(), lease_until = null');
  await new Bookkeeper(database, stripe, [], [], { logger: silent, batch: 1 }).workOnce();
  const [books] = await db.query<{ soon: boolean }>(
    `select next_attempt_at < now() + interval '16 seconds' as soon from ledger_imports where attempts = 12`,
  );
  expect(books).toEqual({ soon: true });

  await db.query(`update stripe_sweeps set failures = 9, due_at = now(), lease_until = null`);
  const inbox = new Inbox({ url: db.url, logger: silent });
  const again = downStripe();
  const sweep = new Sweep({ database, stripe: again, handlers, inbox, clock: systemClock, logger: silent });
  await sweep.due();
  const rounds = await db.query<{ soon: boolean }>(
    `select due_at < now() + interval '70 seconds' as soon from stripe_sweeps where failures > 9`,
  );
  expect(rounds.length).toBeGreaterThan(0);
  expect(rounds.every(({ soon }) => soon)).toBe(true);
  await sweep.stop();
  await inbox.close();
  for (const one of [stripe, again]) one.close();
});
