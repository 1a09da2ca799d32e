import { setTimeout as sleep } from 'node:timers/promises';
import { type EventHandler, type EventHandlers } from '../../src/jobs/events.js';
import { AppError } from '../../src/shared/errors.js';
import { StripeFailure } from '../../src/stripe/stripe-errors.js';
import { AtHand } from '../../src/webhooks/at-hand.js';
import { HandlerIndex } from '../../src/webhooks/handler-index.js';
import { Queue } from '../../src/webhooks/queue.js';
import { until } from '../support/until.js';
import { aStage, aThinEvent, anEvent, know, note, noting, silent, type Stage } from './stage.js';

type IntentEvent = ReturnType<typeof anEvent>;

let stage: Stage;
const open = async (table: EventHandlers | Record<string, EventHandler<never>>) => {
  stage = await aStage({ table });
  return stage;
};
afterEach(() => stage.close());

const isStatus = (id: string, status: string) =>
  until(async () => (await stage.stored(id))?.status === status, `${id} is ${status}`);
const queueIsEmpty = () =>
  until(async () => (await stage.db.query('select from stripe_webhook_queue')).length === 0, 'the queue is empty');

test('an event is processed once, soon after it was stored', async () => {
  await open({ 'payment_intent.succeeded': noting });
  const { account } = await stage.aTenant();
  stage.aWorker();
  const event = anEvent({ account });
  await Promise.all(Array.from({ length: 10 }, () => stage.deliver(event)));
  await isStatus(event.id, 'PROCESSED');
  await stage.deliver(event);
  await queueIsEmpty();
  expect(await stage.notes()).toEqual([event.id]);
  expect(await stage.stored(event.id)).toEqual({ status: 'PROCESSED', attempts: 1, last_error: null });
});

test('while many events come they are taken together, and no longer waited for than they come', async () => {
  await open({ 'payment_intent.succeeded': noting });
  const { account } = await stage.aTenant();
  await Promise.all(Array.from({ length: 64 }, () => stage.deliver(anEvent({ account }))));
  stage.aWorker({ gatherMs: 500, longestGatherMs: 600_000 });
  await queueIsEmpty();
  const later = Array.from({ length: 12 }, () => anEvent({ account }));
  for (const event of later) {
    await stage.deliver(event);
    await sleep(100);
  }
  expect(await stage.stored(later[0]!.id)).toMatchObject({ status: 'RECEIVED' });
  await queueIsEmpty();
});

