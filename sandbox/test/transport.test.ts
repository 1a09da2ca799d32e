import { aStripe, failure, type TestStripe, type Loose } from './support/stripe.js';

let local: TestStripe;
let account: { stripeAccount: string };
beforeAll(async () => {
  local = await aStripe();
  account = await local.connected();
});
afterAll(() => local.stop());
afterEach(() => local.control('/faults', undefined, 'DELETE'));

const raw = (path: string, init: RequestInit = {}) =>
  fetch(`${local.url}${path}`, { ...init, headers: { authorization: 'Bearer sk_test_x', ...init.headers } });

describe('keys and accounts', () => {
  test('a request without a key, with a live key or with nonsense is refused with 401', async () => {
    for (const authorization of [
      '',
      'Bearer sk_live_x',
      'Bearer nonsense',
      `Basic ${Buffer.from('sk_live_x:').toString('base64')}`,
    ]) {
      const response = await fetch(`${local.url}/v1/balance`, { headers: { authorization } });
      expect(response.status).toBe(401);
      expect(((await response.json()) as Loose).error.type).toBe('invalid_request_error');
    }
  });

  test('Basic authentication and restricted keys are taken', async () => {
    for (const authorization of [`Basic ${Buffer.from('sk_test_x:').toString('base64')}`, 'Bearer rk_test_x']) {
      expect((await fetch(`${local.url}/v1/balance`, { headers: { authorization } })).status).toBe(200);
    }
  });

  test('pinned keys exclude all others', async () => {
    const pinned = await aStripe({ keys: ['sk_test_local_tests'] });
    await pinned.stripe.balance.retrieve();
    expect((await failure(pinned.client('sk_test_other').balance.retrieve())).statusCode).toBe(401);
    await pinned.stop();
  });

  test('an unknown or disconnected account is refused with 403', async () => {
    expect(await failure(local.stripe.balance.retrieve({}, { stripeAccount: 'acct_nobody' }))).toMatchObject({
      statusCode: 403,
      code: 'account_invalid',
    });
    const gone = await local.connected();
    await local.control(`/accounts/${gone.stripeAccount}/deauthorize`, {});
    expect(await failure(local.stripe.customers.list({}, gone))).toMatchObject({
      statusCode: 403,
      code: 'account_invalid',
    });
    expect(await failure(local.stripe.accounts.retrieve(gone.stripeAccount))).toMatchObject({
      code: 'account_invalid',
    });
  });

  test("one account's objects do not exist on another", async () => {
    const other = await local.connected();
    const customer = await local.stripe.customers.create({}, account);
    for (const options of [other, {}]) {
      expect(await failure(local.stripe.customers.retrieve(customer.id, {}, options))).toMatchObject({
        statusCode: 404,
        code: 'resource_missing',
        param: 'id',
      });
    }
    expect((await local.stripe.customers.list({}, other)).data).toEqual([]);
  });

  test('Stripe-Context names an account as Stripe-Account does', async () => {
    const customer = await local.stripe.customers.create({}, account);
    expect((await local.stripe.customers.retrieve(customer.id, {}, { stripeContext: account.stripeAccount })).id).toBe(
      customer.id,
    );
  });
});

