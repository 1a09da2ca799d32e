import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { embeddedRoles, prepareDatabase, prepareRoles, urlFor } from '../../dev/database.js';
import { startPostgres, type PostgresServer } from '../../dev/postgres.js';
import { grantRuntimeRoles } from '../../src/db/grants.js';
import { migrateUp } from '../../src/db/migrator.js';
import { type EventHandler } from '../../src/jobs/events.js';
import { type TestDatabase } from '../support/database.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { partsOn, type Parts } from '../webhooks/parts.js';
import { aStage, anEvent, note, noting, type Stage } from '../webhooks/stage.js';
import { brokenBooks } from './books.js';
import { dose, drainMs, patience, random, repeat, report } from './dose.js';
import { brokenInvariants, countEffects } from './invariants.js';
import { deliverAll } from './processes.js';

// What the system stands on fails: PostgreSQL, Stripe, the network between.

const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id);

describe('deliveries', () => {
  let stage: Stage;
  afterEach(() => stage.close());

  test(
    'F3: fifty copies of an event at once are all answered 200, and take effect once',
    async () => {
      stage = await aStage({ table: { 'payment_intent.succeeded': noting } });
      const { account } = await stage.aTenant();
      const events: ReturnType<typeof anEvent>[] = [];
      stage.aWorker();
      stage.aWorker();
      await repeat(20, 1_000, async () => {
        const event = anEvent({ account });
        events.push(event);
        const answers = await Promise.all(Array.from({ length: 50 }, () => stage.deliver(event)));
        expect(answers.filter(({ status }) => status !== 200)).toEqual([]);
      });
      await until(async () => (await countEffects(stage.db, idsOf(events))).lost === 0, 'all took effect');
      expect(await countEffects(stage.db, idsOf(events))).toEqual({ lost: 0, doubled: 0 });
      expect(await brokenInvariants(stage.db)).toEqual([]);
      report('F3', { events: events.length, copies: 50 });
    },
    patience,
  );

  test(
    'F6: what is told by a snapshot and by a thin event takes effect once, whichever is first',
    async () => {
      const once: EventHandler<{
        readonly related_object?: { id: string } | null;
        readonly data?: { object: { id: string } };
      }> = {
        async apply(em, event, context) {
          const id = event.data?.object.id ?? event.related_object!.id;
          if (await context.once(em, `paid:${id}`)) await note(em, context.tenantId, context.livemode, id);
          return 'done';
        },
      };
      stage = await aStage({
        table: { 'payment_intent.succeeded': once, 'v1.payment_intent.succeeded': once },
      });
      const { account } = await stage.aTenant();
      const ids = Array.from({ length: dose(50, 1_000) }, (_, i) => `pi_twin${i}`);
      const snapshot = (id: string) => anEvent({ account, object: { id } });
      const thin = (id: string) => ({
        id: `evt_thin${id}`,
        object: 'v2.core.event',
        type: 'v1.payment_intent.succeeded',
        created: new Date().toISOString(),
        livemode: false,
        context: account,
        related_object: { id, type: 'payment_intent', url: `/v1/payment_intents/${id}` },
      });
      const both = ids.flatMap((id) => (random() < 0.5 ? [snapshot(id), thin(id)] : [thin(id), snapshot(id)]));
      for (let i = 0; i < 2; i++) stage.aWorker({ batchSize: 7 });
      for (let i = 0; i < both.length; i += 20)
        for (const { status } of await Promise.all(both.slice(i, i + 20).map((event) => stage.deliver(event))))
          expect(status).toBe(200);
      await until(
        async () => (await stage.db.query('select from stripe_webhook_queue')).length === 0,
        'all is processed',
      );
      expect(await countEffects(stage.db, ids)).toEqual({ lost: 0, doubled: 0 });
      report('F6', { twins: ids.length });
    },
    patience,
  );
});

