import fc from 'fast-check';
import { DriftService } from '../../src/features/drift/drift.service.js';
import { handlers } from '../../src/webhooks/handlers.js';
import { Worker } from '../../src/webhooks/worker.js';
import { replayEvents } from '../../src/webhooks/replay.js';
import { rebuild } from '../../dev/rebuild.js';
import { stateOf } from '../../dev/state-hash.js';
import { aCustomer } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { atRest } from '../support/sandbox.js';
import { until } from '../support/until.js';
import { partsOn, type Parts } from '../webhooks/parts.js';
import { post, sign } from '../webhooks/stage.js';
import { dose, patience, report, seed } from './dose.js';
import { brokenInvariants, watchStates } from './invariants.js';

// The real handlers and the real database, fed with all that Stripe said of some objects: in any order, doubled, and much of it within one second.

interface Listed {
  readonly id: string;
  readonly type: string;
  readonly created: number;
}

let app: TestApp;
let parts: Parts;
let worker: Worker;

beforeAll(async () => {
  // It only receives: the worker is this test's, and begins when all is there.
  app = await startApp({ env: { PROCESS_ROLE: 'api' } });
  parts = partsOn(app.db, app.sandbox);
  await watchStates(app.db);
});
beforeEach(() => {
  worker = new Worker({ ...parts, handlers, url: app.db.url, pollMs: 100, batchSize: 50 });
});
afterEach(() => worker.stop());
afterAll(async () => {
  await parts.close();
  await app.stop();
});

type Tenant = Awaited<ReturnType<TestApp['aConnectedTenant']>>;

/** What happens to a payment: each is a whole life at Stripe. */
const lives = [
  'paid',
  'declined',
  'declined then paid',
  'canceled',
  'refunded',
  'refunded twice',
  'held then captured',
  'abandoned',
] as const;

async function live(tenant: Tenant, life: (typeof lives)[number]): Promise<void> {
  const account = tenant.accountId;
  const call = (path: string, form: Record<string, string> = {}) =>
    app.sandbox.api<{ id: string }>('POST', path, { account, form }).catch((error: Error) => {
      if (!error.message.includes('answered 402')) throw error;
      return { id: '' };
    });
  const captureLater: Record<string, string> = life.startsWith('held') ? { capture_method: 'manual' } : {};
  const { id } = await call('/v1/payment_intents', { amount: '5000', currency: 'usd', ...captureLater });
  const confirm = (method: string) =>
    call(`/v1/payment_intents/${id}/confirm`, { payment_method: method, return_url: 'https://psa.test' });
  const refund = (amount: string) => call('/v1/refunds', { payment_intent: id, amount });
  if (life.startsWith('declined')) await confirm('pm_card_visa_chargeDeclined');
  if (life === 'canceled') await call(`/v1/payment_intents/${id}/cancel`);
  if (/paid|refunded|held/.test(life)) await confirm('pm_card_visa');
  if (life.startsWith('held')) await call(`/v1/payment_intents/${id}/capture`);
  if (life.startsWith('refunded')) await refund('1200');
  if (life === 'refunded twice') await refund('800');
}

/** A method that is attached, changed and taken away within one second. */
async function methodLife(tenant: Tenant, cus: string, ends: boolean): Promise<void> {
  const account = tenant.accountId;
  const call = (path: string, form: Record<string, string> = {}) =>
    app.sandbox.api<{ id: string }>('POST', path, { account, form });
  const { id } = await call('/v1/payment_methods/pm_card_visa/attach', { customer: cus });
  await call(`/v1/payment_methods/${id}`, { 'card[exp_month]': '11', 'card[exp_year]': '2044' });
  if (ends) await call(`/v1/payment_methods/${id}/detach`);
}

/** A tenant with a history at Stripe of which nothing was delivered. */
async function aHistory(size: number): Promise<{ tenant: Tenant; events: Listed[] }> {
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
  const tenant = await app.aConnectedTenant();
  const account = tenant.accountId;
  const customer = await aCustomer(app.db, { tenantId: tenant.id });
  const cus = await app.sandbox.api<{ id: string }>('POST', '/v1/customers', { account, form: { name: 'Payer' } });
  await app.db.query(
    'insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id) values ($1, false, $2, $3, $4)',
    [tenant.id, customer.id, account, cus.id],
  );
  for (let i = 0; i < size; i++) {
    await live(tenant, lives[i % lives.length]!);
    if (i % 4 === 0) await methodLife(tenant, cus.id, i % 8 === 0);
  }
  await atRest(app.sandbox);
  const events: Listed[] = [];
  for (let after = ''; ; after = events.at(-1)!.id) {
    const form: Record<string, string> = { limit: '100', ...(after && { starting_after: after }) };
    const page = await app.sandbox.api<{ data: Listed[]; has_more: boolean }>('GET', '/v1/events', { account, form });
    events.push(...page.data.map((event) => ({ ...event, account })));
    if (!page.has_more) break;
  }
  return { tenant, events };
}

async function deliver(event: object): Promise<void> {
  const payload = JSON.stringify(event);
  const signature = sign(payload, app.sandbox.webhookSecrets.snapshot);
  const { status } = await post(`${app.url}/api/stripe/webhook`, payload, { 'stripe-signature': signature });
  if (status !== 200) throw new Error(`It was answered ${status}.`);
}

