import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../support/until.js';
import { aStage, anEvent, deliver, noting, type Stage } from '../webhooks/stage.js';
import { drainMs, patience, random, repeat, report } from './dose.js';
import { brokenInvariants, countEffects } from './invariants.js';
import { deliverAll, Victims, type Target } from './processes.js';

// Real processes, killed with SIGKILL or put to sleep, in front of a real PostgreSQL. Whatever happens to them, each event that was answered has its
// effect exactly once.

const open: { stage: Stage; victims: Victims }[] = [];

async function aTheatre() {
  const stage = await aStage({ table: { 'payment_intent.succeeded': noting } });
  const victims = new Victims(stage.db.url);
  open.push({ stage, victims });
  return { stage, victims, ...(await stage.aTenant()) };
}

afterEach(async () => {
  for (const { stage, victims } of open.splice(0)) {
    victims.killAll();
    await stage.close();
  }
});

const idsOf = (events: readonly { id: string }[]) => events.map(({ id }) => id).sort();
const processed = async (stage: Stage, events: readonly { id: string }[]) =>
  (
    await stage.db.query(`select from stripe_webhook_events where status = 'PROCESSED' and stripe_event_id = any($1)`, [
      idsOf(events),
    ])
  ).length === events.length;

async function expectExactlyOnce(stage: Stage, events: readonly { id: string }[]): Promise<void> {
  expect(await countEffects(stage.db, idsOf(events))).toEqual({ lost: 0, doubled: 0 });
  expect(await brokenInvariants(stage.db)).toEqual([]);
}

const workerFailpoints = [
  'worker.after-claim',
  'worker.in-transaction',
  'worker.after-settle',
  'worker.after-fetch',
  'worker.after-commit',
];

test(
  'F1: after a kill at any step of a worker every event is processed exactly once, within 15 seconds',
  async () => {
    let kills = 0;
    const work = async (failpoint: string) => {
      const { stage, victims, account } = await aTheatre();
      const done = await repeat(3, 50, async (kill) => {
        const events = Array.from({ length: 6 }, (_, i) =>
          anEvent({ account, object: { id: `${i % 3 ? 'pi' : 'pi_fetched'}_${kill}_${i}` } }),
        );
        await Promise.all(events.map((event) => stage.deliver(event)));
        const { ended, child } = await victims.start({ FAILPOINT: failpoint, LEASE_MS: '500' });
        await ended;
        expect([failpoint, child.signalCode]).toEqual([failpoint, 'SIGKILL']);
      });
      kills += done;
      const all = (await stage.db.query<{ id: string }>('select stripe_event_id as id from stripe_webhook_events')) as {
        id: string;
      }[];
      await victims.start({ LEASE_MS: '500' });
      await until(() => processed(stage, all), `all events are processed after ${failpoint}`, drainMs);
      await expectExactlyOnce(stage, all);
      victims.killAll();
    };
    await Promise.all(workerFailpoints.map(work));
    report('F1 worker', { 'kills at 5 steps': kills });
  },
  patience,
);

test(
  'F1: a receiver that is killed at any step has answered nothing, and the next delivery is taken',
  async () => {
    let kills = 0;
    const work = async (failpoint: string) => {
      const { stage, victims, account } = await aTheatre();
      const events: ReturnType<typeof anEvent>[] = [];
      const done = await repeat(3, 50, async () => {
        const event = anEvent({ account });
        events.push(event);
        const dying = await victims.start({ FAILPOINT: failpoint, ROLE: 'receiver' });
        await expect(deliver(dying.url, event)).rejects.toThrow();
        await dying.ended;
      });
      kills += done;
      for (const event of events) expect((await stage.deliver(event)).status).toBe(200);
      stage.aWorker();
      await until(() => processed(stage, events), 'the events are processed');
      await expectExactlyOnce(stage, events);
    };
    await Promise.all(['inbox.before-insert', 'inbox.after-insert'].map(work));
    report('F1 receiver', { 'kills at 2 steps': kills });
  },
  patience,
);

