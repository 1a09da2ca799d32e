import { aCustomer, anInvoice } from '../support/factories.js';
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

type Input = Readonly<Record<string, unknown>>;

/** What one call takes of the way to PostgreSQL. */
async function create(token: string, input: Input, selection: string) {
  const before = wire.trips;
  const from = wire.sent.length;
  await measured.ask(
    `mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { ${selection} } }`,
    { input },
    token,
  );
  return { trips: wire.trips - before, sent: wire.sent.slice(from) };
}

test('asking for money takes two transactions of two round trips each, and one more to read the payment', async () => {
  const tenant = await app.aConnectedTenant();
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId });
  const token = await app.token(tenant);
  const free = { customerId, amount: 1000, currency: 'usd' };
  const secret = 'clientSecret stripeAccountId publishableKey';
  // Makes the customer known to Stripe, and opens connections.
  await create(token, { ...free, idempotencyKey: 'first' }, `${secret} payment { id }`);

  const { trips, sent } = await create(token, { ...free, idempotencyKey: 'second' }, secret);
  expect(sent.filter((text) => text.includes('begin'))).toHaveLength(2);
  expect(sent.filter((text) => text.includes('commit'))).toHaveLength(2);
  expect(trips).toBe(4);

  // What was paid and tried on an invoice is added up once more.
  const ofInvoice = await create(token, { invoiceId, idempotencyKey: 'third' }, secret);
  expect(ofInvoice.trips).toBe(5);
  const andRow = await create(
    token,
    { ...free, idempotencyKey: 'fourth' },
    `${secret} payment { id status amount { amount currency } }`,
  );
  expect(andRow.trips).toBe(5);
});