async function drained(): Promise<void> {
  await until(
    async () => (await app.db.query(`select from stripe_webhook_queue where state = 'READY'`)).length === 0,
    'everything is processed',
  );
}

test(
  `F4, F5, F8: whatever the order, a history ends in the state that Stripe has (seed ${seed})`,
  async () => {
    const objects = dose(40, 2_000);
    const { tenant, events } = await aHistory(objects);
    // A different order for each object, with copies, in one delivery: as many permutations as there are objects.
    const [order] = fc.sample(
      fc.array(fc.integer({ min: 0, max: events.length - 1 }), { minLength: 20, maxLength: 60 }).chain((copies) =>
        fc.shuffledSubarray([...events, ...copies.map((i) => events[i]!)], {
          minLength: events.length + copies.length,
        }),
      ),
      { numRuns: 1, seed },
    ) as [Listed[]];
    worker.start();
    for (let i = 0; i < order.length; i += 16) await Promise.all(order.slice(i, i + 16).map(deliver));
    await drained();
    expect(
      await app.db.query(`select type, last_error from stripe_webhook_events where status in ('FAILED', 'DEAD')`),
    ).toEqual([]);

    const drift = new DriftService({
      ...parts,
      db: parts.database.tenant(tenant.id),
      actor: 'test',
      callsPerSecond: 1_000,
      settleMs: 0,
    });
    const compared = await drift.run({ dryRun: true, days: 1 });
    expect(compared.problem).toBeNull();
    expect(compared.differences).toEqual([]);
    expect(compared.examined).toBeGreaterThanOrEqual(objects);
    expect(await brokenInvariants(app.db)).toEqual([]);

    // F7: all of it once more, long after, in yet another order: nothing moves.
    const before = await stateOf((sql) => app.db.query(sql));
    const [shuffled] = fc.sample(fc.shuffledSubarray(events, { minLength: events.length }), {
      numRuns: 1,
      seed: seed + 1,
    });
    const late = shuffled!.map((event, i) => ({ ...event, id: `${event.id}late${i}` }));
    for (let i = 0; i < late.length; i += 16) await Promise.all(late.slice(i, i + 16).map(deliver));
    await replayEvents(parts.database, handlers, { statuses: ['PROCESSED'] });
    await drained();
    expect(await stateOf((sql) => app.db.query(sql))).toEqual(before);
    expect(await brokenInvariants(app.db)).toEqual([]);

    // The whole log, shuffled once more, makes the same rows in an empty database.
    const { real, rebuilt, failed } = await rebuild({
      ...parts,
      adminUrl: app.db.adminUrl,
      runtimeUrl: app.db.url,
      livemode: false,
      seed,
    });
    expect(failed).toEqual([]);
    expect(real.length).toBeGreaterThan(objects);
    expect(rebuilt).toEqual(real);
    report('F4, F5, F7', { objects, events: events.length, deliveries: order.length + late.length });
  },
  patience,
);

test('F22: poison of ten kinds is given up after its tries, and what is healthy flows', async () => {
  const tenant = await app.aConnectedTenant();
  await worker.stop();
  const retry = { firstMs: 10, longestMs: 40, outageMs: 40, attempts: 3 };
  worker = new Worker({ ...parts, handlers, url: app.db.url, pollMs: 100, retry });
  worker.start();
  const healthy = {
    object: 'payment_intent',
    livemode: false,
    amount: 1_000,
    amount_received: 1_000,
    currency: 'usd',
    status: 'succeeded',
    created: 1_790_000_000,
    metadata: {},
  };
  let n = 0;
  const event = (object: unknown, type = 'payment_intent.succeeded') => ({
    id: `evt_poison${seed}x${n++}`,
    object: 'event',
    type,
    account: tenant.accountId,
    livemode: false,
    created: 1_790_000_000,
    data: { object },
  });
  const poison = [
    event(null),
    event('pi_text'),
    event([]),
    event({ ...healthy }), // without an id
    event({ ...healthy, id: 'pi_p1', status: 'transcended' }),
    event({ ...healthy, id: 'pi_p2', amount: 'much' }),
    event({ ...healthy, id: 'pi_p3', currency: null }),
    event({ ...healthy, id: 'pi_p4', amount: -5 }),
    event({ ...healthy, id: 'pi_p5', amount: 1e300 }),
    { ...event({}), data: undefined },
  ];
  const good = Array.from({ length: 20 }, (_, i) => event({ ...healthy, id: `pi_healthy${i}` }));
  for (const one of [...poison, ...good]) await deliver(one);
  const statusOf = async (ids: string[]) =>
    (
      await app.db.query<{ status: string }>(
        'select status from stripe_webhook_events where stripe_event_id = any($1)',
        [ids],
      )
    ).map(({ status }) => status);
  await until(
    async () => (await statusOf(good.map(({ id }) => id))).every((status) => status === 'PROCESSED'),
    'the healthy are processed',
  );
  await until(
    async () => (await statusOf(poison.map(({ id }) => id))).every((status) => status === 'DEAD'),
    'the poison is given up',
  ).catch(async (error: unknown) => {
    const rows = await app.db.query(
      'select stripe_event_id, status, last_error, payload from stripe_webhook_events where stripe_event_id = any($1)',
      [poison.map(({ id }) => id)],
    );
    throw new Error(JSON.stringify(rows.filter(({ status }) => status !== 'DEAD')), { cause: error });
  });
  expect(await brokenInvariants(app.db)).toEqual([]);
});
