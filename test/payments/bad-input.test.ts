import { newUuid } from '../../src/shared/uuid.js';
import { aRequest, createWorld, type TestTenant, type World } from './support/world.js';

let world: World;
let tenant: TestTenant;
let other: TestTenant;

beforeAll(async () => {
  world = await createWorld();
  [tenant, other] = await Promise.all([world.aTenant(), world.aTenant()]);
});

afterAll(() => world.stop());

type Request = ReturnType<typeof aRequest>;

/** Everything that a refused request must leave as it was. */
async function traces(of: TestTenant): Promise<unknown> {
  const list = (path: string) => world.sandbox.api<{ data: unknown[] }>('GET', path, { account: of.accountId });
  const [intents, customers] = await Promise.all([list('/v1/payment_intents'), list('/v1/customers')]);
  const rows = await Promise.all(
    ['payments', 'commands', 'audit_log', 'stripe_customers'].map((table) => of.rows(table)),
  );
  return { rows, atStripe: [intents.data.length, customers.data.length] };
}

const free = { amount: 5_000, currency: 'usd' };
const tooLong = Object.fromEntries(Array.from({ length: 49 }, (_, i) => [`k${i}`, 'v']));
const card = '4242 4242 4242 4242';

const refused: [string, Partial<Request> | (() => Promise<Partial<Request>>), string, string | undefined][] = [
  ['an amount of 0', { ...free, amount: 0 }, 'BAD_USER_INPUT', 'input.amount'],
  ['a negative amount', { ...free, amount: -1 }, 'BAD_USER_INPUT', 'input.amount'],
  ['a broken amount', { ...free, amount: 10.5 }, 'BAD_USER_INPUT', 'input.amount'],
  ['an amount beyond 99,999,999', { ...free, amount: 100_000_000 }, 'AMOUNT_TOO_LARGE', 'input.amount'],
  ['no amount', { currency: 'usd' }, 'BAD_USER_INPUT', 'input.amount'],
  ['no currency', { amount: 5_000 }, 'BAD_USER_INPUT', 'input.currency'],
  ['a currency that does not exist', { ...free, currency: 'xxx' }, 'BAD_USER_INPUT', 'input.currency'],
  ['a currency in capitals', { ...free, currency: 'USD' }, 'BAD_USER_INPUT', 'input.currency'],
  ['a fraction of a three-decimal step', { amount: 5_001, currency: 'kwd' }, 'BAD_USER_INPUT', 'input.amount'],
  ['a fraction of a whole krona', { amount: 5_050, currency: 'isk' }, 'BAD_USER_INPUT', 'input.amount'],
  ['a customer who does not exist', { ...free, customerId: 999_999 }, 'NOT_FOUND', 'input.customerId'],
  ['an invoice that does not exist', { invoiceId: 999_999 }, 'NOT_FOUND', 'input.invoiceId'],
  [
    'a payment method that does not exist',
    { ...free, paymentMethodId: newUuid() },
    'NOT_FOUND',
    'input.paymentMethodId',
  ],
  ['to confirm without a method', { ...free, confirm: true }, 'BAD_USER_INPUT', 'input.paymentMethodId'],
  ['off session without to confirm', { ...free, offSession: true }, 'BAD_USER_INPUT', 'input.offSession'],
  ['to save a method for nobody', { ...free, savePaymentMethod: true }, 'BAD_USER_INPUT', 'input.customerId'],
  ['too many notes', { ...free, metadata: tooLong }, 'BAD_USER_INPUT', 'input.metadata'],
  ['a note with a long name', { ...free, metadata: { ['k'.repeat(41)]: 'v' } }, 'BAD_USER_INPUT', 'input.metadata'],
  ['a long note', { ...free, metadata: { k: 'v'.repeat(501) } }, 'BAD_USER_INPUT', 'input.metadata.k'],
  ['a note that is no text', { ...free, metadata: { k: { l: 'm' } } }, 'BAD_USER_INPUT', 'input.metadata.k'],
  ['a note of a name of ours', { ...free, metadata: { psa_payment_id: 'x' } }, 'BAD_USER_INPUT', 'input.metadata'],
  ['a card number in a note', { ...free, metadata: { k: `order 12 ${card}` } }, 'BAD_USER_INPUT', 'input.metadata.k'],
  ['a card number as a number', { ...free, metadata: { k: 4242424242424242 } }, 'BAD_USER_INPUT', 'input.metadata.k'],
  ['a card number in the description', { ...free, description: card }, 'BAD_USER_INPUT', 'input.description'],
  ['a long description', { ...free, description: 'd'.repeat(1_001) }, 'BAD_USER_INPUT', 'input.description'],
  ["another tenant's invoice", async () => ({ invoiceId: await other.anInvoice() }), 'NOT_FOUND', 'input.invoiceId'],
  [
    "another tenant's customer",
    async () => ({ ...free, customerId: await foreignCustomer() }),
    'NOT_FOUND',
    'input.customerId',
  ],
  [
    'a draft',
    async () => ({ invoiceId: await tenant.anInvoice({ status: 'DRAFT' }) }),
    'INVALID_STATE',
    'input.invoiceId',
  ],
  [
    'a void invoice',
    async () => ({ invoiceId: await tenant.anInvoice({ status: 'VOID' }) }),
    'INVALID_STATE',
    'input.invoiceId',
  ],
  [
    'a paid invoice',
    async () => ({ invoiceId: await tenant.anInvoice({ status: 'PAID' }) }),
    'INVALID_STATE',
    'input.invoiceId',
  ],
  [
    'a written-off invoice',
    async () => ({ invoiceId: await tenant.anInvoice({ status: 'UNCOLLECTIBLE' }) }),
    'INVALID_STATE',
    'input.invoiceId',
  ],
  [
    'an invoice of nothing',
    async () => ({ invoiceId: await tenant.anInvoice({ total: 0 }) }),
    'INVALID_STATE',
    'input.invoiceId',
  ],
  [
    'more than is due',
    async () => ({ invoiceId: await tenant.anInvoice(), amount: 10_001 }),
    'BAD_USER_INPUT',
    'input.amount',
  ],
  [
    'an invoice beyond 99,999,999',
    async () => ({ invoiceId: await tenant.anInvoice({ total: 100_000_000 }) }),
    'AMOUNT_TOO_LARGE',
    'input.amount',
  ],
  [
    'an invoice in another currency',
    async () => ({ invoiceId: await tenant.anInvoice(), currency: 'eur' }),
    'BAD_USER_INPUT',
    'input.currency',
  ],
  [
    'an invoice of another customer',
    async () => ({ invoiceId: await tenant.anInvoice(), customerId: await tenant.aCustomer() }),
    'BAD_USER_INPUT',
    'input.customerId',
  ],
];

