import { aCustomer } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { post, sign } from '../webhooks/stage.js';

// What a payment was made with, and the payment, are told of by events of their own.

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
  // What is delivered, and in which order, is for the tests to say.
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
});
afterAll(() => app.stop());

interface Told {
  readonly id: string;
  readonly type: string;
}

/** A payment at Stripe by a saved card, of which nothing was delivered. */
async function aPaymentAtStripe() {
  const tenant = await app.aConnectedTenant();
  const account = tenant.accountId;
  const call = <T = { id: string }>(method: string, path: string, form: Record<string, string>) =>
    app.sandbox.api<T>(method, path, { account, form });
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: customer } = await call('POST', '/v1/customers', { name: 'Payer' });
  await app.db.query(
    'insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id) values ($1, false, $2, $3, $4)',
    [tenant.id, customerId, account, customer],
  );
  const { id: method } = await call('POST', '/v1/payment_methods/pm_card_visa/attach', { customer });
  await call('POST', '/v1/payment_intents', {
    ...{ amount: '5000', currency: 'usd', customer, payment_method: method, confirm: 'true' },
    return_url: 'https://psa.test',
  });
  const { data } = await call<{ data: Told[] }>('GET', '/v1/events', { limit: '100' });
  const told = (type: string) => data.filter((event) => event.type === type).map((event) => ({ ...event, account }));
  return { tenant, method, attached: told('payment_method.attached'), paid: told('payment_intent.succeeded') };
}

async function deliver(events: readonly Told[]): Promise<void> {
  expect(events).toHaveLength(1);
  for (const event of events) {
    const payload = JSON.stringify(event);
    const signature = sign(payload, app.sandbox.webhookSecrets.snapshot);
    const { status } = await post(`${app.url}/api/stripe/webhook`, payload, { 'stripe-signature': signature });
    expect(status).toBe(200);
    await until(async () => {
      const sql = `select from stripe_webhook_events where stripe_event_id = $1 and status = 'PROCESSED'`;
      return (await app.db.query(sql, [event.id])).length === 1;
    }, `${event.type} is processed`);
  }
}

const payments = `{ payments(first: 10) { nodes { status paymentMethod { stripePaymentMethodId brand customer { id } } } } }`;

test.each([
  ['the method', 'the payment', false],
  ['the payment', 'the method', true],
])('a payment names the saved method it was made with when %s is heard of before %s', async (_, __, paymentFirst) => {
  const { tenant, method, attached, paid } = await aPaymentAtStripe();
  const token = await app.token(tenant);
  const [first, second] = paymentFirst ? [paid, attached] : [attached, paid];
  await deliver(first);
  const early = (await app.ask(payments, {}, token)).payments.nodes;
  expect(early).toEqual(paymentFirst ? [{ status: 'SUCCEEDED', paymentMethod: null }] : []);
  await deliver(second);
  expect((await app.ask(payments, {}, token)).payments.nodes).toMatchObject([
    { status: 'SUCCEEDED', paymentMethod: { stripePaymentMethodId: method, brand: 'visa', customer: {} } },
  ]);
});

test('a method of another tenant, or of the other mode, is not what a payment was made with', async () => {
  const { tenant, method, paid } = await aPaymentAtStripe();
  const other = await app.aConnectedTenant();
  const rowsOf = async (tenantId: typeof tenant.id, livemode: boolean) => {
    const { id } = await aCustomer(app.db, { tenantId });
    await app.db.query(
      `insert into payment_methods (tenant_id, livemode, customer_id, stripe_account_id, stripe_payment_method_id, type)
       values ($1, $2, $3, 'acct_other', $4, 'CARD')`,
      [tenantId, livemode, id, method],
    );
  };
  await rowsOf(other.id, false);
  await rowsOf(tenant.id, true);
  await deliver(paid);
  expect((await app.ask(payments, {}, await app.token(tenant))).payments.nodes).toEqual([
    { status: 'SUCCEEDED', paymentMethod: null },
  ]);
});
