import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { root } from '../../dev/local-directory.js';
import { eraseCustomer, withoutPersonalData } from '../../src/features/webhook-events/erasure.js';
import { EventHealth } from '../../src/webhooks/event-health.js';
import { HandlerIndex } from '../../src/webhooks/handler-index.js';
import { replayEvents } from '../../src/webhooks/replay.js';
import { aCustomer } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { partsOn, type Parts } from './parts.js';
import { anEvent, post, sign } from './stage.js';

let app: TestApp;
let parts: Parts;
let tenant: Awaited<ReturnType<TestApp['aConnectedTenant']>>;
let admin: string;

beforeAll(async () => {
  app = await startApp();
  parts = partsOn(app.db, app.sandbox);
  tenant = await app.aConnectedTenant();
  admin = await app.token(tenant, 'admin');
});
afterAll(async () => {
  await parts.close();
  await app.stop();
});

async function deliver(event: object): Promise<void> {
  const payload = JSON.stringify(event);
  const signature = sign(payload, app.sandbox.webhookSecrets.snapshot);
  const { status } = await post(`${app.url}/api/stripe/webhook`, payload, { 'stripe-signature': signature });
  expect(status).toBe(200);
}
const stored = async (eventId: string) =>
  (
    await app.db.query<{ id: string; status: string; awaits_handler: boolean; payload: Record<string, never> }>(
      'select id, status, awaits_handler, payload from stripe_webhook_events where stripe_event_id = $1',
      [eventId],
    )
  )[0]!;

