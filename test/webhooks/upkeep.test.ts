import { type Clock } from '../../src/shared/clock.js';
import { EventRetention } from '../../src/webhooks/event-retention.js';
import { Queue } from '../../src/webhooks/queue.js';
import { aStage, anEvent, noting, silent, type Stage } from './stage.js';

let stage: Stage;
let queue: Queue;
let now: Date;
const clock: Clock = { now: () => now };

beforeEach(async () => {
  now = new Date();
  stage = await aStage({ table: { 'payment_intent.succeeded': noting } });
  queue = new Queue({ url: stage.db.url, livemode: false, leaseMs: 1_000, logger: silent });
});
afterEach(async () => {
  await queue.close();
  await stage.close();
});

const keepMonths = (retentionDays: number) =>
  new EventRetention({ database: stage.database, retentionDays, clock, logger: silent }).keepMonths();
const partitions = async () =>
  (
    await stage.db.query<{ name: string }>(
      `select inhrelid::regclass::text as name from pg_inherits where inhparent = 'stripe_webhook_events'::regclass order by 1`,
    )
  ).map(({ name }) => name.replace('stripe_webhook_events_', ''));
const month = (offset: number) => {
  const date = new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + offset, 1));
  return { name: date.toISOString().slice(0, 7).replace('-', '_'), seconds: date.getTime() / 1_000 };
};
const partitionOf = async (id: string) =>
  (
    await stage.db.query<{ name: string }>(
      'select tableoid::regclass::text as name from stripe_webhook_events where stripe_event_id = $1',
      [id],
    )
  )[0]?.name.replace('stripe_webhook_events_', '');

test('the months around now have their partitions from the start', async () => {
  expect(await partitions()).toEqual([...[-1, 0, 1, 2].map((offset) => month(offset).name), 'other']);
});

test('coming months get theirs, and take over what the default one caught', async () => {
  const { account } = await stage.aTenant();
  const event = anEvent({ account, created: month(4).seconds + 3_600 });
  await stage.deliver(event);
  expect(await partitionOf(event.id)).toBe('other');
  now = new Date(month(3).seconds * 1_000);
  await keepMonths(400);
  await keepMonths(400);
  now = new Date();
  expect(await partitions()).toEqual([...[-1, 0, 1, 2, 3, 4, 5].map((offset) => month(offset).name), 'other']);
  expect(await partitionOf(event.id)).toBe(month(4).name);
  expect((await stage.deliver(event)).status).toBe(200);
  expect(await stage.db.query('select from stripe_webhook_events where stripe_event_id = $1', [event.id])).toHaveLength(
    1,
  );
});

test('months past their retention are dropped, unless something in them is still to do', async () => {
  const { account } = await stage.aTenant();
  const old = month(-6);
  await stage.db.query(`select webhook_events_add_month(date '${old.name.replace('_', '-')}-01')`);
  const event = anEvent({ account, created: old.seconds + 60 });
  await stage.deliver(event);
  expect(await partitionOf(event.id)).toBe(old.name);

  expect(await keepMonths(400)).toEqual([]);
  expect(await keepMonths(60)).toEqual([]); // it waits to be processed
  await stage.db.query(`update stripe_webhook_queue set state = 'DEAD'`);
  expect(await keepMonths(60)).toEqual([`${old.name.replace('_', '-')}-01`]);
  expect(await partitions()).not.toContain(old.name);
  expect(await stage.db.query('select from stripe_webhook_queue')).toEqual([]);
});

test('PostgreSQL reads no payloads back to learn what they are like, of no month', async () => {
  await stage.db.query(`select webhook_events_add_month(date '2031-07-01')`);
  const learnt = await stage.db.query(
    `select attrelid::regclass as partition from pg_attribute where attname = 'payload' and attstattarget is distinct from 0
       and (attrelid = 'stripe_webhook_events'::regclass or attrelid in (select inhrelid from pg_inherits where inhparent = 'stripe_webhook_events'::regclass))`,
  );
  expect(await partitions()).toContain('2031_07');
  expect(learnt).toEqual([]);
});

test('not even the worker role can drop a month whose events Stripe may still repeat', async () => {
  await expect(queue.run(`select webhook_events_drop_month('${month(0).name.replace('_', '-')}-01')`)).rejects.toThrow(
    /too young/,
  );
});

test('tenants can neither make partitions nor drop them', async () => {
  const { id } = await stage.aTenant();
  for (const call of ['webhook_events_add_month', 'webhook_events_drop_month']) {
    const work = stage.database.tenant(id).transaction((em) => em.execute(`select ${call}('2020-01-01')`));
    await expect(work).rejects.toThrow(/permission denied/);
  }
});
