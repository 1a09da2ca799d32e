import fc from 'fast-check';
import { DriftService } from '../../src/features/drift/drift.service.js';
import { handlers } from '../../src/webhooks/handlers.js';
import { Inbox } from '../../src/webhooks/inbox.js';
import { Sweep } from '../../src/webhooks/sweep.js';
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
import { brokenBooks } from './books.js';
import { dose, drainMs, patience, repeat, report, seed } from './dose.js';
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

/** A subscription that is billed, one that ends, a payment that is disputed, and a payout. */
async function otherLives(tenant: Tenant, customer: string): Promise<void> {
  const account = tenant.accountId;
  const call = (path: string, form: Record<string, string> = {}, method = 'POST') =>
    app.sandbox.api<{ id: string; latest_charge: string }>(method, path, { account, form });
  const { id: method } = await call('/v1/payment_methods/pm_card_visa/attach', { customer });
  await call(`/v1/customers/${customer}`, { 'invoice_settings[default_payment_method]': method });
  const { id: product } = await call('/v1/products', { name: 'Seats' });
  const terms = { unit_amount: '700', currency: 'usd', 'recurring[interval]': 'month', product };
  const { id: price } = await call('/v1/prices', terms);
  const seats = { customer, 'items[0][price]': price, 'items[0][quantity]': '2' };
  await call('/v1/subscriptions', seats);
  const { id: ended } = await call('/v1/subscriptions', { ...seats, payment_behavior: 'default_incomplete' });
  await call(`/v1/subscriptions/${ended}`, {}, 'DELETE');
  const pay = (amount: string, payment_method: string) =>
    call('/v1/payment_intents', {
      ...{ amount, currency: 'usd', payment_method, confirm: 'true', return_url: 'https://psa.test' },
    });
  const disputed = await pay('7000', 'pm_card_visa');
  await pay('90000', 'pm_card_bypassPending');
  await atRest(app.sandbox);
  const { id: dispute } = await app.sandbox.control<{ id: string }>('/disputes', { charge: disputed.latest_charge });
  await app.sandbox.control(`/disputes/${dispute}`, { outcome: 'lost' });
  await call('/v1/payouts', { amount: '10000', currency: 'usd' });
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
    if (i % 3 === 0) await methodLife(tenant, cus.id, i % 6 === 0);
  }
  await otherLives(tenant, cus.id);
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
    drainMs,
  );
}

/** Delivers events in another order for each object, with copies. @returns how many deliveries that were */
async function deliverShuffled(events: readonly Listed[], by: number): Promise<number> {
  const [order] = fc.sample(
    fc.array(fc.integer({ min: 0, max: events.length - 1 }), { minLength: 20, maxLength: 60 }).chain((copies) =>
      fc.shuffledSubarray([...events, ...copies.map((i) => events[i]!)], {
        minLength: events.length + copies.length,
      }),
    ),
    { numRuns: 1, seed: by },
  ) as [Listed[]];
  for (let i = 0; i < order.length; i += 16) await Promise.all(order.slice(i, i + 16).map(deliver));
  return order.length;
}

/** What is not as Stripe has it. */
async function driftOf({ id }: Tenant): Promise<unknown[]> {
  const db = parts.database.tenant(id);
  const drift = new DriftService({ ...parts, db, actor: 'test', callsPerSecond: 1_000, settleMs: 0 });
  const compared = await drift.run({ dryRun: true, days: 1 });
  expect(compared.problem).toBeNull();
  expect(compared.examined).toBeGreaterThanOrEqual(objectsInHistory);
  return compared.differences;
}

/** Nobody delivers some of them: the sweep of Stripe's list has to find those, and no others. */
async function sweepUp({ accountId }: Tenant): Promise<number> {
  const inbox = new Inbox({ url: app.db.url, logger: parts.logger });
  const sweep = new Sweep({ ...parts, handlers, inbox, graceMs: -60_000, pagesPerSecond: 1_000 });
  try {
    await sweep.due(); // makes the lines of new accounts
    await app.db.query(
      `update stripe_sweeps set due_at = now() + case when account = $1 then interval '0' else interval '1 day' end`,
      [accountId],
    );
    return await sweep.due();
  } finally {
    await sweep.stop();
    await inbox.close();
  }
}

/** What events have made of the rows. The history of subscriptions has a line for each event, and here late ones come under other ids. */
const rowsNow = async () =>
  (await stateOf((sql) => app.db.query(sql))).filter((line) => !line.startsWith('subscription_history '));

/** Each is a whole life at Stripe. The log is put in order three times over: these are a third of the permutations. */
const objectsInHistory = dose(67, 54);
const neverDelivered = 20;

test(
  `F4, F5, F7, F8: whatever the order, a history ends in the state that Stripe has (seed ${seed})`,
  async () => {
    worker.start();
    const counts = { events: 0, deliveries: 0 };
    const histories = await repeat(1, 125, async (round) => {
      const { tenant, events } = await aHistory(objectsInHistory);
      const by = seed + 10 * round;
      const [lost] = fc.sample(fc.shuffledSubarray(events, { minLength: neverDelivered, maxLength: neverDelivered }), {
        numRuns: 1,
        seed: by,
      }) as [Listed[]];
      const delivered = events.filter((event) => !lost.includes(event));
      counts.deliveries += await deliverShuffled(delivered, by);
      await drained();
      expect(await sweepUp(tenant)).toBe(neverDelivered);
      await drained();
      expect(
        await app.db.query(`select type, last_error from stripe_webhook_events where status in ('FAILED', 'DEAD')`),
      ).toEqual([]);
      expect(await driftOf(tenant)).toEqual([]);
      expect(await brokenInvariants(app.db)).toEqual([]);

      // All of it once more, long after, in yet another order: nothing moves.
      const before = await rowsNow();
      const late = events.map((event, i) => ({ ...event, id: `${event.id}late${i}` }));
      counts.deliveries += await deliverShuffled(late, by + 1);
      await replayEvents(parts.database, handlers, { statuses: ['PROCESSED'] });
      await drained();
      expect(await rowsNow()).toEqual(before);
      expect(await brokenInvariants(app.db)).toEqual([]);
      expect(await brokenBooks(parts, tenant)).toEqual([]);
      counts.events += events.length;
    });

    // The whole log, shuffled once more, makes the same rows in an empty database.
    const { real, rebuilt, failed } = await rebuild({
      ...parts,
      adminUrl: app.db.adminUrl,
      runtimeUrl: app.db.url,
      livemode: false,
      seed,
    });
    expect(failed).toEqual([]);
    expect(real.length).toBeGreaterThan(objectsInHistory);
    expect(rebuilt).toEqual(real);
    report('F4, F5, F7, F8', {
      ...{ permutations: 3 * objectsInHistory * histories, 'never delivered': neverDelivered * histories },
      ...counts,
    });
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
