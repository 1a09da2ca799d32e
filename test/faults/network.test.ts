import { setTimeout as sleep } from 'node:timers/promises';
import { connectTo, createTestDatabase } from '../support/database.js';
import { startApp, type TestApp } from '../support/harness.js';
import { startServerProcess } from '../support/server-process.js';
import { until } from '../support/until.js';
import { Proxy } from '../webhooks/proxy.js';
import { aStage, anEvent, noting, post, sign, type Stage } from '../webhooks/stage.js';
import { drainMs, patience, random, repeat, report } from './dose.js';
import { brokenInvariants, countEffects } from './invariants.js';
import { deliverAll } from './processes.js';

// What is slow instead of gone: lines that say nothing, pools with nothing left, processes that are asked to leave in the middle of their work.

const table = { 'payment_intent.succeeded': noting };
const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id);

/** Every event took effect once, soon after what was wrong had passed: I2, I3, I9. */
async function expectRecovered({ db }: Stage, events: readonly { id: string }[]): Promise<void> {
  const hasEffects = async () => (await countEffects(db, idsOf(events))).lost === 0;
  await until(hasEffects, 'all took effect', drainMs);
  expect(await countEffects(db, idsOf(events))).toEqual({ lost: 0, doubled: 0 });
  expect(await brokenInvariants(db)).toEqual([]);
}

test(
  'F13: lines to PostgreSQL that swallow everything, or whose other end is gone, hold up nothing for good',
  async () => {
    const db = await createTestDatabase();
    const proxy = await Proxy.to(db.url);
    const stage = await aStage({
      db: { ...db, url: proxy.url },
      table,
      inbox: { timeoutMs: 400 },
      queryTimeoutMs: 600,
    });
    try {
      const { account } = await stage.aTenant();
      stage.aWorker({ leaseMs: 2_000 });
      const all: ReturnType<typeof anEvent>[] = [];
      const send = async () => {
        const events = Array.from({ length: 20 }, () => anEvent({ account }));
        all.push(...events);
        expect((await deliverAll({ url: stage.url }, events)).size).toBe(events.length);
      };
      await send();
      const holes = await repeat(2, 50, async (round) => {
        const sending = send();
        await sleep(random() * 20);
        proxy.mode = round % 2 ? 'half-open' : 'swallow';
        // Each delivery has its answer, though nothing answers behind it.
        expect((await stage.deliver(anEvent({ account }))).status).toBe(503);
        await sleep(random() * 300);
        proxy.mode = 'pass';
        await sending;
      });
      await expectRecovered(stage, all);
      report('F13', { 'black holes and half-open lines': holes, events: all.length });
    } finally {
      await stage.close();
      await proxy.close();
    }
  },
  patience,
);

test(
  'F14: with every connection taken, deliveries are answered 503, and no request hangs',
  async () => {
    const stage = await aStage({ table, inbox: { timeoutMs: 400, connections: 1, batchSize: 5, capacity: 5 } });
    try {
      const { account } = await stage.aTenant();
      stage.aWorker();
      const all: ReturnType<typeof anEvent>[] = [];
      const times = await repeat(1, 20, async () => {
        const holder = await connectTo(stage.db.adminUrl);
        await holder.query('begin; lock table stripe_webhook_events in access exclusive mode');
        const events = Array.from({ length: 30 }, () => anEvent({ account }));
        all.push(...events);
        const answers = await Promise.all(events.map((event) => stage.deliver(event)));
        expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([503]));
        await holder.end();
        expect((await deliverAll({ url: stage.url }, events)).size).toBe(events.length);
      });
      await expectRecovered(stage, all);
      report('F14', { 'times without a connection': times, deliveries: all.length });
    } finally {
      await stage.close();
    }
  },
  patience,
);

