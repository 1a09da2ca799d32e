import { aCustomer } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { Wire } from '../support/wire.js';

let app: TestApp;
let measured: TestApp;
let wire: Wire;

beforeAll(async () => {
  app = await startApp();
  wire = await Wire.to(app.db.url);
  measured = await startApp({ beside: app, env: { DATABASE_URL: wire.url, PROCESS_ROLE: 'api' } });
});

afterAll(async () => {
  await measured?.stop();
  await wire?.close();
  await app?.stop();
});

test('asking for money takes two transactions of few round trips, whose opening costs none', async () => {
  const tenant = await app.aConnectedTenant();
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const token = await app.token(tenant);
  const create = async (idempotencyKey: string) => {
    const before = wire.trips;
    const from = wire.sent.length;
    await measured.ask(
      `mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { clientSecret stripeAccountId payment { id status } } }`,
      { input: { idempotencyKey, customerId, amount: 1000, currency: 'usd' } },
      token,
    );
    return { trips: wire.trips - before, sent: wire.sent.slice(from) };
  };
  await create('first'); // makes the customer known to Stripe, and opens connections
  const { trips, sent } = await create('second');
  // Before Stripe is asked: who, what and for whom (8, with the commit); after: what became of it (5); and the answer (1).
  expect(sent.filter((text) => text.includes('begin'))).toHaveLength(2);
  expect(trips).toBeLessThanOrEqual(14);
});
