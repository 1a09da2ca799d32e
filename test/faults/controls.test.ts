import { setTimeout as sleep } from 'node:timers/promises';
import { aStage, anEvent, type Stage } from '../webhooks/stage.js';
import { random } from './dose.js';
import { brokenInvariants, countEffects } from './invariants.js';
import { deliverAll, Victims, type Target } from './processes.js';

// The suite is worth as much as it notices: two servers that are wrong in the usual ways go through the same random kills, and have to fail.

let stage: Stage;
let victims: Victims;

beforeEach(async () => {
  stage = await aStage();
  await stage.db.query('create table naive_events (id text primary key)');
  victims = new Victims(stage.db.adminUrl, 'naive-process.mjs');
});
afterEach(async () => {
  victims.killAll();
  await stage.close();
});

async function undergo(naive: string): Promise<{ lost: number; doubled: number }> {
  const { account } = await stage.aTenant();
  const events = Array.from({ length: 400 }, () => anEvent({ account }));
  const target: Target = { url: '' };
  let receiver = await victims.start({ NAIVE: naive });
  target.url = receiver.url;
  // Copies that overlap, which is when it matters whether an event is known.
  const sending = deliverAll(target, [...events, ...events.slice(0, 100)]);
  for (let kill = 0; kill < 4; kill++) {
    await sleep(30 + random() * 80);
    receiver.child.kill('SIGKILL');
    receiver = await victims.start({ NAIVE: naive });
    target.url = receiver.url;
  }
  expect((await sending).size).toBe(events.length);
  return countEffects(
    stage.db,
    events.map(({ id }) => id),
  );
}

test('a server that notes an event after the work doubles effects, and the suite notices', async () => {
  const { doubled } = await undergo('doubling');
  expect(doubled).toBeGreaterThan(0);
  expect(await brokenInvariants(stage.db)).toContainEqual(expect.stringContaining('I3 an event has its effect once'));
}, 60_000);

test('a server that skips whatever it knows loses effects, and the suite notices', async () => {
  const { lost } = await undergo('skipping');
  expect(lost).toBeGreaterThan(0);
}, 60_000);
