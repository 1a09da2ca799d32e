import { handlers } from '../../src/webhooks/handlers.js';
import { Inbox } from '../../src/webhooks/inbox.js';
import { Sweep } from '../../src/webhooks/sweep.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { partsOn, type Parts } from './parts.js';
import { silent } from './stage.js';

let app: TestApp;
let parts: Parts;
let inbox: Inbox;
let tenant: Awaited<ReturnType<TestApp['aConnectedTenant']>>;

beforeAll(async () => {
  app = await startApp();
  parts = partsOn(app.db, app.sandbox);
  inbox = new Inbox({ url: app.db.url, logger: silent });
  tenant = await app.aConnectedTenant();
});
afterAll(async () => {
  await inbox.close();
  await parts.close();
  await app.stop();
});

const pay = () =>
  app.sandbox.api<{ id: string }>('POST', '/v1/payment_intents', {
    account: tenant.accountId,
    form: {
      amount: '5000',
      currency: 'usd',
      payment_method: 'pm_card_visa',
      confirm: 'true',
      return_url: 'https://psa.test',
    },
  });

/** Sweeps everything now, with nothing considered to be on its way. */
async function sweep(overrides = {}): Promise<number> {
  const job = new Sweep({ ...parts, handlers, inbox, graceMs: -60_000, pagesPerSecond: 1_000, ...overrides });
  await job.due(); // makes the lines of new accounts
  await app.db.query(`update stripe_sweeps set due_at = now()`);
  const found = await job.due();
  await job.stop();
  return found;
}

const sweptUntil = () => app.db.query('select swept_until from stripe_sweeps where account = $1', [tenant.accountId]);
const succeeded = async (ids: string[]) =>
  (
    await app.db.query(
      `select from payments where stripe_payment_intent_id = any($1) and status = 'SUCCEEDED' and net is not null`,
      [ids],
    )
  ).length === ids.length;

test('events that were never delivered are found in Stripe’s list, and processed as if they had been', async () => {
  const delivered = await Promise.all(Array.from({ length: 5 }, pay));
  await until(() => succeeded(delivered.map(({ id }) => id)), 'what was delivered is processed');
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
  const dropped = await Promise.all(Array.from({ length: 30 }, pay));
  await until(async () => {
    const { data } = await app.sandbox.api<{ data: { type: string }[] }>('GET', '/v1/events', {
      account: tenant.accountId,
      form: { limit: '100', type: 'charge.updated' },
    });
    return data.length === 35;
  }, 'everything is booked');
  await app.sandbox.control('/deliveries/faults', {}, 'DELETE');
  expect(await succeeded(dropped.map(({ id }) => id))).toBe(false);

  expect(await sweep()).toBeGreaterThanOrEqual(30 * 3);
  await until(() => succeeded(dropped.map(({ id }) => id)), 'what was swept up is processed');
  expect(await sweep()).toBe(0);
  const [line] = await app.db.query<{ found: string; failures: number; lease_token: string | null }>(
    'select found, failures, lease_token from stripe_sweeps where account = $1',
    [tenant.accountId],
  );
  expect(Number(line!.found)).toBeGreaterThanOrEqual(90);
  expect(line).toMatchObject({ failures: 0, lease_token: null });
});

test('thin events that were never delivered are found, too, over all pages of their list', async () => {
  const account = tenant.accountId;
  await sweep();
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
  for (let i = 0; i < 8; i++) {
    await app.sandbox.control(`/accounts/${account}`, { past_due: ['company.tax_id'] });
    await app.sandbox.control(`/accounts/${account}/onboard`, {});
  }
  await app.sandbox.control(`/accounts/${account}`, { past_due: ['company.tax_id'] });
  await app.sandbox.control('/deliveries/faults', {}, 'DELETE');
  const stored = (status: string) =>
    app.db.query<{ id: string }>(
      `select stripe_event_id as id from stripe_webhook_events where stripe_account_id = $1 and kind = 'THIN' and status = $2`,
      [account, status],
    );
  const before = await stored('PROCESSED');
  expect(await sweep()).toBeGreaterThan(20);
  // More than a page, and the platform's list is the only one that has them.
  await until(async () => (await stored('PROCESSED')).length > before.length + 20, 'they are processed');
  const { data } = await app.sandbox.api<{ data: { id: string; type: string }[] }>('GET', '/v2/core/events', {
    form: { limit: '100', object_id: account },
  });
  const handled = data.filter(({ type }) => handlers.has(type));
  expect(handled.length).toBeLessThan(100);
  await until(async () => (await stored('PROCESSED')).length === handled.length, 'all that are listed are processed');
  expect(new Set((await stored('PROCESSED')).map(({ id }) => id))).toEqual(new Set(handled.map(({ id }) => id)));
  expect(
    await app.db.query('select charges_enabled from stripe_config where stripe_account_id = $1', [account]),
  ).toEqual([{ charges_enabled: false }]);
  expect(await sweep()).toBe(0);
  await app.sandbox.control(`/accounts/${account}/onboard`, {});
});

test('what happened a moment ago is left to its webhook', async () => {
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
  await pay();
  await app.sandbox.control('/deliveries/faults', {}, 'DELETE');
  expect(await sweep({ graceMs: 60_000 })).toBe(0);
  expect(await sweep()).toBeGreaterThan(0);
});

test('a sweep that fails loses nothing: it is made again from where the last good one ended', async () => {
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
  const { id } = await pay();
  await app.sandbox.control('/deliveries/faults', {}, 'DELETE');
  const before = await sweptUntil();
  await app.sandbox.control('/faults', { kind: '402', path: '/v1/events', account: tenant.accountId });
  expect(await sweep()).toBe(0);
  await app.sandbox.control('/faults', undefined, 'DELETE');
  expect(await sweptUntil()).toEqual(before);
  const [line] = await app.db.query('select failures, last_error from stripe_sweeps where account = $1', [
    tenant.accountId,
  ]);
  expect(line!.failures).toBe(1);
  expect(await sweep()).toBeGreaterThan(0);
  await until(() => succeeded([id]), 'it is processed');
});

test('two processes never sweep one account at the same time', async () => {
  await sweep();
  await app.db.query(
    `update stripe_sweeps set due_at = now(), lease_until = now() + interval '1 minute', lease_token = gen_random_uuid()`,
  );
  const job = new Sweep({ ...parts, handlers, inbox, graceMs: -60_000 });
  await job.due();
  expect(await app.db.query('select from stripe_sweeps where lease_token is null')).toEqual([]);
  await app.db.query('update stripe_sweeps set lease_until = null, lease_token = null');
});
