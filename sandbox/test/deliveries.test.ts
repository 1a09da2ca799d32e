import { aListener, aStripe, type Listener, type Posted, type TestStripe } from './support/stripe.js';

let local: TestStripe;
let hook: Listener;
let secret: string;
let endpoint: string;
beforeEach(async () => {
  local = await aStripe({ delivery: { retrySchedule: [0.02, 0.04, 0.06] } });
  hook = await aListener();
  const created = await local.stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ['*'] });
  ({ id: endpoint } = created);
  secret = created.secret!;
});
afterEach(async () => {
  await local.stop();
  await hook.close();
});

const event = ({ body, signature }: Posted, key = secret) => local.stripe.webhooks.constructEvent(body, signature, key);
const names = () => hook.posted.map((post) => JSON.parse(post.body).data.object.name as string);

test('an event is signed so that the SDK accepts it, and knows which request made it', async () => {
  const customer = await local.stripe.customers.create({ name: 'a' }, { idempotencyKey: 'key-1' });
  await hook.until((posted) => posted.length === 1);
  expect(event(hook.posted[0]!)).toMatchObject({
    object: 'event',
    type: 'customer.created',
    api_version: '2026-10-28.endive',
    pending_webhooks: 1,
    request: { id: customer.lastResponse.requestId, idempotency_key: 'key-1' },
    data: { object: { id: customer.id } },
  });
  expect(() => event(hook.posted[0]!, 'whsec_other')).toThrow();
});

test('anything but a 2xx is tried again, each time signed anew, until the schedule ends', async () => {
  hook.answers.push(500, 302, 404);
  await local.stripe.customers.create({});
  await hook.until((posted) => posted.length === 4);
  for (const post of hook.posted) event(post);
  hook.answers.push(500, 500, 500, 500, 500);
  await local.stripe.customers.create({});
  await hook.until((posted) => posted.length === 8);
  await new Promise((resolve) => setTimeout(resolve, 150));
  expect(hook.posted).toHaveLength(8);
  const { data } = await local.control<{ data: { state: string; attempts: { status: number }[] }[] }>(
    '/deliveries?state=failed',
  );
  expect(data[0]!.attempts.map(({ status }) => status)).toEqual([500, 500, 500, 500]);
});

test('pending_webhooks goes down when the event has arrived', async () => {
  await local.stripe.customers.create({});
  await local.sandbox.deliveries.drained(2_000);
  expect((await local.stripe.events.list()).data[0]!.pending_webhooks).toBe(0);
});

test('while a secret is rolled both signatures are there', async () => {
  const { secrets } = await local.control<{ secrets: string[] }>(`/endpoints/${endpoint}/roll_secret`, {});
  await local.stripe.customers.create({});
  await hook.until((posted) => posted.length === 1);
  expect(secrets).toHaveLength(2);
  for (const key of secrets) event(hook.posted[0]!, key);
  await local.control(`/endpoints/${endpoint}/roll_secret`, { finish: true });
  await local.stripe.customers.create({});
  await hook.until((posted) => posted.length === 2);
  expect(() => event(hook.posted[1]!, secret)).toThrow();
});

test('held deliveries go when they are released, in the order asked for', async () => {
  await local.control('/deliveries/hold', {});
  for (const name of ['a', 'b', 'c']) await local.stripe.customers.create({ name });
  const { data } = await local.control<{ data: { id: string; state: string }[] }>('/deliveries');
  expect(data.map(({ state }) => state)).toEqual(['held', 'held', 'held']);
  expect(hook.posted).toHaveLength(0);
  for (const { id } of [...data].reverse()) {
    await local.control('/deliveries/release', { ids: [id], keep_holding: true });
    await local.sandbox.deliveries.drained(2_000);
  }
  expect(names()).toEqual(['c', 'b', 'a']);
});

