import { StripeFailure } from '../../src/stripe/stripe-errors.js';
import { type StripeService } from '../../src/stripe/stripe.service.js';
import { stripeKey } from '../../src/stripe/types.js';
import {
  anIntent,
  fakeStripe,
  html,
  json,
  refusal,
  reset,
  serviceAt,
  silence,
  truncated,
  type Reply,
} from './fake-stripe.js';

let stripe: Awaited<ReturnType<typeof fakeStripe>>;
const services: StripeService[] = [];

beforeAll(async () => {
  stripe = await fakeStripe(silence);
});

afterAll(async () => {
  services.forEach((service) => service.close());
  await stripe.stop();
});

function service(overrides: Parameters<typeof serviceAt>[1] = {}, url = stripe.url) {
  const made = serviceAt(url, overrides);
  services.push(made);
  return made;
}

const key = stripeKey('6f1c7d1e-0000-7000-8000-000000000001', 'payment-intent');
const order = { amount: 10_000, currency: 'usd', applicationFee: 250, metadata: { command_id: 'c1' } };

function create(overrides: Parameters<typeof serviceAt>[1] = {}) {
  return service(overrides).forAccount('acct_1').createPaymentIntent(order, { key });
}

async function failureOf(work: Promise<unknown>): Promise<StripeFailure> {
  const failure = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(StripeFailure);
  return failure as StripeFailure;
}

const keys = () => new Set(stripe.seen.map(({ headers }) => headers['idempotency-key']));

test('every call of a tenant carries its account, the pinned version and no telemetry', async () => {
  stripe.replyWith(json(200, anIntent()));
  const intent = await create();
  expect(intent.client_secret).toBe('pi_1_secret_1');
  const [request] = stripe.seen;
  expect(request!.headers).toMatchObject({
    'stripe-account': 'acct_1',
    'stripe-version': '2026-10-28.endive',
    'idempotency-key': key,
    authorization: 'Bearer sk_test_local_transport',
  });
  expect(request!.headers['x-stripe-client-telemetry']).toBeUndefined();
  expect(Object.fromEntries(new URLSearchParams(request!.body))).toEqual({
    amount: '10000',
    currency: 'usd',
    application_fee_amount: '250',
    'metadata[command_id]': 'c1',
    'expand[0]': 'latest_charge.balance_transaction',
  });
});

test('a fee that is not due is not sent', async () => {
  stripe.replyWith(json(200, anIntent({ application_fee_amount: null })));
  const { applicationFee: _, ...free } = order;
  await service().forAccount('acct_1').createPaymentIntent(free, { key });
  expect(stripe.seen[0]!.body).not.toContain('application_fee_amount');
});

const safeToRepeat: [string, Reply][] = [
  ['429 without the header that asks for a retry', refusal(429, { code: 'rate_limit' })],
  ['an answer cut off in the middle', truncated(anIntent())],
  ['HTML with status 200', html(200)],
  ['JSON that is no intent', json(200, { ok: true })],
  ['JSON null', json(200, null)],
  ['409 for a first call that is still running', refusal(409, { code: 'idempotency_key_in_use' })],
];

test.each(safeToRepeat)('%s is tried again with the same key', async (_, trouble) => {
  stripe.replyWith(trouble, trouble, json(200, anIntent()));
  await expect(create()).resolves.toMatchObject({ id: 'pi_1' });
  expect(stripe.seen).toHaveLength(3);
  expect(keys()).toEqual(new Set([key]));
});

test.each<[string, Reply]>([
  ['500', refusal(500, { type: 'api_error' })],
  ['502 from a proxy, in HTML', html(502)],
  ['a connection cut after the request', reset],
])('the SDK repeats %s with the same key', async (_, trouble) => {
  stripe.replyWith(trouble, json(200, anIntent()));
  await expect(create({ maxNetworkRetries: 2 })).resolves.toMatchObject({ id: 'pi_1' });
  expect(keys()).toEqual(new Set([key]));
});

test.each<[string, Reply]>([
  ['500', refusal(500, { type: 'api_error' })],
  ['502 in HTML', html(502)],
  ['an answer cut off', truncated(anIntent())],
  ['a connection cut', reset],
  ['silence', silence],
  ['nonsense', json(200, { ok: true })],
  ['the error page of a proxy as JSON', json(503, { message: 'down' })],
])('after %s for good, the outcome of a change is unknown and a read has merely failed', async (_, trouble) => {
  stripe.replyWith(trouble);
  const change = await failureOf(create({ timeoutMs: 50, budgetMs: 1_500 }));
  expect(change).toMatchObject({ code: 'OUTCOME_UNKNOWN', outcome: 'unknown', sent: 'maybe', isTransient: true });
  const read = await failureOf(
    service({ timeoutMs: 50, budgetMs: 1_500 }).forAccount('acct_1').retrievePaymentIntent('pi_1'),
  );
  expect(read).toMatchObject({ code: 'STRIPE_UNAVAILABLE', outcome: 'refused' });
});

test('nobody listening means that nothing happened', async () => {
  const gone = await fakeStripe(silence);
  await gone.stop();
  const failure = await failureOf(
    service({ maxNetworkRetries: 1 }, gone.url).forAccount('acct_1').createPaymentIntent(order, { key }),
  );
  expect(failure).toMatchObject({ code: 'STRIPE_UNAVAILABLE', outcome: 'refused', sent: 'never' });
});