/** With a number that is none of ours. */
async function foreignCustomer(): Promise<number> {
  await world.db.query(
    `insert into customers (tenant_id, id, name) values ($1, 888888, 'Theirs') on conflict do nothing`,
    [other.id],
  );
  return 888_888;
}

test.each(refused)('%s: refused, with nothing written and nothing at Stripe', async (_what, request, code, field) => {
  const wanted = aRequest(typeof request === 'function' ? await request() : request);
  const before = await traces(tenant);
  await expect(tenant.payments.createPaymentIntent(wanted)).rejects.toMatchObject({ code, details: { field } });
  expect(await traces(tenant)).toEqual(before);
});

test.each([
  ['before onboarding', { onboarded: false }, 'TENANT_NOT_READY'],
  ['while Stripe does not let it', { chargesEnabled: false }, 'TENANT_NOT_READY'],
  ['after its account was disconnected', { disconnected: true }, 'ACCOUNT_DISCONNECTED'],
])('a tenant takes no payments %s', async (_when, facts, code) => {
  const late = await world.aTenant(facts);
  const invoiceId = await late.anInvoice();
  await expect(late.payments.createPaymentIntent(aRequest({ invoiceId }))).rejects.toMatchObject({ code });
  expect(await late.rows('payments')).toBe(0);
  expect(await late.rows('commands')).toBe(0);
});