describe('parameters', () => {
  test('unknown ones are refused, nested ones too', async () => {
    const extra = { name: 'x', nonsense: 1 } as object;
    expect(await failure(local.stripe.customers.create(extra, account))).toMatchObject({
      statusCode: 400,
      code: 'parameter_unknown',
      param: 'nonsense',
    });
    const nested = { address: { planet: 'x' } } as object;
    expect(await failure(local.stripe.customers.create(nested, account))).toMatchObject({
      code: 'parameter_unknown',
      param: 'address[planet]',
    });
  });

  test('missing, empty and malformed ones each have their code', async () => {
    const create = (params: object) =>
      failure(local.stripe.paymentIntents.create(params as { amount: number; currency: string }, account));
    expect(await create({ currency: 'usd' })).toMatchObject({ code: 'parameter_missing', param: 'amount' });
    expect(await create({ amount: 'ten', currency: 'usd' })).toMatchObject({
      code: 'parameter_invalid_integer',
      param: 'amount',
    });
    expect(await create({ amount: 1000, currency: '' })).toMatchObject({
      code: 'parameter_invalid_empty',
      param: 'currency',
    });
    expect(await create({ amount: 1000, currency: 'usd', capture_method: 'never' })).toMatchObject({
      statusCode: 400,
      param: 'capture_method',
    });
    expect(await create({ amount: 1000, currency: 'usd', confirm: 'perhaps' })).toMatchObject({
      statusCode: 400,
      param: 'confirm',
    });
  });

  test('metadata is limited, merged and cleared as Stripe does', async () => {
    const { id } = await local.stripe.customers.create({ metadata: { a: '1', b: '2' } }, account);
    expect((await local.stripe.customers.update(id, { metadata: { b: '', c: '3' } }, account)).metadata).toEqual({
      a: '1',
      c: '3',
    });
    expect((await local.stripe.customers.update(id, { metadata: '' }, account)).metadata).toEqual({});
    for (const metadata of [
      { ['k'.repeat(41)]: 'x' },
      { k: 'x'.repeat(501) },
      Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, 'x'])),
    ]) {
      expect((await failure(local.stripe.customers.update(id, { metadata }, account))).statusCode).toBe(400);
    }
  });

  test('an unknown URL is a 404, a JSON body on v1 a 400', async () => {
    expect((await raw('/v1/unheard_of')).status).toBe(404);
    expect(
      (await raw('/v1/customers', { method: 'POST', body: '{}', headers: { 'content-type': 'application/json' } }))
        .status,
    ).toBe(400);
  });
});

describe('lists and expansion', () => {
  test('lists are newest first and page in both directions', async () => {
    const own = await local.connected();
    const ids: string[] = [];
    for (let i = 0; i < 5; i++) ids.unshift((await local.stripe.customers.create({ name: `c${i}` }, own)).id);
    const first = await local.stripe.customers.list({ limit: 2 }, own);
    expect(first.data.map(({ id }) => id)).toEqual(ids.slice(0, 2));
    expect(first.has_more).toBe(true);
    const second = await local.stripe.customers.list({ limit: 2, starting_after: ids[1]! }, own);
    expect(second.data.map(({ id }) => id)).toEqual(ids.slice(2, 4));
    const back = await local.stripe.customers.list({ limit: 2, ending_before: ids[4]! }, own);
    expect(back.data.map(({ id }) => id)).toEqual(ids.slice(2, 4));
    expect(back.has_more).toBe(true);
    expect(await local.stripe.customers.list({ limit: 2 }, own).autoPagingToArray({ limit: 100 })).toHaveLength(5);
    expect((await failure(local.stripe.customers.list({ limit: 101 }, own))).param).toBe('limit');
    expect((await failure(local.stripe.customers.list({ starting_after: 'cus_nobody' }, own))).code).toBe(
      'resource_missing',
    );
  });

  test('expand goes through lists, several levels deep, and refuses what cannot be expanded', async () => {
    const customer = await local.stripe.customers.create({ name: 'Deep' }, account);
    const { id } = await local.stripe.paymentIntents.create(
      {
        amount: 1000,
        currency: 'usd',
        customer: customer.id,
        payment_method: 'pm_card_visa',
        confirm: true,
        return_url: 'https://x.test',
        capture_method: 'automatic',
      },
      account,
    );
    const list = await local.stripe.paymentIntents.list(
      { limit: 1, expand: ['data.latest_charge.balance_transaction', 'data.latest_charge.customer'] },
      account,
    );
    const charge = list.data[0]!.latest_charge as Loose;
    expect(list.data[0]!.id).toBe(id);
    expect(charge.balance_transaction.object).toBe('balance_transaction');
    expect(charge.customer.name).toBe('Deep');
    expect((await failure(local.stripe.paymentIntents.retrieve(id, { expand: ['amount'] }, account))).statusCode).toBe(
      400,
    );
    expect(
      (await failure(local.stripe.paymentIntents.retrieve(id, { expand: ['a.b.c.d.e'] }, account))).statusCode,
    ).toBe(400);
  });

  test('search finds by metadata, status and amount', async () => {
    const create = (order: string, amount: number) =>
      local.stripe.paymentIntents.create({ amount, currency: 'usd', metadata: { order } }, account);
    const [first] = [await create("it's 7", 4321), await create('8', 4321)];
    const search = async (query: string) =>
      (await local.stripe.paymentIntents.search({ query }, account)).data.map(({ id }) => id);
    expect(await search(`metadata['order']:'it\\'s 7'`)).toEqual([first.id]);
    expect(await search(`amount:4321 AND -metadata['order']:'8'`)).toEqual([first.id]);
    expect(await search(`metadata["order"]:"8" OR metadata["order"]:"it's 7"`)).toHaveLength(2);
    expect((await failure(local.stripe.paymentIntents.search({ query: '((' }, account))).statusCode).toBe(400);
  });
});

