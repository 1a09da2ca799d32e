import { once } from 'node:events';
import { connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { type Clock } from '../../src/shared/clock.js';
import { eventsRefused } from '../../src/shared/metrics.js';
import { until } from '../support/until.js';
import { aStage, aThinEvent, anEvent, noting, post, secrets, sign, type Stage } from './stage.js';

let stage: Stage;
let account: string;
// It stands, so that 301 seconds are 301 however long a request takes.
let at = Date.now();
const clock: Clock = { now: () => new Date(at) };

beforeAll(async () => {
  stage = await aStage({
    clock,
    table: { 'payment_intent.succeeded': noting, 'v2.core.account[requirements].updated': noting as never },
  });
  ({ account } = await stage.aTenant());
});
afterAll(() => stage.close());
beforeEach(() => {
  // Each test starts in a fresh window of the limit on failures.
  at += 61_000;
});

const now = () => Math.floor(clock.now().getTime() / 1_000);
const signed = (event: object, secret = secrets.snapshot[0]!, at = now()) => {
  const payload = JSON.stringify(event);
  return post(stage.url, payload, { 'stripe-signature': sign(payload, secret, at) });
};
const countOf = async (id: string) =>
  (await stage.db.query('select id from stripe_webhook_events where stripe_event_id = $1', [id])).length;

test('a signed event is stored before it is answered', async () => {
  const event = anEvent({ account });
  const { status, body } = await signed(event);
  expect([status, body]).toEqual([200, { received: true }]);
  expect(await stage.stored(event.id)).toMatchObject({ status: 'RECEIVED', attempts: 0 });
  const [row] = await stage.db.query('select * from stripe_webhook_events where stripe_event_id = $1', [event.id]);
  expect(row).toMatchObject({
    type: 'payment_intent.succeeded',
    kind: 'SNAPSHOT',
    stripe_account_id: account,
    object_key: event.data.object.id,
    livemode: false,
    payload: event,
    stripe_created_at: new Date(event.created * 1_000),
  });
});

test('a thin event is stored under the secret for thin events', async () => {
  const event = aThinEvent({ account });
  expect((await signed(event, secrets.thin[0])).status).toBe(200);
  const [row] = await stage.db.query('select * from stripe_webhook_events where stripe_event_id = $1', [event.id]);
  expect(row).toMatchObject({ kind: 'THIN', status: 'RECEIVED', stripe_account_id: account, object_key: account });
  expect(row!.stripe_created_at).toEqual(new Date(event.created));
});

test('every current secret is good, so that they can be rotated', async () => {
  for (const secret of secrets.snapshot) expect((await signed(anEvent({ account }), secret)).status).toBe(200);
});

test('fifty copies at once are all answered 200 and stored once', async () => {
  for (let round = 0; round < 5; round++) {
    const event = anEvent({ account });
    const answers = await Promise.all(Array.from({ length: 50 }, () => signed(event)));
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
    expect(await countOf(event.id)).toBe(1);
  }
});

test.each([
  ['a secret that is not ours', () => signed(anEvent({ account }), 'whsec_test_local_other'), 'mismatch'],
  ['a signature 301 seconds old', () => signed(anEvent({ account }), secrets.snapshot[0], now() - 301), 'stale'],
  ['a signature 301 seconds ahead', () => signed(anEvent({ account }), secrets.snapshot[0], now() + 301), 'future'],
  ['a thin event under a secret for snapshots', () => signed(aThinEvent({ account })), 'wrong-kind'],
  ['a snapshot under a secret for thin events', () => signed(anEvent({ account }), secrets.thin[0]), 'wrong-kind'],
  ['no signature', () => post(stage.url, JSON.stringify(anEvent({ account })), {}), 'missing'],
  ['no body', () => post(stage.url, '', { 'stripe-signature': 't=1,v1=00' }), 'malformed'],
])('%s is refused with 401', async (_, send, reason) => {
  const before = await stage.db.query('select count(*)::integer as n from stripe_webhook_events');
  const { status, body } = await send();
  expect([status, body]).toEqual([401, { error: reason }]);
  expect(await stage.db.query('select count(*)::integer as n from stripe_webhook_events')).toEqual(before);
});

test('a kind without a secret is refused', async () => {
  const bare = await aStage();
  try {
    const thin = aThinEvent({ account });
    expect((await bare.deliver(thin, '')).status).toBe(401);
  } finally {
    await bare.close();
  }
});

test.each(['GET', 'PUT', 'PATCH', 'DELETE', 'HEAD', 'OPTIONS'])(
  '%s is answered 405, and told what is allowed',
  async (method) => {
    const response = await fetch(stage.url, { method });
    expect(response.status).toBe(405);
    expect(response.headers.get('allow')).toBe('POST');
  },
);

test('another content type is answered 415', async () => {
  const payload = JSON.stringify(anEvent({ account }));
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'application/xml']) {
    const answer = await post(stage.url, payload, {
      'stripe-signature': sign(payload, secrets.snapshot[0]!),
      'content-type': type,
    });
    expect(answer.status).toBe(415);
  }
});