describe('of an invoice', () => {
  async function aMethod(customerId: number, name = 'pm_card_visa') {
    const method = { customerId, stripePaymentMethodId: name, setAsDefault: false, idempotencyKey: null };
    return tenant.methods.attachPaymentMethod(method);
  }

  test('no more is taken than is due, whatever is held or on its way already', async () => {
    const customerId = await tenant.aCustomer();
    const invoiceId = await tenant.anInvoice({ customerId });
    const paymentMethodId = await aMethod(customerId);
    const held = aRequest({ invoiceId, amount: 6_000, paymentMethodId, confirm: true, captureLater: true });
    await tenant.payments.createPaymentIntent(held);
    await expect(tenant.payments.createPaymentIntent(aRequest({ invoiceId, amount: 4_001 }))).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'input.amount' },
    });
    const { paymentId } = await tenant.payments.createPaymentIntent(aRequest({ invoiceId }));
    expect(await tenant.payment(paymentId)).toMatchObject({ amount: '4000' });
  });

  test('two payments at once do not both take it', async () => {
    const customerId = await tenant.aCustomer();
    const invoiceId = await tenant.anInvoice({ customerId });
    const paymentMethodId = await aMethod(customerId);
    const results = await Promise.allSettled(
      Array.from({ length: 5 }, () =>
        tenant.payments.createPaymentIntent(aRequest({ invoiceId, paymentMethodId, confirm: true })),
      ),
    );
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'INVALID_STATE' });
    expect(await tenant.invoice(invoiceId)).toMatchObject({ status: 'PAID', amount_paid: '10000' });
  });

  test('what may have been taken is not taken again before that is known', async () => {
    const customerId = await tenant.aCustomer();
    const invoiceId = await tenant.anInvoice({ customerId });
    const paymentMethodId = await aMethod(customerId);
    const request = aRequest({ invoiceId, paymentMethodId, confirm: true });
    const fault = { kind: 'truncate', times: null, method: 'POST', path: '/v1/payment_intents' };
    await world.sandbox.control('/faults', fault);
    await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await world.sandbox.control('/faults', undefined, 'DELETE');
    // Its first event may be here already, and says nothing of the end.
    await world.db.query(`update payments set status = 'PENDING' where tenant_id = $1 and invoice_id = $2`, [
      tenant.id,
      invoiceId,
    ]);
    await expect(tenant.payments.createPaymentIntent({ ...request, idempotencyKey: 'another' })).rejects.toMatchObject({
      code: 'INVALID_STATE',
      details: { field: 'input.invoiceId' },
    });
    await tenant.payments.createPaymentIntent(request);
    expect(await tenant.invoice(invoiceId)).toMatchObject({ status: 'PAID', amount_paid: '10000' });
  });

  test('a declined try does not stand in the way of another', async () => {
    const customerId = await tenant.aCustomer();
    const invoiceId = await tenant.anInvoice({ customerId });
    const bad = await aMethod(customerId, 'pm_card_chargeCustomerFail');
    await expect(
      tenant.payments.createPaymentIntent(aRequest({ invoiceId, paymentMethodId: bad, confirm: true })),
    ).rejects.toMatchObject({ code: 'CARD_DECLINED' });
    expect(await tenant.invoice(invoiceId)).toMatchObject({ status: 'OPEN', payment_status: 'FAILED' });
    const good = await aMethod(customerId);
    await tenant.payments.createPaymentIntent(aRequest({ invoiceId, paymentMethodId: good, confirm: true }));
    expect(await tenant.invoice(invoiceId)).toMatchObject({ status: 'PAID', payment_status: 'PAID' });
  });

  test("another customer's method does not pay it, and a removed one pays nothing", async () => {
    const invoiceId = await tenant.anInvoice();
    const theirs = await aMethod(await tenant.aCustomer());
    const field = 'input.paymentMethodId';
    const request = aRequest({ invoiceId, paymentMethodId: theirs, confirm: true });
    await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field },
    });
    await tenant.methods.detachPaymentMethod({ paymentMethodId: theirs, idempotencyKey: null });
    await expect(
      tenant.payments.createPaymentIntent(aRequest({ ...free, paymentMethodId: theirs, confirm: true })),
    ).rejects.toMatchObject({ code: 'INVALID_STATE', details: { field } });
  });
});

test('what only Stripe knows to be wrong is refused with the field at fault, and leaves no payment', async () => {
  const request = aRequest({ amount: 10, currency: 'usd' });
  const refusal = { code: 'BAD_USER_INPUT', details: { field: 'input.amount', stripeRequestId: expect.any(String) } };
  const [payments, intents] = [await tenant.rows('payments'), (await tenant.intents()).length];
  await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject(refusal);
  await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject(refusal);
  expect([await tenant.rows('payments'), (await tenant.intents()).length]).toEqual([payments, intents]);
});

test('a payment that Stripe has an intent for can never be deleted', async () => {
  const { paymentId } = await tenant.payments.createPaymentIntent(aRequest(free));
  const deleted = await tenant.db.transaction((em) =>
    em.execute('delete from payments where id = ? returning id', [paymentId]),
  );
  expect(deleted).toEqual([]);
});

test("another tenant's payments and methods do not exist", async () => {
  const { paymentId } = await other.payments.createPaymentIntent(aRequest(free));
  const missing = { code: 'NOT_FOUND' };
  const key = { idempotencyKey: 'foreign' };
  await expect(tenant.payments.capturePayment({ paymentId, amount: null, ...key })).rejects.toMatchObject(missing);
  await expect(tenant.payments.cancelPayment({ paymentId, reason: null, ...key })).rejects.toMatchObject(missing);
  const customerId = await other.aCustomer();
  const method = { stripePaymentMethodId: 'pm_card_visa', setAsDefault: false, idempotencyKey: null };
  const paymentMethodId = await other.methods.attachPaymentMethod({ customerId, ...method });
  await expect(tenant.methods.detachPaymentMethod({ paymentMethodId, ...key })).rejects.toMatchObject(missing);
  await expect(tenant.methods.setDefaultPaymentMethod({ paymentMethodId, ...key })).rejects.toMatchObject(missing);
  await expect(tenant.methods.createSetupIntent({ customerId: 999_999, ...key })).rejects.toMatchObject(missing);
});