test.each<[string, Reply]>([
  ['a rate limit', refusal(429, { code: 'rate_limit' })],
  ['a refused key', refusal(401, {})],
  ['a closed door', refusal(403, { code: 'account_invalid' })],
])('%s after a lost answer says nothing about the lost answer', async (_, refused) => {
  stripe.replyWith(truncated(anIntent()), refused);
  await expect(failureOf(create())).resolves.toMatchObject({ code: 'OUTCOME_UNKNOWN', outcome: 'unknown' });
});

test('a decline after a lost answer is the answer, because the key was looked at', async () => {
  stripe.replyWith(truncated(anIntent()), refusal(402, { type: 'card_error', code: 'card_declined' }));
  await expect(failureOf(create())).resolves.toMatchObject({ code: 'CARD_DECLINED', outcome: 'refused' });
});

test('a rate limit that stays is reported as one, with nothing done', async () => {
  stripe.replyWith(refusal(429, { code: 'rate_limit' }));
  await expect(failureOf(create())).resolves.toMatchObject({ code: 'RATE_LIMITED', sent: 'refused' });
  expect(stripe.seen).toHaveLength(4);
});

test.each([
  ['amount', anIntent({ amount: 100 })],
  ['currency', anIntent({ currency: 'jpy' })],
  ['application fee', anIntent({ application_fee_amount: null })],
  ['customer', anIntent({ customer: 'cus_other' })],
  ['command', anIntent({ metadata: { command_id: 'c2' } })],
  ['mode', anIntent({ livemode: true })],
])('an intent with another %s than was asked for is not taken for ours', async (_, other) => {
  stripe.replyWith(json(200, other));
  await expect(failureOf(create())).resolves.toMatchObject({
    code: 'OUTCOME_UNKNOWN',
    facts: { stripeRequestId: 'req_1' },
  });
  expect(stripe.seen).toHaveLength(1);
});

test('a call ends within its budget, however the network drags on', async () => {
  stripe.replyWith((_, response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    const trickle = setInterval(() => response.write(' '), 20);
    response.on('close', () => clearInterval(trickle));
  });
  const start = performance.now();
  await failureOf(create({ timeoutMs: 300, budgetMs: 400, maxNetworkRetries: 2 }));
  expect(performance.now() - start).toBeLessThan(2_500);
});

test('while Stripe is down, calls fail at once, and one in a while finds out whether it is back', async () => {
  stripe.replyWith(refusal(500, { type: 'api_error' }));
  const down = service({ breaker: { threshold: 3, cooldownMs: 150 } });
  const account = down.forAccount('acct_1');
  for (let i = 0; i < 3; i += 1) await failureOf(account.retrievePaymentIntent('pi_1'));
  expect(down.isAvailable).toBe(false);
  const held = await failureOf(account.createPaymentIntent(order, { key }));
  expect(held).toMatchObject({ code: 'STRIPE_UNAVAILABLE', sent: 'never', outcome: 'refused' });
  expect(stripe.seen).toHaveLength(3);

  stripe.replyWith(json(200, anIntent()));
  await new Promise((resolve) => setTimeout(resolve, 160));
  await Promise.all([
    expect(account.retrievePaymentIntent('pi_1')).resolves.toMatchObject({ id: 'pi_1' }),
    failureOf(account.retrievePaymentIntent('pi_1')),
  ]);
  expect(down.isAvailable).toBe(true);
});

test('a lookup reads page after page, an hour back for clocks that differ', async () => {
  const page = (ids: number[], has_more: boolean) =>
    json(200, {
      object: 'list',
      has_more,
      data: ids.map((n) => anIntent({ id: `pi_${n}`, metadata: { command_id: `c${n}` } })),
    });
  stripe.replyWith(page([3, 2], true), page([1], false));
  const account = service().forAccount('acct_1');
  const since = new Date(1_764_003_600_000);
  const lookup = { metadata: { command_id: 'c1' }, since, customerId: 'cus_1' } as const;
  await expect(account.findPaymentIntent(lookup)).resolves.toMatchObject({ id: 'pi_1' });
  const queries = stripe.seen.map(({ path }) => Object.fromEntries(new URL(path, stripe.url).searchParams));
  expect(queries).toMatchObject([
    { customer: 'cus_1', 'created[gte]': '1764000000', limit: '100' },
    { customer: 'cus_1', 'created[gte]': '1764000000', limit: '100', starting_after: 'pi_2' },
  ]);
});

test.each<[string, Reply]>([
  ['no list', json(200, { data: [] })],
  ['cut off', truncated({ object: 'list', data: [], has_more: false })],
  ['an error', refusal(500, { type: 'api_error' })],
])('absence is not proven by a page that is %s', async (_, broken) => {
  stripe.replyWith(json(200, { object: 'list', has_more: true, data: [anIntent()] }), broken);
  const lookup = { metadata: { command_id: 'other' }, since: new Date(0) };
  const failure = await failureOf(service().forAccount('acct_1').findPaymentIntent(lookup));
  expect(failure.code).toBe('STRIPE_UNAVAILABLE');
});

test('a lookup for nothing in particular is a mistake', async () => {
  stripe.replyWith(json(200, { object: 'list', has_more: false, data: [anIntent()] }));
  const lookup = { metadata: {}, since: new Date(0) };
  await expect(service().forAccount('acct_1').findPaymentIntent(lookup)).rejects.toThrow('at least one pair');
});

test('an idempotency key is never longer than Stripe takes', () => {
  expect(() => stripeKey('x'.repeat(250), 'payment-intent')).toThrow('255');
});