describe('a server', () => {
  let app: TestApp;

  beforeAll(async () => {
    app = await startApp({ env: { PROCESS_ROLE: 'api', DATABASE_POOL_SIZE: '2', RATE_LIMIT_PER_MINUTE: '1000000' } });
  });
  afterAll(() => app.stop());

  const pay = `mutation ($key: String!) {
    createPaymentIntent(input: { idempotencyKey: $key, amount: 5000, currency: "usd" }) { payment { id } } }`;

  test(
    'F14: with every connection taken, who asks is answered in time, and served as soon as there is one',
    async () => {
      const tenant = await app.aConnectedTenant();
      const token = await app.token(tenant);
      const ask = async (n: number) => {
        const response = await fetch(`${app.url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
          body: JSON.stringify({ query: pay, variables: { key: `busy${n}` } }),
        });
        const { errors } = (await response.json()) as { errors?: { extensions: { code: string } }[] };
        return {
          status: response.status,
          after: response.headers.get('retry-after'),
          code: errors?.[0]?.extensions.code,
        };
      };
      const served = { status: 200, after: null, code: undefined };
      expect(await ask(-1)).toEqual(served);
      const times = await repeat(1, 20, async (round) => {
        const holder = await connectTo(app.db.adminUrl);
        await holder.query('begin; lock table commands in access exclusive mode');
        const asked = Array.from({ length: 6 }, (_, i) => ask(6 * round + i));
        // Two hold all there is, and wait; the others are told that they may try again, and when.
        const told: Awaited<ReturnType<typeof ask>>[] = [];
        for (const one of asked) void one.then((answer) => told.push(answer));
        await until(() => told.length >= 4, 'those without a connection are told');
        expect(told.slice(0, 4)).toEqual(Array(4).fill({ status: 503, after: '1', code: 'INTERNAL' }));
        await holder.end();
        await Promise.all(asked);
        // Under the keys that were refused, as whoever tries again does.
        for (let i = 0; i < 6; i++) expect(await ask(6 * round + i)).toEqual(served);
      });
      report('F14 api', { 'times without a connection': times });
    },
    patience,
  );

  test(
    'F21: of all requests that were under way when a server was asked to leave, none fails',
    async () => {
      const tenant = await app.aConnectedTenant();
      const token = await app.token(tenant);
      let answered = 0;
      const stops = await repeat(2, 100, async () => {
        const server = await startServerProcess({ ...app.env, PROCESS_ROLE: 'all' });
        const events: { id: string }[] = [];
        const failures: string[] = [];
        let isLeaving = false;
        const client = async (send: () => Promise<number>) => {
          for (;;) {
            const isBefore = !isLeaving;
            const status = await send().catch((error: Error) => String(error.cause));
            // Later ones may find the port closed, or an idle line that is being closed.
            if (!isBefore && typeof status === 'string') return;
            if (status === 200) answered += 1;
            else failures.push(String(status));
          }
        };
        const deliver = async () => {
          const event = anEvent({ account: tenant.accountId, type: 'topup.created' });
          const payload = JSON.stringify(event);
          const signature = sign(payload, app.sandbox.webhookSecrets.snapshot);
          const { status } = await post(`${server.url}/api/stripe/webhook`, payload, { 'stripe-signature': signature });
          if (status === 200) events.push(event);
          return status;
        };
        const read = async () => {
          const response = await fetch(`${server.url}/graphql`, {
            method: 'POST',
            headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
            body: '{"query":"{ viewer { tenant { id } } payments { nodes { id } } }"}',
          });
          const { errors } = (await response.json()) as { errors?: unknown };
          return errors ? 500 : response.status;
        };
        const before = answered;
        const clients = Array.from({ length: 8 }, (_, i) => client(i % 2 ? deliver : read));
        await until(() => answered > before + 40, 'the load is on');
        await sleep(random() * 100);
        isLeaving = true;
        server.kill('SIGTERM');
        expect(await server.ended).toEqual({ code: 0, signal: null });
        await Promise.all(clients);
        expect(failures).toEqual([]);
        const stored = await app.db.query('select from stripe_webhook_events where stripe_event_id = any($1)', [
          idsOf(events),
        ]);
        expect(stored).toHaveLength(events.length);
      });
      report('F21', { stops, answered });
    },
    patience,
  );
});