test(
  'F2: random kills with a fifth of the deliveries doubled lose nothing and double nothing',
  async () => {
    const { stage, victims, account } = await aTheatre();
    let receiver = await victims.start({ ROLE: 'receiver' });
    let worker = await victims.start({ LEASE_MS: '500' });
    const target: Target = { url: receiver.url };
    const all: ReturnType<typeof anEvent>[] = [];
    // Fifty events to a kill, so that something is always under way.
    const send = async () => {
      const events = Array.from({ length: 50 }, (_, i) => anEvent({ account, object: { id: `pi_${i % 40}` } }));
      all.push(...events);
      expect((await deliverAll(target, events)).size).toBe(events.length);
    };
    const kills = await repeat(10, 500, async (kill) => {
      const sending = send();
      await sleep(20 + random() * 100);
      if (kill % 2) {
        receiver.child.kill('SIGKILL');
        receiver = await victims.start({ ROLE: 'receiver' });
        target.url = receiver.url;
      } else {
        worker.child.kill('SIGKILL');
        worker = await victims.start({ LEASE_MS: '500' });
      }
      await sending;
    });
    await until(() => processed(stage, all), 'all events are processed', drainMs); // I9
    await expectExactlyOnce(stage, all);
    report('F2', { kills, events: all.length });
  },
  patience,
);

test(
  'F20: a worker that slept through its lease cannot commit what it did',
  async () => {
    const { stage, victims, account } = await aTheatre();
    const sleeper = await victims.start({ PAUSE_MS: '500', LEASE_MS: '700' });
    const all: { id: string }[] = [];
    const rounds = await repeat(2, 200, async () => {
      const events = Array.from({ length: 4 }, () => anEvent({ account }));
      all.push(...events);
      await Promise.all(events.map((event) => stage.deliver(event)));
      await until(
        async () => (await stage.db.query('select from stripe_webhook_queue where lease_until > now()')).length > 0,
        'the events are claimed',
      );
      sleeper.child.kill('SIGSTOP');
      const other = stage.aWorker({ leaseMs: 700 });
      await until(() => processed(stage, events), 'another worker has taken over');
      await other.stop();
      sleeper.child.kill('SIGCONT');
      // It wakes up, finds itself fenced, and is good for the next events.
      const next = anEvent({ account });
      all.push(next);
      await stage.deliver(next);
      await until(() => processed(stage, [next]), 'the sleeper works again');
    });
    await expectExactlyOnce(stage, all);
    report('F20', { 'naps past the lease': rounds });
  },
  patience,
);

test(
  'an event that kills its worker each time is tried alone, and the others are not lost',
  async () => {
    const { stage, victims, account } = await aTheatre();
    const killer = anEvent({ account, object: { id: 'pi_killer' } });
    const events = Array.from({ length: 5 }, () => anEvent({ account }));
    await Promise.all([killer, ...events].map((event) => stage.deliver(event)));
    for (let i = 0; i < 12 && !(await processed(stage, events)); i++) {
      const { ended } = await victims.start({ LEASE_MS: '500' });
      await Promise.race([
        ended,
        until(() => processed(stage, events), 'the others are processed').catch(() => undefined),
      ]);
    }
    expect(await processed(stage, events)).toBe(true);
    const [row] = await stage.db.query<{ crashes: number }>('select crashes from stripe_webhook_queue');
    expect(row!.crashes).toBeGreaterThan(0);
    await expectExactlyOnce(stage, events);
  },
  patience,
);

test(
  'F12: connections that are cut again and again while events come in lose nothing and double nothing',
  async () => {
    const { stage, account } = await aTheatre();
    for (let i = 0; i < 2; i++) stage.aWorker({ batchSize: 10 });
    const events: ReturnType<typeof anEvent>[] = [];
    let cuts = 0;
    await repeat(1, 100, async () => {
      const some = Array.from({ length: 200 }, (_, i) => anEvent({ account, object: { id: `pi_${i % 20}` } }));
      events.push(...some);
      // Not for as long as it takes: a slow machine may need more than the time between two cuts to connect, and would never get anywhere.
      const cutting = (async () => {
        for (const enough = cuts + 30; cuts < enough; cuts++) {
          await stage.db.query(
            `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'psa_app'`,
          );
          await sleep(30);
        }
      })();
      expect((await deliverAll({ url: stage.url }, some)).size).toBe(some.length);
      await cutting;
    });
    await until(() => processed(stage, events), 'all events are processed', drainMs);
    await expectExactlyOnce(stage, events);
    // None of the cuts was taken for a failure of an event.
    expect(await stage.db.query('select from stripe_webhook_events where attempts > 1')).toEqual([]);
    report('F12', { cuts, events: events.length });
  },
  patience,
);