/** Runs a command as a person would, on this app's database. */
async function command(name: string, ...args: string[]): Promise<{ code: number; out: string; err: string }> {
  const child = spawn(process.execPath, [join(root, `dist/bin/${name}.js`), ...args], {
    env: { PATH: process.env.PATH, ...app.env, VERIFY_ADMIN_URL: app.db.adminUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const [code] = (await once(child, 'close')) as [number];
  return { code, out, err };
}

test('an event that nothing takes yet is kept in mind, and processed once something does', async () => {
  // As an earlier version stored it.
  const event = anEvent({ account: tenant.accountId, type: 'payment_intent.created', object: { id: 'pi_later' } });
  await deliver({ ...event, type: 'topup.created' });
  await app.db.query(
    `update stripe_webhook_events set type = 'payment_intent.created', awaits_handler = true where stripe_event_id = $1`,
    [event.id],
  );
  const table = { 'payment_intent.created': { apply: () => Promise.resolve('done' as const) } };
  expect(await replayEvents(parts.database, new HandlerIndex(), { awaiting: true })).toBe(0);
  expect(await replayEvents(parts.database, new HandlerIndex(table), { awaiting: true, since: new Date() })).toBe(0);
  expect(await replayEvents(parts.database, new HandlerIndex(table), { awaiting: true })).toBe(1);
  expect(await replayEvents(parts.database, new HandlerIndex(table), { awaiting: true })).toBe(0);
  await until(async () => (await stored(event.id)).status !== 'RECEIVED', 'a worker has taken it');
  expect((await stored(event.id)).awaits_handler).toBe(false);
});

test('a dry run of a replay says what would change, and changes nothing', async () => {
  const { id } = await app.sandbox.api<{ id: string }>('POST', '/v1/payment_intents', {
    account: tenant.accountId,
    form: { amount: '5000', currency: 'usd' },
  });
  const payment = async () =>
    (await app.db.query('select * from payments where stripe_payment_intent_id = $1', [id]))[0];
  await until(payment, 'the payment is here');
  await until(
    async () =>
      (await app.db.query(`select from stripe_webhook_events where object_key = $1 and status = 'PROCESSED'`, [id]))
        .length > 0,
    'its event is settled',
  );
  const [event] = await app.db.query<{ id: string }>('select id from stripe_webhook_events where object_key = $1', [
    id,
  ]);
  const replay = `mutation ($id: UUID!, $dryRun: Boolean!) { replayWebhookEvent(input: { id: $id, dryRun: $dryRun }) {
    changes { table inserted updated deleted } webhookEvent { status attempts } } }`;
  const dry = async () => (await app.ask(replay, { id: event!.id, dryRun: true }, admin)).replayWebhookEvent;
  const nothing = await dry();
  expect(nothing).toEqual({ changes: [], webhookEvent: { status: 'PROCESSED', attempts: 1 } });

  await app.db.query('alter table payments disable trigger user');
  await app.db.query('delete from payments where stripe_payment_intent_id = $1', [id]);
  await app.db.query('alter table payments enable trigger user');
  expect((await dry()).changes).toContainEqual(expect.objectContaining({ table: 'payments', inserted: 1 }));
  expect(await payment()).toBeUndefined();

  const real = (await app.ask(replay, { id: event!.id, dryRun: false }, admin)).replayWebhookEvent;
  expect(real.changes).toBeNull();
  await until(payment, 'the payment is back');
});

test('a customer’s personal data goes from the stored events; ids and amounts stay, and other customers’ data', async () => {
  const [customer, other] = [
    await aCustomer(app.db, { tenantId: tenant.id }),
    await aCustomer(app.db, { tenantId: tenant.id }),
  ];
  for (const [{ id }, cus] of [
    [customer, 'cus_erased'],
    [other, 'cus_kept'],
  ] as const) {
    await app.db.query(
      'insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id) values ($1, false, $2, $3, $4)',
      [tenant.id, id, tenant.accountId, cus],
    );
  }
  const details = {
    amount: 4_200,
    receipt_email: 'canary@person.example',
    billing_details: {
      name: 'Canary Person',
      email: 'canary@person.example',
      phone: '+15550100',
      address: { line1: 'Canary Lane 1' },
    },
    charges: [{ shipping: { name: 'Canary Person' }, amount: 4_200 }],
  };
  const event = (customerId: string) =>
    anEvent({ account: tenant.accountId, type: 'topup.created', object: { customer: customerId, ...details } });
  const [theirs, others] = [event('cus_erased'), event('cus_kept')];
  await deliver(theirs);
  await deliver(others);

  expect(await eraseCustomer(parts.database.tenant(tenant.id), customer.id, 'test')).toBe(1);
  const { payload } = await stored(theirs.id);
  expect(JSON.stringify(payload)).not.toMatch(/canary|\+1555/i);
  expect(payload).toMatchObject({
    id: theirs.id,
    data: { object: { customer: 'cus_erased', amount: 4_200, charges: [{ amount: 4_200 }] } },
  });
  expect((await stored(others.id)).payload).toEqual(others);
  const [entry] = await app.db.query(`select details from audit_log where action = 'customer.erase'`);
  expect(entry!.details).toEqual({ events: 1, mails: 0 });
  await expect(eraseCustomer(parts.database.tenant(tenant.id), 999_999, 'test')).rejects.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('what is erased is known by the names of Stripe’s fields, at any depth', () => {
  const before = {
    id: 'ch_1',
    amount: 1,
    list: [{ email: 'a@b.example', deep: { phone: '1', currency: 'usd' } }],
    name: 'x',
  };
  expect(withoutPersonalData(before)).toEqual({
    id: 'ch_1',
    amount: 1,
    list: [{ email: null, deep: { phone: null, currency: 'usd' } }],
    name: null,
  });
});

test('how the events are doing is counted: what waits, since when, and what failed', async () => {
  const report = await new EventHealth(parts.database).report();
  expect(report.recent.PROCESSED).toBeGreaterThan(0);
  expect(report.failureRate).toBeLessThan(1);
  await app.db.query(
    `insert into stripe_webhook_queue (event_id, stripe_created_at, livemode, object_key, state, ready_at)
     values (uuidv7(), now(), false, 'pi_stuck', 'DEAD', now()), (uuidv7(), now(), false, 'pi_old', 'PARKED', now() - interval '90 seconds')`,
  );
  expect((await new EventHealth(parts.database).report()).waiting).toMatchObject({ DEAD: 1, PARKED: 1 });
  await app.db.query(`delete from stripe_webhook_queue where object_key in ('pi_stuck', 'pi_old')`);
});

test('the commands do at a terminal what their exit codes say', async () => {
  const [replayDry, reconcile, misuse, types, verify] = await Promise.all([
    command('events-replay', '--dry-run'),
    command('reconcile', '--tenant', tenant.id, '--days', '1'),
    command('reconcile', '--tenant', 'nobody'),
    command('events-replay', '--types'),
    command('events-verify', '--seed', '7'),
  ]);
  expect([replayDry.code, replayDry.out]).toEqual([0, 'Nothing to queue.\n']);
  expect(reconcile.out).toMatch(/\d+ compared/);
  expect([0, 3]).toContain(reconcile.code);
  expect([misuse.code, misuse.err]).toEqual([2, expect.stringContaining('--tenant must be')]);
  expect(verify.out).toMatch(/^seed 7\n[^]*\d+ events, \d+ rows: real [0-9a-f]{16}, rebuilt [0-9a-f]{16}\n$/);
  expect([0, 3]).toContain(verify.code);
  expect(types.out).toMatch(/handled {2}payment_intent.succeeded/);
});
