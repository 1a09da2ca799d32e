import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { until } from '../support/until.js';
import { aStage, anEvent, deliver, noting, type Stage } from './stage.js';

const script = fileURLToPath(new URL('worker-process.mjs', import.meta.url));

let stage: Stage;
let account: string;
let children: ChildProcess[] = [];

beforeEach(async () => {
  stage = await aStage({ table: { 'payment_intent.succeeded': noting } });
  ({ account } = await stage.aTenant());
});
afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await stage.close();
});

interface Process {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<unknown>;
}

async function aProcess(env: Record<string, string> = {}): Promise<Process> {
  const child = spawn(process.execPath, [script], {
    env: { ...process.env, DATABASE_URL: stage.db.url, ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const ended = once(child, 'exit');
  const [port] = (await Promise.race([
    once(child.stdout, 'data'),
    ended.then(() => {
      throw new Error('The process ended before it listened.');
    }),
  ])) as [Buffer];
  return { child, url: `http://127.0.0.1:${String(port).trim()}/api/stripe/webhook`, ended };
}

const processed = async (ids: string[]) =>
  (
    await stage.db.query(`select from stripe_webhook_events where status = 'PROCESSED' and stripe_event_id = any($1)`, [
      ids,
    ])
  ).length === ids.length;

const idsOf = (events: { id: string }[]) => events.map(({ id }) => id).sort();

test.each([
  'worker.after-claim',
  'worker.in-transaction',
  'worker.after-settle',
  'worker.after-fetch',
  'worker.after-commit',
])(
  'after a kill at %s every event is processed exactly once, within 15 seconds',
  async (failpoint) => {
    const events = Array.from({ length: 12 }, (_, i) =>
      anEvent({ account, object: { id: `${i % 3 ? 'pi' : 'pi_fetched'}_${i}` } }),
    );
    await Promise.all(events.map((event) => stage.deliver(event)));
    for (let kill = 0; kill < 3; kill++) {
      const { ended, child } = await aProcess({ FAILPOINT: failpoint });
      if (await processed(idsOf(events))) break;
      await ended;
      expect(child.signalCode).toBe('SIGKILL');
    }
    const killed = performance.now();
    await aProcess();
    await until(() => processed(idsOf(events)), 'all events are processed', 15_000);
    expect(performance.now() - killed).toBeLessThan(15_000);
    expect((await stage.notes()).sort()).toEqual(idsOf(events));
    expect(await stage.db.query('select from stripe_webhook_queue')).toEqual([]);
  },
  60_000,
);

test.each(['inbox.before-insert', 'inbox.after-insert'])(
  'a receiver that is killed at %s has answered nothing, and the next delivery is taken',
  async (failpoint) => {
    const event = anEvent({ account });
    const dying = await aProcess({ FAILPOINT: failpoint, ROLE: 'receiver' });
    await expect(deliver(dying.url, event)).rejects.toThrow();
    await dying.ended;
    const { url } = await aProcess();
    expect((await deliver(url, event)).status).toBe(200);
    await until(() => processed([event.id]), 'the event is processed');
    expect(await stage.notes()).toEqual([event.id]);
  },
  30_000,
);

test('a worker that slept through its lease cannot commit what it did', async () => {
  const events = Array.from({ length: 6 }, () => anEvent({ account }));
  await Promise.all(events.map((event) => stage.deliver(event)));
  const sleeper = await aProcess({ PAUSE_MS: '300', LEASE_MS: '1000' });
  await until(
    async () => (await stage.db.query('select from stripe_webhook_queue where lease_until > now()')).length > 0,
    'the events are claimed',
  );
  sleeper.child.kill('SIGSTOP');
  const other = await aProcess();
  await until(() => processed(idsOf(events)), 'the other worker has taken over', 15_000);
  sleeper.child.kill('SIGCONT');
  // It wakes up, finds itself fenced, and is good for the next events.
  const next = anEvent({ account });
  other.child.kill('SIGKILL');
  await stage.deliver(next);
  await until(() => processed([next.id]), 'the sleeper works again', 15_000);
  expect((await stage.notes()).sort()).toEqual(idsOf([...events, next]));
}, 60_000);

test('an event that kills its worker each time is tried alone, and the others are not lost', async () => {
  const killer = anEvent({ account, object: { id: 'pi_killer' } });
  const events = Array.from({ length: 5 }, () => anEvent({ account }));
  await Promise.all([killer, ...events].map((event) => stage.deliver(event)));
  for (let i = 0; i < 12 && !(await processed(idsOf(events))); i++) {
    const { ended } = await aProcess({ LEASE_MS: '500' });
    await Promise.race([ended, until(() => processed(idsOf(events)), 'the others are processed')]);
  }
  expect(await processed(idsOf(events))).toBe(true);
  const [row] = await stage.db.query<{ crashes: number }>('select crashes from stripe_webhook_queue');
  expect(row!.crashes).toBeGreaterThan(0);
  expect((await stage.notes()).sort()).toEqual(idsOf(events));
}, 60_000);

test('random kills with overlapping duplicates lose nothing and double nothing', async () => {
  const seed = Number(process.env.SEED ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}`);
  let state = seed;
  const random = () => (state = (state * 48_271) % 2_147_483_647) / 2_147_483_647;
  const events = Array.from({ length: 300 }, (_, i) => anEvent({ account, object: { id: `pi_${i % 40}` } }));
  const answered = new Set<string>();
  let receiver = await aProcess({ ROLE: 'receiver' });
  let worker = await aProcess({ LEASE_MS: '800' });
  const sending = (async () => {
    const deliveries = [...events, ...events.filter(() => random() < 0.2)].sort(() => random() - 0.5);
    const send = async () => {
      for (let event = deliveries.pop(); event; event = deliveries.pop()) {
        try {
          if ((await deliver(receiver.url, event)).status === 200) answered.add(event.id);
          else deliveries.unshift(event);
        } catch {
          deliveries.unshift(event);
          await sleep(20);
        }
      }
    };
    await Promise.all(Array.from({ length: 8 }, send));
  })();
  for (let kill = 0; kill < 6; kill++) {
    await sleep(200 + random() * 300);
    if (kill % 2) {
      receiver.child.kill('SIGKILL');
      receiver = await aProcess({ ROLE: 'receiver' });
    } else {
      worker.child.kill('SIGKILL');
      worker = await aProcess({ LEASE_MS: '800' });
    }
  }
  await sending;
  expect(answered.size).toBe(events.length);
  await until(() => processed(idsOf(events)), 'all events are processed', 30_000);
  expect((await stage.notes()).sort()).toEqual(idsOf(events));
}, 90_000);

test('connections that are cut again and again while events come in lose nothing and double nothing', async () => {
  for (let i = 0; i < 2; i++) stage.aWorker({ batchSize: 10 });
  const events = Array.from({ length: 200 }, (_, i) => anEvent({ account, object: { id: `pi_${i % 20}` } }));
  let sending = true;
  const cutting = (async () => {
    while (sending) {
      await stage.db.query(
        `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'psa_app'`,
      );
      await sleep(40);
    }
  })();
  const deliveries = [...events];
  const send = async () => {
    for (let event = deliveries.pop(); event; event = deliveries.pop()) {
      if ((await stage.deliver(event)).status !== 200) deliveries.unshift(event);
    }
  };
  await Promise.all(Array.from({ length: 8 }, send));
  await sleep(500);
  sending = false;
  await cutting;
  await until(() => processed(idsOf(events)), 'all events are processed', 30_000);
  expect((await stage.notes()).sort()).toEqual(idsOf(events));
  // None of them was taken for a failure of the event itself.
  expect(await stage.db.query('select from stripe_webhook_events where attempts > 1')).toEqual([]);
}, 60_000);
