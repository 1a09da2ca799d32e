import { randomUUID } from 'node:crypto';
import { aRequest, createWorld, type World } from '../payments/support/world.js';
import { aCustomer } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';

// Somebody deletes a customer in Stripe's dashboard. The PSA's customer is still there, and still pays.

describe('before anybody has told us', () => {
  let world: World;

  beforeAll(async () => {
    world = await createWorld();
  });
  afterAll(() => world.stop());

  test('the next request finds out, makes the customer anew, and goes through', async () => {
    const tenant = await world.aTenant();
    const customerId = await tenant.aCustomer();
    const pay = (request = aRequest({ customerId, amount: 5_000, currency: 'usd' })) =>
      tenant.payments.createPaymentIntent(request);
    await pay();
    const first = (await tenant.intents())[0]!.customer as string;
    await world.sandbox.api('DELETE', `/v1/customers/${first}`, { account: tenant.accountId });

    const request = aRequest({ customerId, amount: 6_000, currency: 'usd' });
    const again = await pay(request);
    const [second, ...others] = (await tenant.intents()).filter(({ amount }) => amount === 6_000);
    expect(others).toEqual([]);
    expect(second!.customer).not.toBe(first);
    expect((await pay(request)).paymentId).toBe(again.paymentId);

    // From then on it is the new one, for everybody; and it may happen again.
    const setup = await tenant.methods.createSetupIntent({ customerId, idempotencyKey: randomUUID() });
    expect(setup.clientSecret).toBeTruthy();
    await world.sandbox.api('DELETE', `/v1/customers/${second!.customer}`, { account: tenant.accountId });
    const method = {
      customerId,
      stripePaymentMethodId: 'pm_card_visa',
      setAsDefault: true,
      idempotencyKey: null,
    } as const;
    const paymentMethodId = await tenant.methods.attachPaymentMethod(method);
    await pay(aRequest({ customerId, amount: 7_000, currency: 'usd', paymentMethodId, confirm: true }));
    const [third] = (await tenant.intents()).filter(({ amount }) => amount === 7_000);
    expect(third).toMatchObject({ status: 'succeeded' });
    expect([first, second!.customer]).not.toContain(third!.customer);
    expect(await tenant.rows('stripe_customers')).toBe(1);
  });

  test('many requests at once make one new customer', async () => {
    const tenant = await world.aTenant();
    const customerId = await tenant.aCustomer();
    await tenant.payments.createPaymentIntent(aRequest({ customerId, amount: 5_000, currency: 'usd' }));
    const gone = (await tenant.intents())[0]!.customer as string;
    await world.sandbox.api('DELETE', `/v1/customers/${gone}`, { account: tenant.accountId });
    const requests = Array.from({ length: 12 }, () => aRequest({ customerId, amount: 6_000, currency: 'usd' }));
    await Promise.all(requests.map((request) => tenant.payments.createPaymentIntent(request)));
    const customers = (await tenant.intents()).filter(({ amount }) => amount === 6_000).map(({ customer }) => customer);
    expect(customers).toHaveLength(12);
    expect(new Set(customers).size).toBe(1);
  });
});

test('when Stripe tells us, the methods are gone, and the next payment makes the customer anew', async () => {
  const app: TestApp = await startApp();
  try {
    const tenant = await app.aConnectedTenant();
    const token = await app.token(tenant, 'billing');
    const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
    await app.ask(
      'mutation ($input: AttachPaymentMethodInput!) { attachPaymentMethod(input: $input) { paymentMethod { id } } }',
      { input: { customerId, stripePaymentMethodId: 'pm_card_visa', setAsDefault: true } },
      token,
    );
    const known = async () =>
      (
        await app.db.query('select stripe_customer_id as id, deleted_at from stripe_customers where tenant_id = $1', [
          tenant.id,
        ])
      )[0]!;
    const { id: first } = await known();
    await app.sandbox.api('DELETE', `/v1/customers/${first as string}`, { account: tenant.accountId });
    await until(async () => (await known()).deleted_at !== null, 'we were told');
    const methods = await app.ask(
      'query ($id: Int!) { paymentMethods(customerId: $id) { status } }',
      { id: customerId },
      token,
    );
    expect(methods.paymentMethods.filter(({ status }: { status: string }) => status !== 'DETACHED')).toEqual([]);
    await app.ask(
      'mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { payment { id } } }',
      { input: { customerId, amount: 5_000, currency: 'usd', idempotencyKey: randomUUID() } },
      token,
    );
    const now = await known();
    expect(now.deleted_at).toBeNull();
    expect(now.id).not.toBe(first);
  } finally {
    await app.stop();
  }
});
