import { aRequest, createWorld, type World } from './support/world.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});

afterAll(() => world.stop());

test('a payment of an invoice asks for what is due, with the fee of the tenant', async () => {
  const tenant = await world.aTenant();
  const invoiceId = await tenant.anInvoice({ total: 10_000 });
  const asked = await tenant.payments.createPaymentIntent(aRequest({ invoiceId }));
  expect(asked.clientSecret).toMatch(/^pi_\w+_secret_/);
  expect(asked).toMatchObject({ stripeAccountId: tenant.accountId, publishableKey: world.sandbox.publishableKey });

  const [intent, ...others] = await tenant.intents();
  expect(others).toEqual([]);
  expect(intent).toMatchObject({
    id: asked.stripePaymentIntentId,
    amount: 10_000,
    currency: 'usd',
    application_fee_amount: 250,
    status: 'requires_payment_method',
    metadata: { psa_payment_id: asked.paymentId, psa_invoice_id: String(invoiceId) },
  });
  expect(intent!.customer).toMatch(/^cus_/);
  expect(await tenant.payment(asked.paymentId)).toMatchObject({
    status: 'PENDING',
    stripe_payment_intent_id: intent!.id,
    requested_application_fee: '250',
    fee_rule: { percent: '2.50', fixed: 0 },
  });
});
