import { randomUUID } from 'node:crypto';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { aBillingTenant, type BillingTenant, createMutation, type Facts } from '../subscriptions/support.js';

let app: TestApp;
let tenant: BillingTenant;
let customer: { id: number; stripeId: string };

beforeAll(async () => {
  app = await startApp();
  tenant = await aBillingTenant(app);
  const form = { 'capabilities[us_bank_account_ach_payments][requested]': 'true' };
  await app.sandbox.api('POST', `/v1/accounts/${tenant.accountId}`, { form });
  await app.sandbox.control(`/accounts/${tenant.accountId}/onboard`, {});
  customer = await tenant.aCustomer(null);
});
afterAll(() => app.stop());

const list = `query ($customerId: Int!) { paymentMethods(customerId: $customerId) { id type status mandateStatus } }`;

async function methods(): Promise<Facts[]> {
  return (await tenant.ask(list, { customerId: customer.id })).paymentMethods;
}

/** Saves a bank account, as the browser does. */
async function save(): Promise<void> {
  const { createSetupIntent: asked } = await tenant.ask(
    'mutation ($input: CreateSetupIntentInput!) { createSetupIntent(input: $input) { clientSecret } }',
    { input: { customerId: customer.id, idempotencyKey: randomUUID() } },
  );
  const clientSecret = asked.clientSecret as string;
  await app.sandbox.api('POST', `/v1/setup_intents/${clientSecret.split('_secret_')[0]}/confirm`, {
    account: tenant.accountId,
    asBrowser: true,
    form: {
      client_secret: clientSecret,
      payment_method: 'pm_usBankAccount_success',
      'mandate_data[customer_acceptance][type]': 'online',
      'mandate_data[customer_acceptance][online][infer_from_client]': 'true',
    },
  });
}

const eventually = (status: string) =>
  until(async () => {
    const [method] = await methods();
    return method?.mandateStatus === status && method;
  }, `the mandate is ${status}`);

test('a bank account whose mandate has ended is charged no more without its owner, and says so', async () => {
  await save();
  const saved = await eventually('ACTIVE');
  expect(saved).toMatchObject({ type: 'US_BANK_ACCOUNT', status: 'ACTIVE' });
  await tenant.settled();
  const [row] = await tenant.rows('select stripe_mandate_id from payment_methods where tenant_id = $1');
  const mandate = row!.stripe_mandate_id as string;

  await app.sandbox.control(`/mandates/${mandate}`, { status: 'inactive' });
  const ended = await eventually('INACTIVE');
  expect(ended.status).toBe('MANDATE_ENDED');

  const paymentMethodId = saved.id as string;
  const key = () => ({ idempotencyKey: randomUUID() });
  const pay = 'mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { clientSecret } }';
  const payment = { customerId: customer.id, amount: 5_000, currency: 'usd', paymentMethodId };
  const offSession = { ...payment, confirm: true, offSession: true };
  const { errors } = await app.graphql(pay, { input: { ...offSession, ...key() } }, tenant.token);
  expect(errors?.[0]).toMatchObject({
    message: expect.stringContaining('mandate'),
    extensions: { code: 'INVALID_STATE', field: 'input.paymentMethodId' },
  });
  const contractId = await tenant.aContract(customer.id);
  expect(await tenant.refusal(createMutation, { input: { contractId, paymentMethodId, ...key() } })).toBe(
    'INVALID_STATE',
  );
  const choose =
    'mutation ($input: SetDefaultPaymentMethodInput!) { setDefaultPaymentMethod(input: $input) { paymentMethod { id } } }';
  expect(await tenant.refusal(choose, { input: { paymentMethodId } })).toBe('INVALID_STATE');

  // Its owner, who is there, can agree anew.
  expect((await tenant.ask(pay, { input: { ...payment, ...key() } })).createPaymentIntent.clientSecret).toMatch(/^pi_/);
  await app.sandbox.control(`/mandates/${mandate}`, { status: 'active' });
  expect(await eventually('ACTIVE')).toMatchObject({ status: 'ACTIVE' });
});