test('what the same process took in is not read back, but from the second try on', async () => {
  const seen: string[] = [];
  await open({
    'payment_intent.succeeded': {
      apply(_em, { api_version: version }: { api_version: string }) {
        seen.push(version);
        if (version === 'as delivered') throw new Error('not yet');
        return Promise.resolve('done');
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const event = { ...anEvent({ account }), api_version: 'as delivered' };
  await stage.deliver(event);
  await stage.db.query(`update stripe_webhook_events set payload = payload || '{"api_version": "as stored"}'`);
  stage.aWorker({ atHand: stage.atHand });
  await isStatus(event.id, 'PROCESSED');
  expect(new Set(seen)).toEqual(new Set(['as delivered', 'as stored']));
  expect(seen.at(-1)).toBe('as stored');
});

test('an event that is forgotten again is read', async () => {
  const seen: string[] = [];
  await open({
    'payment_intent.succeeded': {
      apply(_em, { id }: { id: string }) {
        seen.push(id);
        return Promise.resolve('done');
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const few = new AtHand(1);
  const events = [anEvent({ account }), anEvent({ account }), anEvent({ account })];
  for (const event of events) few.keep(event.id as never, event as never);
  expect(events.map(({ id }) => few.take(id as never) !== undefined)).toEqual([false, false, true]);
  for (const event of events) await stage.deliver(event);
  few.keep(events[1]!.id as never, events[1] as never);
  stage.aWorker({ atHand: few });
  for (const { id } of events) await isStatus(id, 'PROCESSED');
  expect(seen.sort()).toEqual(events.map(({ id }) => id).sort());
});

test('what is at hand is what is stored: the first copy, without secrets, and only while it is new', async () => {
  const seen: IntentEvent[] = [];
  await open({
    'payment_intent.succeeded': {
      apply(_em, event: IntentEvent) {
        seen.push(event);
        return Promise.resolve('done');
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const event = anEvent({ account, object: { client_secret: 'pi_1_secret_canary' } });
  const odd = anEvent({ account, object: { description: 'a\0b' } });
  await stage.deliver(event);
  await stage.deliver({ ...event, pending_webhooks: 7 });
  await stage.deliver(odd);
  const old = new AtHand(10, 0);
  old.keep(event.id as never, event as never);
  expect(old.take(event.id as never)).toBeUndefined();
  stage.aWorker({ atHand: stage.atHand });
  await queueIsEmpty();
  const rows = await stage.db.query<{ payload: IntentEvent }>(
    'select payload from stripe_webhook_events where stripe_event_id = any($1)',
    [[event.id, odd.id]],
  );
  expect(rows.map(({ payload }) => payload.data.object)).toContainEqual(
    expect.objectContaining({ client_secret: null }),
  );
  expect(seen).toHaveLength(2);
  expect(seen).toEqual(expect.arrayContaining(rows.map(({ payload }) => payload)));
  // A copy that comes later is not what a second try is about.
  const again = { ...event, pending_webhooks: 8 };
  await stage.deliver(again);
  await stage.db.query(
    `with again as (update stripe_webhook_events set attempts = 1 where stripe_event_id = $1 returning *)
     insert into stripe_webhook_queue (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
     select id, stripe_created_at, stripe_account_id, livemode, object_key, 'READY' from again`,
    [event.id],
  );
  await queueIsEmpty();
  expect(seen.at(-1)!.pending_webhooks).toBe(1);
});

test('events that were claimed and could not be read are given back, under no suspicion', async () => {
  await open({ 'payment_intent.succeeded': noting });
  const { account } = await stage.aTenant();
  const events = [anEvent({ account }), anEvent({ account })];
  for (const event of events) await stage.deliver(event);
  await stage.db.query('revoke select on stripe_webhook_events from app_worker');
  await stage.db.query(
    `grant select (id, stripe_created_at, received_at, stripe_event_id, type, attempts) on stripe_webhook_events to app_worker`,
  );
  const queue = new Queue({ url: stage.db.url, livemode: false, leaseMs: 60_000, logger: silent });
  await expect(queue.claim(10)).rejects.toThrow(/permission denied/);
  await queue.close();
  expect(await stage.db.query('select lease_token, lease_until, crashes from stripe_webhook_queue')).toEqual(
    Array(2).fill({ lease_token: null, lease_until: null, crashes: 0 }),
  );
});

test('two features that want one event both get it, in order', async () => {
  const as = (name: string): EventHandler<never> => ({
    async apply(em, _event, { tenantId, livemode }) {
      await note(em, tenantId, livemode, name);
      return 'done';
    },
  });
  stage = await aStage();
  const index = new HandlerIndex(
    { 'payment_intent.succeeded': as('first') },
    { 'payment_intent.succeeded': as('second') },
  );
  const { account } = await stage.aTenant();
  stage.aWorker({ handlers: index });
  // The route of this stage knows no handlers: the event is taken for unknown, as before a deployment that handles it.
  const event = anEvent({ account });
  await stage.deliver(event);
  await stage.db.query(
    `insert into stripe_webhook_queue (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
     select id, stripe_created_at, stripe_account_id, livemode, object_key, 'READY' from stripe_webhook_events`,
  );
  await isStatus(event.id, 'PROCESSED');
  expect(await stage.notes()).toEqual(['first', 'second']);
});

test('the events of one object are processed in the order of their stamps, one at a time, by any number of workers', async () => {
  const running = new Set<string>();
  const overlaps: string[] = [];
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, { tenantId, livemode }) {
        const key = event.data.object.id;
        if (running.has(key)) overlaps.push(key);
        running.add(key);
        await em.execute('select pg_sleep(0.002)');
        await note(em, tenantId, livemode, `${key} ${event.created}`);
        running.delete(key);
        return 'done';
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const events = Array.from({ length: 60 }, (_, i) =>
    anEvent({ account, created: 1_790_000_000 - i, object: { id: `pi_${i % 6}` } }),
  );
  await Promise.all(events.map((event) => stage.deliver(event)));
  for (let i = 0; i < 3; i++) stage.aWorker({ batchSize: 100 });
  await queueIsEmpty();
  expect(overlaps).toEqual([]);
  const notes = await stage.notes();
  expect(notes).toHaveLength(60);
  for (let i = 0; i < 6; i++) {
    const stamps = notes.filter((one) => one.startsWith(`pi_${i} `)).map((one) => Number(one.split(' ')[1]));
    expect(stamps).toEqual([...stamps].sort((a, b) => a - b));
  }
});

test('a poison event costs only itself: the others are processed, and it is given up after its tries', async () => {
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, context) {
        await note(em, context.tenantId, context.livemode, event.id);
        if (event.data.object.id === 'pi_poison') throw new TypeError('secret detail');
        return 'done';
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const events = Array.from({ length: 40 }, () => anEvent({ account }));
  const poison = anEvent({ account, object: { id: 'pi_poison' } });
  await Promise.all([...events.slice(0, 20), poison, ...events.slice(20)].map((event) => stage.deliver(event)));
  stage.aWorker();
  await isStatus(poison.id, 'DEAD');
  for (const { id } of events) await isStatus(id, 'PROCESSED');
  expect((await stage.notes()).sort()).toEqual(events.map(({ id }) => id).sort());
  expect(await stage.stored(poison.id)).toEqual({ status: 'DEAD', attempts: 3, last_error: 'INTERNAL: TypeError' });
});

test('a statement that PostgreSQL refuses costs only its event', async () => {
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, context) {
        await note(em, context.tenantId, context.livemode, event.id);
        if (event.data.object.id === 'pi_poison') await em.execute('select 1/0');
        return 'done';
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const good = [anEvent({ account }), anEvent({ account }), anEvent({ account })];
  const poison = anEvent({ account, object: { id: 'pi_poison' } });
  await Promise.all([...good, poison].map((event) => stage.deliver(event)));
  stage.aWorker();
  await isStatus(poison.id, 'DEAD');
  expect((await stage.notes()).sort()).toEqual(good.map(({ id }) => id).sort());
});

test('a failure that passes is tried again and leaves no trace of the first try', async () => {
  let failures = 2;
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, context) {
        await note(em, context.tenantId, context.livemode, event.id);
        if (failures-- > 0) throw new AppError('CONFLICT', 'Not now.');
        return 'done';
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  stage.aWorker();
  const event = anEvent({ account });
  await stage.deliver(event);
  await isStatus(event.id, 'PROCESSED');
  expect(await stage.notes()).toEqual([event.id]);
  expect(await stage.stored(event.id)).toEqual({ status: 'PROCESSED', attempts: 3, last_error: null });
});

test('an outage of Stripe never uses up the tries of an event', async () => {
  let outage = 8;
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, context, fetched) {
        if (fetched === null) return 'fetch';
        await note(em, context.tenantId, context.livemode, event.id);
        return 'done';
      },
      load: async () => {
        if (outage-- > 0) throw new StripeFailure('STRIPE_UNAVAILABLE', 'Stripe is down.', 'never');
        return Promise.resolve('loaded');
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  stage.aWorker();
  const event = anEvent({ account });
  await stage.deliver(event);
  await isStatus(event.id, 'PROCESSED');
  expect(await stage.notes()).toEqual([event.id]);
});

test('tenants do not share a transaction: what fails for one is no delay for the other', async () => {
  await open({
    'payment_intent.succeeded': {
      async apply(em, _event: IntentEvent, context) {
        const [row] = await em.execute<{ tenant: string }[]>(`select current_setting('app.tenant_id') as tenant`);
        await note(em, context.tenantId, context.livemode, `${row!.tenant} ${context.accountId}`);
        return 'done';
      },
    } as EventHandler<never>,
  });
  const [a, b] = [await stage.aTenant(), await stage.aTenant()];
  const events = Array.from({ length: 20 }, (_, i) => anEvent({ account: i % 2 ? a.account : b.account }));
  await Promise.all(events.map((event) => stage.deliver(event)));
  stage.aWorker();
  await queueIsEmpty();
  const notes = await stage.notes();
  expect(notes.filter((one) => one === `${a.id} ${a.account}`)).toHaveLength(10);
  expect(notes.filter((one) => one === `${b.id} ${b.account}`)).toHaveLength(10);
});

test('a parked event is processed when its account becomes known', async () => {
  await open({ 'payment_intent.succeeded': noting });
  const { id } = await stage.aTenant();
  stage.aWorker();
  const event = anEvent({ account: 'acct_late' });
  await stage.deliver(event);
  await isStatus(event.id, 'PARKED');
  await know(stage.db, id, 'acct_late');
  await isStatus(event.id, 'PROCESSED');
  expect(await stage.notes()).toEqual([event.id]);
});

test('an event of the other mode stays parked, also when its account is known', async () => {
  await open({ 'payment_intent.succeeded': noting });
  const { account } = await stage.aTenant();
  const worker = stage.aWorker();
  const event = anEvent({ account, livemode: true });
  await stage.deliver(event);
  expect(await worker.queue.releaseParked(false)).toBe(0);
  await isStatus(event.id, 'PARKED');
});

test('of a snapshot and its thin twin only one has the effect', async () => {
  const receipt: EventHandler<never> = {
    async apply(em, _event, context) {
      const first = await context.once(em, `onboarded:${context.accountId}`);
      if (first) await note(em, context.tenantId, context.livemode, 'effect');
      return 'done';
    },
  };
  await open({ 'account.updated': receipt, 'v2.core.account[requirements].updated': receipt });
  const { account } = await stage.aTenant();
  for (let i = 0; i < 2; i++) stage.aWorker();
  const snapshot = anEvent({ account, type: 'account.updated', object: { id: account, object: 'account' } });
  const thin = aThinEvent({ account, snapshot_event: snapshot.id });
  await Promise.all([stage.deliver(snapshot), stage.deliver(thin), stage.deliver(thin)]);
  await isStatus(snapshot.id, 'PROCESSED');
  await isStatus(thin.id, 'PROCESSED');
  expect(await stage.notes()).toEqual(['effect']);
});

test('Stripe is asked outside of any transaction, and again when the row moved meanwhile', async () => {
  let version = 1;
  let loads = 0;
  // The worker's claims and heartbeats have transactions too, but short ones: one held while Stripe is asked would stay.
  const transactionsThatStay = async (): Promise<string[]> => {
    const open = async () =>
      (
        await stage.db.query<{ pid: number; since: string }>(
          `select pid, xact_start::text as since from pg_stat_activity where datname = current_database() and usename = 'psa_app' and xact_start is not null`,
        )
      ).map(({ pid, since }) => `${pid} ${since}`);
    let staying = await open();
    for (let i = 0; i < 40 && staying.length > 0; i++) {
      await new Promise((resolve) => setTimeout(resolve, 50));
      const now = new Set(await open());
      staying = staying.filter((one) => now.has(one));
    }
    return staying;
  };
  const held: string[][] = [];
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, context, fetched) {
        if (fetched === null) return 'fetch';
        await note(em, context.tenantId, context.livemode, `${event.id} ${fetched as number}`);
        return 'done';
      },
      version: () => Promise.resolve(String(version)),
      async load() {
        loads += 1;
        held.push(await transactionsThatStay());
        if (loads < 3) version += 1;
        return loads;
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const event = anEvent({ account });
  await stage.deliver(event);
  stage.aWorker();
  await isStatus(event.id, 'PROCESSED');
  expect(await stage.notes()).toEqual([`${event.id} 3`]);
  expect(held).toEqual([[], [], []]);
});

test('an event that waits for Stripe holds up nothing but its own object', async () => {
  let answer: (report: string) => void = () => undefined;
  const asked = new Promise<string>((resolve) => (answer = resolve));
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, context, fetched) {
        if (event.data.object.id === 'pi_slow' && event.created === 1 && fetched === null) return 'fetch';
        await note(em, context.tenantId, context.livemode, `${event.data.object.id} ${event.created}`);
        return 'done';
      },
      load: () => asked,
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const slow = anEvent({ account, created: 1, object: { id: 'pi_slow' } });
  const after = anEvent({ account, created: 2, object: { id: 'pi_slow' } });
  const other = anEvent({ account, created: 3, object: { id: 'pi_other' } });
  for (const event of [slow, after, other]) await stage.deliver(event);
  stage.aWorker();
  await isStatus(other.id, 'PROCESSED');
  const later = anEvent({ account, created: 4, object: { id: 'pi_other' } });
  await stage.deliver(later);
  await isStatus(later.id, 'PROCESSED');
  expect((await stage.stored(after.id))!.status).toBe('RECEIVED');
  answer('report');
  await isStatus(after.id, 'PROCESSED');
  expect(await stage.notes()).toEqual(['pi_other 3', 'pi_other 4', 'pi_slow 1', 'pi_slow 2']);
});

test('a platform event without an account is ignored, also where its type is handled', async () => {
  await open({ 'payment_intent.succeeded': noting });
  stage.aWorker();
  const event = anEvent();
  await stage.deliver(event);
  await isStatus(event.id, 'IGNORED');
});

test('an event of the platform about a tenant’s account is that tenant’s', async () => {
  await open({ 'application_fee.created': noting });
  const { account } = await stage.aTenant();
  stage.aWorker();
  const event = anEvent({
    type: 'application_fee.created',
    object: { id: 'fee_1', object: 'application_fee', account },
  });
  await stage.deliver(event);
  await isStatus(event.id, 'PROCESSED');
});

test('stopping ends what is under way and gives the rest back', async () => {
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  let begin = () => {};
  const begun = new Promise<void>((resolve) => (begin = resolve));
  await open({
    'payment_intent.succeeded': {
      async apply(em, event: IntentEvent, context) {
        begin();
        await held;
        await note(em, context.tenantId, context.livemode, event.id);
        return 'done';
      },
    } as EventHandler<never>,
  });
  const { account } = await stage.aTenant();
  const first = anEvent({ account });
  await stage.deliver(first);
  const worker = stage.aWorker();
  await begun;
  const stopped = worker.stop();
  const second = anEvent({ account });
  await stage.deliver(second);
  release();
  await stopped;
  expect(await stage.stored(first.id)).toMatchObject({ status: 'PROCESSED' });
  expect(await stage.stored(second.id)).toMatchObject({ status: 'RECEIVED' });
  expect(await stage.db.query('select from stripe_webhook_queue where lease_token is not null')).toEqual([]);
});

test('a worker that hears no notification still finds its work', async () => {
  await open({ 'payment_intent.succeeded': noting });
  const { account } = await stage.aTenant();
  stage.aWorker({ listenUrl: 'postgres://nobody@127.0.0.1:1/none' });
  const event = anEvent({ account });
  await stage.deliver(event);
  await isStatus(event.id, 'PROCESSED');
});
