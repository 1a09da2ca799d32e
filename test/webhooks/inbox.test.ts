import { connectTo } from '../support/database.js';
import { until } from '../support/until.js';
import { Proxy } from './proxy.js';
import { aStage, anEvent, noting, type Stage } from './stage.js';

let stage: Stage;
const table = { 'payment_intent.succeeded': noting };

afterEach(() => stage.close());

const stampsOf = (events: { id: string }[]) =>
  stage.db.query<{ received_at: Date }>(
    'select distinct received_at from stripe_webhook_events where stripe_event_id = any($1)',
    [events.map(({ id }) => id)],
  );

test('deliveries that arrive while an insert is under way share the next one', async () => {
  stage = await aStage({ table, inbox: { connections: 1, timeoutMs: 60_000 } });
  const { account } = await stage.aTenant();
  const holder = await connectTo(stage.db.adminUrl);
  await holder.query('begin; lock table stripe_webhook_events in share row exclusive mode');
  const first = anEvent({ account });
  const answered = [stage.deliver(first)];
  await until(
    async () =>
      (
        await stage.db.query(
          `select from pg_locks l join pg_database d on d.oid = l.database where datname = current_database() and not granted`,
        )
      ).length > 0,
    'the first is being stored',
  );
  let arrived = 0;
  const store = stage.inbox.store.bind(stage.inbox);
  stage.inbox.store = (delivery) => ((arrived += 1), store(delivery));
  const events = Array.from({ length: 60 }, () => anEvent({ account }));
  answered.push(...events.map((event) => stage.deliver(event)));
  await until(() => arrived === 60, 'the others wait');
  await holder.end();
  expect((await Promise.all(answered)).every(({ status }) => status === 200)).toBe(true);
  expect(await stampsOf(events)).toHaveLength(1);
  expect(await stampsOf([first, ...events])).toHaveLength(2);
});

test('a row that PostgreSQL refuses does not take its batch with it', async () => {
  stage = await aStage({ table, inbox: { connections: 1 } });
  const { account } = await stage.aTenant();
  await stage.db.query(`alter table stripe_webhook_events add constraint odd check (payload->>'api_version' <> 'odd')`);
  const events = Array.from({ length: 20 }, (_, i) => ({
    ...anEvent({ account }),
    api_version: i === 7 ? 'odd' : 'good',
  }));
  const answers = await Promise.all(events.map((event) => stage.deliver(event)));
  expect(answers.map(({ status }) => status)).toEqual(events.map((_, i) => (i === 7 ? 503 : 200)));
  for (const [i, { id }] of events.entries())
    expect(await stage.stored(id)).toEqual(i === 7 ? undefined : expect.anything());
});

test('accounts are looked up by their key, though there were none when the statement was planned', async () => {
  stage = await aStage({ table, inbox: { connections: 1 } });
  const { id: tenantId } = await stage.aTenant();
  await stage.db.query('alter table stripe_accounts set (autovacuum_enabled = off)');
  expect((await stage.deliver(anEvent({ account: 'acct_first' }))).status).toBe(200);
  await stage.db.query(
    `insert into stripe_accounts (stripe_account_id, tenant_id, livemode) select 'acct_many' || n, $1, false from generate_series(1, 5000) n`,
    [tenantId],
  );
  const readOf = async () => {
    const [row] = await stage.db.query<{ all: number; byKey: number }>(
      `select seq_tup_read::integer as all, idx_tup_fetch::integer as "byKey" from pg_stat_user_tables where relname = 'stripe_accounts'`,
    );
    return row!;
  };
  const before = await readOf();
  let sent = 0;
  const isCounted = async () => {
    await stage.deliver(anEvent({ account: `acct_many${++sent}` }));
    return (await readOf()).byKey > before.byKey || (await readOf()).all > before.all;
  };
  await until(isCounted, 'PostgreSQL has counted what was read');
  const after = await readOf();
  expect(after.all - before.all).toBe(0);
  expect(after.byKey - before.byKey).toBeLessThanOrEqual(2 * sent);
});

describe('when PostgreSQL is away', () => {
  let proxy: Proxy;

  afterEach(() => proxy.close());

  test('deliveries are answered 503 in time, and 200 as soon as it is back', async () => {
    stage = await aStage({
      table,
      inbox: { timeoutMs: 500 },
      via: async (url) => {
        proxy = await Proxy.to(url);
        return proxy.url;
      },
    });
    const { account } = await stage.aTenant();
    await until(async () => (await stage.deliver(anEvent({ account }))).status === 200, 'an event is taken');

    proxy.mode = 'refuse';
    const event = anEvent({ account });
    const answer = await stage.deliver(event);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '5']);

    proxy.mode = 'pass';
    await until(async () => (await stage.deliver(event)).status === 200, 'the event is taken');
    expect(await stage.stored(event.id)).toMatchObject({ status: 'RECEIVED' });
  });

  test('a black hole is no hang: every delivery is answered, and those beyond what may wait at once', async () => {
    stage = await aStage({
      table,
      inbox: { timeoutMs: 400, connections: 1, batchSize: 10, capacity: 10 },
      via: async (url) => {
        proxy = await Proxy.to(url);
        return proxy.url;
      },
    });
    const { account } = await stage.aTenant();
    await stage.deliver(anEvent({ account }));
    proxy.mode = 'swallow';
    const answers = await Promise.all(Array.from({ length: 40 }, () => stage.deliver(anEvent({ account }))));
    expect(answers.every(({ status }) => status === 503)).toBe(true);
    proxy.mode = 'pass';
    await until(async () => (await stage.deliver(anEvent({ account }))).status === 200, 'deliveries are taken again');
  });

  test('neither is a pooler that lets everybody in and has no database', async () => {
    stage = await aStage({
      table,
      inbox: { timeoutMs: 400 },
      via: async (url) => {
        proxy = await Proxy.to(url);
        return proxy.url;
      },
    });
    const { account } = await stage.aTenant();
    proxy.mode = 'log-in';
    const answer = await stage.deliver(anEvent({ account }));
    expect(answer.status).toBe(503);
    proxy.mode = 'pass';
    await until(async () => (await stage.deliver(anEvent({ account }))).status === 200, 'deliveries are taken again');
  }, 30_000);

  test('a connection cut while the answer to COMMIT is under way gives 503, and the next delivery is a duplicate', async () => {
    stage = await aStage({
      table,
      inbox: { timeoutMs: 20_000, connections: 1 },
      via: async (url) => {
        proxy = await Proxy.to(url);
        return proxy.url;
      },
    });
    const { account } = await stage.aTenant();
    await stage.deliver(anEvent({ account }));
    for (let round = 0; round < 10; round++) {
      const event = anEvent({ account });
      proxy.mode = 'cut-answer';
      expect((await stage.deliver(event)).status).toBe(503);
      proxy.mode = 'pass';
      expect((await stage.deliver(event)).status).toBe(200);
      const rows = await stage.db.query('select from stripe_webhook_events where stripe_event_id = $1', [event.id]);
      expect(rows).toHaveLength(1);
    }
  });
});