test('deliveries are dropped, duplicated and delayed by dial', async () => {
  await local.control('/deliveries/faults', { drop: 1, types: ['customer.created'] });
  const { id } = await local.stripe.customers.create({ name: 'a' });
  await local.control('/deliveries/faults', { drop: 0, types: [], duplicate: 1 });
  await local.stripe.customers.update(id, { name: 'b' });
  await hook.until((posted) => posted.length === 2);
  expect(hook.types()).toEqual(['customer.updated', 'customer.updated']);
  expect(JSON.parse(hook.posted[0]!.body).id).toBe(JSON.parse(hook.posted[1]!.body).id);
  const [dropped] = (await local.control<{ data: { id: string }[] }>('/deliveries?state=dropped')).data;
  await local.control(`/deliveries/${dropped!.id}/resend`, {});
  await hook.until((posted) => posted.length === 3);
});

test('reordering is seeded', async () => {
  await local.control('/deliveries/faults', { reorder_ms: 60, seed: 7 });
  for (let i = 0; i < 12; i++) await local.stripe.customers.create({ name: `${i}` });
  await hook.until((posted) => posted.length === 12);
  expect(names()).not.toEqual(Array.from({ length: 12 }, (_, i) => `${i}`));
});

test('a seed drops and duplicates the same deliveries again', async () => {
  const outcome = async (seed: number): Promise<string[]> => {
    await local.control('/deliveries/faults', { drop: 0.4, duplicate: 0.4, hold: true, seed });
    for (let i = 0; i < 20; i++) await local.stripe.customers.create({ name: `${seed}-${i}` });
    const { data } = await local.control<{ data: { id: string; state: string; event: string }[] }>('/deliveries');
    const events = new Map(data.map(({ event: id }, i) => [id, i]));
    local.sandbox.deliveries.clear();
    return data.map(({ state, event: id }) => `${state} ${events.get(id)}`);
  };
  const first = await outcome(11);
  expect(first.some((line) => line.startsWith('dropped'))).toBe(true);
  expect(first.length).toBeGreaterThan(20);
  expect(await outcome(11)).toEqual(first);
  expect(await outcome(12)).not.toEqual(first);
});

test('a delay holds every first attempt back', async () => {
  await local.control('/deliveries/faults', { delay_ms: 300, seed: 3 });
  const before = Date.now();
  for (let i = 0; i < 8; i++) await local.stripe.customers.create({});
  await hook.until((posted) => posted.length === 8);
  expect(Date.now() - before).toBeGreaterThan(100);
});

test('what waits for its next attempt is signed with the secrets of that moment', async () => {
  hook.answers.push(500, 500, 500, 500, 500);
  await local.stripe.customers.create({});
  await hook.until((posted) => posted.length === 1);
  const { secrets } = await local.control<{ secrets: string[] }>(`/endpoints/${endpoint}/roll_secret`, {});
  // The next attempt may have been under way already.
  const both = (posts: readonly Posted[]) => posts.find(({ signature }) => signature.split('v1=').length === 3);
  await hook.until((posted) => Boolean(both(posted)));
  for (const key of secrets) event(both(hook.posted)!, key);
});

test('an endpoint hears only what it subscribed to, and the platform only of itself', async () => {
  const other = await aListener();
  await local.stripe.webhookEndpoints.create({ url: other.url, enabled_events: ['customer.deleted'], connect: true });
  const account = await local.connected();
  await local.sandbox.deliveries.drained(2_000);
  hook.posted.splice(0);
  const { id } = await local.stripe.customers.create({}, account);
  await local.stripe.customers.del(id, {}, account);
  await other.until((posted) => posted.length === 1);
  expect(JSON.parse(other.posted[0]!.body).account).toBe(account.stripeAccount);
  expect(hook.posted).toHaveLength(0);
  await other.close();
});

test('events can be listed by type and read one by one; the account of another cannot see them', async () => {
  const account = await local.connected();
  const customer = await local.stripe.customers.create({}, account);
  const [found] = (await local.stripe.events.list({ type: 'customer.*' }, account)).data;
  expect(found!.data.object).toMatchObject({ id: customer.id });
  expect((await local.stripe.events.retrieve(found!.id, {}, account)).account).toBe(account.stripeAccount);
  await expect(local.stripe.events.retrieve(found!.id)).rejects.toMatchObject({ code: 'resource_missing' });
});