test('a compressed body is answered 415 and never unpacked', async () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000, ' '));
  expect(bomb.length).toBeLessThan(256 * 1024);
  const answer = await post(stage.url, bomb, { 'content-encoding': 'gzip', 'stripe-signature': 't=1,v1=00' });
  expect(answer.status).toBe(415);
});

test('300 kB are answered 413', async () => {
  const answer = await post(stage.url, 'x'.repeat(300 * 1024), { 'stripe-signature': 't=1,v1=00' });
  expect(answer.status).toBe(413);
});

test('who hangs up in the middle of a body is no failure of ours', async () => {
  const refused = async () => {
    const { values } = await eventsRefused.get();
    const of = (reason: string) => values.find(({ labels }) => labels.reason === reason)?.value ?? 0;
    return { body: of('body'), internal: of('internal') };
  };
  const before = await refused();
  const { hostname, port, pathname } = new URL(stage.url);
  const socket = connect(Number(port), hostname);
  socket.on('error', () => undefined);
  socket.write(
    `POST ${pathname} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n`,
  );
  await once(socket, 'data');
  socket.write('{');
  socket.resetAndDestroy();
  await until(
    async () => (await refused()).body + (await refused()).internal > before.body + before.internal,
    'it was refused',
  );
  expect(await refused()).toEqual({ body: before.body + 1, internal: before.internal });
});

test('an authentic body that is no event is answered 400', async () => {
  expect((await signed({ ...anEvent({ account }), id: 'evt_"; drop table' })).status).toBe(400);
  expect((await signed({ ...anEvent({ account }), created: 'now' })).status).toBe(400);
  expect((await signed({ ...anEvent({ account }), livemode: 'no' })).status).toBe(400);
});

test('whoever fails often is told so, while authentic traffic of the same address goes through', async () => {
  const statuses = new Set<number>();
  for (let i = 0; i < 40; i++) statuses.add((await signed(anEvent({ account }), 'whsec_test_local_other')).status);
  expect(statuses).toEqual(new Set([401, 429]));
  expect((await signed(anEvent({ account }))).status).toBe(200);
});

test('an event of an unknown account is stored and parked', async () => {
  const event = anEvent({ account: 'acct_nobody' });
  expect((await signed(event)).status).toBe(200);
  expect(await stage.stored(event.id)).toMatchObject({ status: 'PARKED' });
});

test('an event of the other mode is stored and parked', async () => {
  const event = anEvent({ account, livemode: true });
  expect((await signed(event)).status).toBe(200);
  expect(await stage.stored(event.id)).toMatchObject({ status: 'PARKED' });
});

test('an event of a type that nobody handles is stored and ignored', async () => {
  const event = anEvent({ account, type: 'topup.created' });
  expect((await signed(event)).status).toBe(200);
  expect(await stage.stored(event.id)).toMatchObject({ status: 'IGNORED' });
  const queued = await stage.db.query(
    'select from stripe_webhook_queue q join stripe_webhook_events e on e.id = q.event_id where e.stripe_event_id = $1',
    [event.id],
  );
  expect(queued).toEqual([]);
});

test('an event without an object id is kept in order by its own', async () => {
  const event = anEvent({ account, object: { id: null } });
  expect((await signed(event)).status).toBe(200);
  const [row] = await stage.db.query('select object_key from stripe_webhook_events where stripe_event_id = $1', [
    event.id,
  ]);
  expect(row).toEqual({ object_key: event.id });
});

test('what jsonb cannot hold is stored with the characters replaced', async () => {
  const event = anEvent({ account, object: { description: 'a\0b', note: 'half \ud83d', quote: `it's a \\ "quote"` } });
  expect((await signed(event)).status).toBe(200);
  const [row] = await stage.db.query<{ payload: typeof event }>(
    'select payload from stripe_webhook_events where stripe_event_id = $1',
    [event.id],
  );
  expect(row!.payload.data.object).toMatchObject({
    description: 'a\ufffdb',
    note: 'half \ufffd',
    quote: `it's a \\ "quote"`,
  });
});

test('an event from long ago, and one from the future, find a place', async () => {
  for (const created of [1_262_304_000, 4_102_444_800]) {
    const event = anEvent({ account, created });
    expect((await signed(event)).status).toBe(200);
    expect(await countOf(event.id)).toBe(1);
  }
});

test('the secret that an intent is confirmed with is not kept', async () => {
  const description = 'says "client_secret": "kept"';
  const event = anEvent({ account, object: { client_secret: 'pi_1_secret_canary', description } });
  expect((await signed(event)).status).toBe(200);
  const [row] = await stage.db.query<{ payload: typeof event }>(
    'select payload from stripe_webhook_events where stripe_event_id = $1',
    [event.id],
  );
  expect(row!.payload.data.object).toMatchObject({ client_secret: null, description });
});