describe('PostgreSQL', () => {
  let server: PostgresServer | null = null;
  let stage: Stage | null = null;
  const dataDir = join(tmpdir(), `psa-faults-${process.pid}-${Date.now()}`);

  afterAll(async () => {
    await stage?.close();
    await server?.stop();
    await rm(dataDir, { recursive: true, force: true });
  });

  /** A migrated database on a server of its own, that can be killed without taking other tests along. */
  async function aDatabase({ adminUrl }: PostgresServer): Promise<TestDatabase> {
    const passwords = { migrator: 'only-for-tests', app: 'only-for-tests' };
    await prepareRoles(adminUrl, passwords);
    await prepareDatabase(adminUrl, 'psa_faults');
    const login = (user: string) => urlFor(adminUrl, 'psa_faults', { user, password: 'only-for-tests' });
    const [url, ownerUrl] = [login(embeddedRoles.app), login(embeddedRoles.owner)];
    await migrateUp({ ownerUrl });
    await grantRuntimeRoles(ownerUrl, url);
    const pool = new pg.Pool({ connectionString: urlFor(adminUrl, 'psa_faults'), max: 2 });
    pool.on('error', () => undefined);
    pool.on('connect', (client) => client.on('error', () => undefined));
    return {
      name: 'psa_faults',
      url,
      ownerUrl,
      adminUrl: urlFor(adminUrl, 'psa_faults'),
      query: async (sql, params) => (await pool.query(sql, params)).rows,
      drop: () => pool.end(),
    };
  }

  test(
    'F9: PostgreSQL is killed under load and comes back: what was answered is there, once',
    async () => {
      server = await startPostgres({ dataDir });
      const { port } = server;
      stage = await aStage({
        db: await aDatabase(server),
        table: { 'payment_intent.succeeded': noting },
        inbox: { timeoutMs: 2_000 },
      });
      const { account } = await stage.aTenant();
      stage.aWorker({ pollMs: 100 });
      const events: ReturnType<typeof anEvent>[] = [];
      const { db, url } = stage;
      const kills = await repeat(2, 100, async () => {
        const some = Array.from({ length: 150 }, (_, i) => anEvent({ account, object: { id: `pi_${i % 30}` } }));
        events.push(...some);
        const sending = deliverAll({ url }, some);
        await sleep(50 + random() * 150);
        process.kill(server!.pid, 'SIGKILL');
        server = await startPostgres({ dataDir, port });
        expect((await sending).size).toBe(some.length);
      });
      await until(async () => (await countEffects(db, idsOf(events))).lost === 0, 'all took effect', drainMs);
      expect(await countEffects(db, idsOf(events))).toEqual({ lost: 0, doubled: 0 });
      expect(await brokenInvariants(db)).toEqual([]);
      report('F9', { kills, events: events.length });
    },
    patience,
  );
});

