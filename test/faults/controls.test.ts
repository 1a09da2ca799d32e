import { aStage, anEvent, type Stage } from '../webhooks/stage.js';
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
  let kills = 0;
  // In the middle of the traffic, so that some work is always half done; and with copies, when it matters whether an event is known.
  const onAnswer = (answers: number) => {
    if (kills >= 4 || answers < (kills + 1) * 60) return;
    kills += 1;
    receiver.child.kill('SIGKILL');
    void victims.start({ NAIVE: naive }).then((next) => {
      receiver = next;
      target.url = next.url;
    });
  };
  expect((await deliverAll(target, [...events, ...events.slice(0, 100)], onAnswer)).size).toBe(events.length);
  expect(kills).toBe(4);
  return countEffects(
    stage.db,
    events.map(({ id }) => id),
  );
}

test('a server that notes an event after the work doubles effects, and the suite notices', async () => {
  const { doubled } = await undergo('doubling');
  expect(doubled).toBeGreaterThan(0);
  expect(await brokenInvariants(stage.db)).toContainEqual(expect.stringContaining('I3 an event has its effect once'));
});

test('a server that skips whatever it knows loses effects, and the suite notices', async () => {
  const { lost } = await undergo('skipping');
  expect(lost).toBeGreaterThan(0);
});