describe('idempotency', () => {
  const count = async () => (await local.stripe.customers.list({ limit: 100 }, account)).data.length;

  test('the first answer is replayed, marked as such', async () => {
    const options = { ...account, idempotencyKey: 'same' };
    const [a, before] = [await local.stripe.customers.create({ name: 'a' }, options), await count()];
    const b = await local.stripe.customers.create({ name: 'a' }, options);
    expect(b.id).toBe(a.id);
    expect(b.lastResponse.headers['idempotent-replayed']).toBe('true');
    expect(b.lastResponse.headers['original-request']).toBe(a.lastResponse.requestId);
    expect(await count()).toBe(before);
  });

  test('other parameters under the same key are refused, the same key on another account is not', async () => {
    const options = { ...account, idempotencyKey: 'mine' };
    const a = await local.stripe.customers.create({ name: 'a' }, options);
    expect(await failure(local.stripe.customers.create({ name: 'b' }, options))).toMatchObject({
      statusCode: 400,
      rawType: 'idempotency_error',
    });
    const other = await local.stripe.customers.create(
      { name: 'a' },
      { ...(await local.connected()), idempotencyKey: 'mine' },
    );
    expect(other.id).not.toBe(a.id);
  });

  test('a decline is replayed, a validation failure is not', async () => {
    const pay = {
      amount: 1000,
      currency: 'usd',
      payment_method: 'pm_card_chargeDeclined',
      confirm: true,
      return_url: 'https://x.test',
    };
    const options = { ...account, idempotencyKey: 'declined' };
    const first = await failure(local.stripe.paymentIntents.create(pay, options));
    const second = await failure(local.stripe.paymentIntents.create(pay, options));
    expect((second.raw as Loose).payment_intent.id).toBe((first.raw as Loose).payment_intent.id);
    const reused = { ...account, idempotencyKey: 'corrected' };
    await failure(local.stripe.customers.create({ nonsense: 1 } as object, reused));
    expect((await local.stripe.customers.create({ name: 'corrected' }, reused)).name).toBe('corrected');
  });

  test('a second request while the first is running gets a 409', async () => {
    await local.control('/faults', { kind: 'delay', ms: 150, path: '/v1/customers' });
    const options = { ...account, idempotencyKey: 'twice' };
    const slow = local.stripe.customers.create({ name: 'slow' }, options);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await failure(local.stripe.customers.create({ name: 'slow' }, options))).toMatchObject({
      statusCode: 409,
      code: 'idempotency_key_in_use',
    });
    expect((await local.stripe.customers.create({ name: 'slow' }, options).catch(() => slow)).id).toBe((await slow).id);
  });

  test('a key is forgotten after 24 hours of the sandbox clock', async () => {
    const own = await aStripe();
    const a = await own.stripe.customers.create({}, { idempotencyKey: 'day' });
    await own.control('/advance', { seconds: 24 * 3600 + 1 });
    expect((await own.stripe.customers.create({}, { idempotencyKey: 'day' })).id).not.toBe(a.id);
    await own.stop();
  });
});