describe('Stripe', () => {
  let app: TestApp;
  let tenant: Awaited<ReturnType<TestApp['aConnectedTenant']>>;
  let token: string;
  let parts: Parts;

  beforeAll(async () => {
    app = await startApp({ env: { STRIPE_TIMEOUT_MS: '1500', RATE_LIMIT_PER_MINUTE: '1000000' } });
    tenant = await app.aConnectedTenant();
    token = await app.token(tenant);
    parts = partsOn(app.db, app.sandbox);
  });
  afterAll(async () => {
    await parts.close();
    await app.stop();
  });

  const pay = `mutation ($key: String!) {
    createPaymentIntent(input: { idempotencyKey: $key, amount: 5000, currency: "usd" }) { payment { id stripePaymentIntentId } } }`;

  /** As a client would: again under the same key until there is an answer. */
  async function payUntilDone(key: string): Promise<void> {
    await until(
      async () => {
        const { data, errors } = await app.graphql<{ createPaymentIntent: unknown }>(pay, { key }, token);
        if (data?.createPaymentIntent) return true;
        const code = errors![0]!.extensions.code;
        if (!['STRIPE_UNAVAILABLE', 'OUTCOME_UNKNOWN', 'CONFLICT', 'RATE_LIMITED'].includes(code))
          throw new Error(JSON.stringify(errors));
        await sleep(100);
        return false;
      },
      `${key} is paid`,
      60_000,
    );
  }
  interface Intent {
    readonly id: string;
    readonly metadata: { readonly psa_payment_id: string };
  }
  const intents = async () => {
    const all: Intent[] = [];
    for (;;) {
      const last = all.at(-1)?.id;
      const form: Record<string, string> = { limit: '100', ...(last && { starting_after: last }) };
      const page = await app.sandbox.api<{ data: Intent[]; has_more: boolean }>('GET', '/v1/payment_intents', {
        account: tenant.accountId,
        form,
      });
      all.push(...page.data);
      if (!page.has_more) return all;
    }
  };

  test(
    'F16, F17: whatever Stripe answers, a client’s intent becomes one payment and one intent at Stripe',
    async () => {
      const path = '/v1/payment_intents';
      const few = dose(4, 10);
      // Where nothing was done, and where it was done and not said.
      const kinds = Object.entries({
        ...{ '429_retry': few, '429_no_retry': few, '502_html': few, '409': few, reset_before: few },
        ...{ '500_after': 2 * few, reset_after: 2 * few, truncate: 2 * few, delay_after: 2 * few },
      });
      let faults = 0;
      const rounds = await repeat(1, 25, async (round) => {
        for (const [kind, times] of kinds) {
          const before = (await intents()).length;
          await app.sandbox.control('/faults', { kind, method: 'POST', path, times, ms: 2_500 });
          const keys = Array.from({ length: times }, (_, i) => `${kind}-${i}-${round}`);
          await Promise.all(keys.map(payUntilDone));
          await app.sandbox.control('/faults', undefined, 'DELETE');
          expect([kind, (await intents()).length - before]).toEqual([kind, times]);
          faults += times;
        }
        // A refusal is final, and the same for every repetition of its key.
        const before = (await intents()).length;
        await app.sandbox.control('/faults', { kind: '402', method: 'POST', path, times: few });
        const codes = async () => {
          const keys = Array.from({ length: few }, (_, i) => `402-${i}-${round}`);
          const answers = await Promise.all(keys.map((key) => app.graphql(pay, { key }, token)));
          return answers.map(({ errors }) => errors?.[0]?.extensions.code);
        };
        const refused = await codes();
        expect(new Set(refused)).toEqual(new Set(['CARD_DECLINED']));
        expect(await codes()).toEqual(refused);
        expect((await intents()).length).toBe(before);
        faults += few;
      });
      // Nothing was done, but Stripe repeats its 500 under the key for a day: that is unknown, and never two.
      await app.sandbox.control('/faults', { kind: '500_before', method: 'POST', path: '/v1/payment_intents' });
      const before = (await intents()).length;
      const unclear = await app.graphql(pay, { key: 'unclear' }, token);
      expect(unclear.errors![0]!.extensions.code).toBe('OUTCOME_UNKNOWN');
      await app.graphql(pay, { key: 'unclear' }, token);
      expect((await intents()).length - before).toBeLessThanOrEqual(1);
      const made = (await intents()).map(({ metadata }) => metadata.psa_payment_id);
      expect(new Set(made).size).toBe(made.length);
      expect(await brokenInvariants(app.db)).toEqual([]);
      expect(await brokenBooks(parts, tenant)).toEqual([]);
      report('F16, F17', { faults, rounds });
    },
    patience,
  );

  test(
    'F18: while Stripe is down events wait without using up their tries, and drain within 30 seconds of its return',
    async () => {
      await app.sandbox.control('/faults', { kind: '503', path: '/v1', times: 100_000 });
      await app.sandbox.control('/faults', { kind: '503', path: '/v2', times: 100_000 });
      await app.sandbox.control(`/accounts/${tenant.accountId}`, { currently_due: ['external_account'] });
      const waiting = () =>
        app.db.query<{ attempts: number }>(
          `select e.attempts from stripe_webhook_queue q join stripe_webhook_events e on e.id = q.event_id where q.state = 'READY' and e.status = 'FAILED'`,
        );
      await until(async () => (await waiting()).length > 0, 'events wait for Stripe');
      await sleep(dose(2_000, 60_000));
      expect(await app.db.query(`select from stripe_webhook_queue where state = 'DEAD'`)).toEqual([]);
      await app.sandbox.control('/faults', undefined, 'DELETE');
      await until(
        async () => (await app.db.query('select from stripe_webhook_queue')).length === 0,
        'the backlog is drained',
        drainMs,
      );
      const [config] = await app.db.query('select requirements from stripe_config where tenant_id = $1', [tenant.id]);
      expect(config!.requirements.currentlyDue).toContain('external_account');
      await until(async () => (await fetch(`${app.url}/readyz`)).ok, 'it is ready');
      expect(await brokenInvariants(app.db)).toEqual([]);
      expect(await brokenBooks(parts, tenant)).toEqual([]);
      report('F18', { outages: 1 });
    },
    patience,
  );
});
