import { paymentEvents } from '../../src/features/payments/payment.events.js';
import { type EventHandler } from '../../src/jobs/events.js';
import { aRequest, createWorld, type Facts, type World } from './support/world.js';

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.stop());

test('what Stripe signed of a charge is taken over, also when its account cannot be asked any more', async () => {
  const tenant = await world.aTenant();
  const { accountId } = tenant;
  const asked = await tenant.payments.createPaymentIntent(aRequest({ amount: 5_000, currency: 'usd' }));
  const intent = await world.sandbox.api<Facts>('POST', `/v1/payment_intents/${asked.stripePaymentIntentId}/confirm`, {
    account: accountId,
    asBrowser: true,
    form: { client_secret: asked.clientSecret!, payment_method: 'pm_card_visa' },
  });
  const { data } = await world.sandbox.api<{ data: Facts[] }>('GET', '/v1/charges', { account: accountId });
  const charge = data.find(({ payment_intent }) => payment_intent === intent.id)!;
  await world.sandbox.control(`/accounts/${accountId}/deauthorize`, {});

  const handler = (paymentEvents as unknown as Record<string, EventHandler<never>>)['charge.refunded']!;
  const event = { data: { object: { ...charge, amount_refunded: 1_000, balance_transaction: 'txn_1' } } } as never;
  const context = { accountId, created: new Date(), stripe: world.stripe.forAccount(accountId) } as never;
  const apply = (fetched: string | null) => tenant.db.transaction((em) => handler.apply(em, event, context, fetched));
  expect(await apply(null)).toBe('fetch');
  const gone = (await handler.load!(event, context)) as string;
  expect(await apply(gone)).toBe('done');
  expect(await tenant.payment(asked.paymentId)).toMatchObject({
    amount_received: '5000',
    amount_refunded: '1000',
    receipt_url: charge.receipt_url,
    net: null,
  });
});
