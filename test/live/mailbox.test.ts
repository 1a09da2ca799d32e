import { Mailbox } from '../../src/features/live/mailbox.js';
import { newUuid } from '../../src/shared/uuid.js';
import { until } from '../support/until.js';

const never = () => {
  throw new Error('Nobody was too slow.');
};

test('a row that changes many times waits once', async () => {
  const mailbox = new Mailbox(never);
  const [one, other] = [newUuid(), newUuid()];
  for (let n = 0; n < 1_000; n += 1) mailbox.add(n % 2 ? one : other);
  expect([await mailbox.next(), await mailbox.next()]).toEqual([other, one]);
  const third = mailbox.next();
  mailbox.add(one);
  expect(await third).toBe(one);
  mailbox.close();
  expect(await mailbox.next()).toBeNull();
});

test('whoever waits hears of the end', async () => {
  const mailbox = new Mailbox(never);
  const waiting = mailbox.next();
  mailbox.close();
  expect(await waiting).toBeNull();
});

test('too many rows, or one that waits too long, end it', async () => {
  let dropped = 0;
  const full = new Mailbox(() => (dropped += 1), { rows: 2, waitMs: 60_000 });
  for (let n = 0; n < 5; n += 1) full.add(newUuid());
  expect(dropped).toBe(1);
  expect(await full.next()).toBeNull();
  const slow = new Mailbox(() => (dropped += 1), { rows: 10, waitMs: 30 });
  slow.add(newUuid());
  slow.add(newUuid());
  await slow.next();
  await until(() => dropped === 2, 'the one that waits too long ends it');
});