describe('faults', () => {
  const customers = async () =>
    (await local.stripe.customers.list({ limit: 100, email: 'fault@x.test' }, account)).data.length;
  const create = (key: string) =>
    local.stripe.customers.create({ email: 'fault@x.test' }, { ...account, idempotencyKey: key });

  test.each([
    ['429', 429, 'StripeRateLimitError'],
    ['409', 409, undefined],
    ['402', 402, 'StripeCardError'],
    ['500_before', 500, 'StripeAPIError'],
    ['502_html', 502, undefined],
  ])('%s has no effect', async (kind, status, type) => {
    const before = await customers();
    await local.control('/faults', { kind, path: '/v1/customers', method: 'POST' });
    const error = await failure(create(`${kind}-1`));
    if (status !== 502) expect(error.statusCode).toBe(status);
    if (type) expect(error.type).toBe(type);
    expect(await customers()).toBe(before);
  });

  test.each(['500_after', 'reset_after', 'truncate'])('%s loses the answer, not the effect', async (kind) => {
    const before = await customers();
    // The SDK tries once more by itself when a connection was reset.
    const times = kind === 'reset_after' ? 2 : 1;
    await local.control('/faults', { kind, path: '/v1/customers', method: 'POST', times });
    await failure(create(`${kind}-1`));
    expect(await customers()).toBe(before + 1);
    // The same key finds out what happened: the 500 is remembered as a 500, the lost answers are replayed.
    if (kind === '500_after') expect((await failure(create(`${kind}-1`))).statusCode).toBe(500);
    else expect((await create(`${kind}-1`)).lastResponse.headers['idempotent-replayed']).toBe('true');
    expect(await customers()).toBe(before + 1);
  });

  test('the SDK retries a 429 only when it is told to', async () => {
    const patient = local.client('sk_test_local_tests', { maxNetworkRetries: 2 });
    await local.control('/faults', { kind: '429_retry', path: '/v1/balance' });
    expect((await patient.balance.retrieve({}, account)).object).toBe('balance');
    await local.control('/faults', { kind: '429_no_retry', path: '/v1/balance' });
    expect((await failure(patient.balance.retrieve({}, account))).statusCode).toBe(429);
  });

  test('a fault can be asked for by header, once per idempotency key', async () => {
    const send = () =>
      raw('/v1/customers', {
        method: 'POST',
        body: 'name=x',
        headers: {
          'stripe-sandbox-fault': '429; times=1',
          'idempotency-key': 'by-header',
          'content-type': 'application/x-www-form-urlencoded',
        },
      });
    expect((await send()).status).toBe(429);
    expect((await send()).status).toBe(200);
  });

  test('a seed repeats the same faults', async () => {
    const pattern = async () => {
      await local.control('/faults', undefined, 'DELETE');
      await local.control('/faults', { kind: '429', path: '/v1/balance', probability: 0.5, times: null, seed: 42 });
      const hits: boolean[] = [];
      for (let i = 0; i < 12; i++) hits.push((await raw('/v1/balance')).status === 429);
      return hits;
    };
    const first = await pattern();
    expect(first).toContain(true);
    expect(first).toContain(false);
    expect(await pattern()).toEqual(first);
  });
});

test('the Date header and created follow the sandbox clock', async () => {
  const own = await aStripe();
  await own.control('/advance', { seconds: 30 * 86_400 });
  const customer = await own.stripe.customers.create({});
  expect(customer.created - Date.now() / 1000).toBeGreaterThan(29 * 86_400);
  expect(Date.parse(customer.lastResponse.headers['date']!) / 1000 - customer.created).toBeLessThan(2);
  await own.stop();
});
