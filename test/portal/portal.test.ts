import { startApp, type TestApp } from '../support/harness.js';
import { aCustomer, aTenant } from '../support/factories.js';

const mutation = `mutation ($input: CreateBillingPortalSessionInput!) { createBillingPortalSession(input: $input) { url } }`;

let app: TestApp;
let tenant: Awaited<ReturnType<TestApp['aConnectedTenant']>>;
let customerId: number;

beforeAll(async () => {
  app = await startApp({ env: { RETURN_URL_ORIGINS: 'https://psa.example,https://other.example' } });
  tenant = await app.aConnectedTenant();
  customerId = (await aCustomer(app.db, { tenantId: tenant.id })).id;
});
afterAll(() => app.stop());

const open = async (input: object, role: 'admin' | 'billing' | 'viewer' = 'billing') =>
  app.graphql(mutation, { input }, await app.token(tenant, role));

test('a customer is let into the pages of the right account, made there if need be, and led back where that is allowed', async () => {
  const { data } = await open({ customerId, returnPath: '/customers/7?tab=billing' });
  expect(data!.createBillingPortalSession.url).toMatch(/^http/);
  const [known] = await app.db.query('select stripe_customer_id from stripe_customers where customer_id = $1', [
    customerId,
  ]);
  const page = await fetch(data!.createBillingPortalSession.url as string);
  expect(page.status).toBe(200);
  expect(await page.text()).toContain('https://psa.example/customers/7?tab=billing');
  // Another one is another session of the same customer.
  const again = await open({ customerId, returnPath: 'https://other.example/' });
  expect(again.data!.createBillingPortalSession.url).not.toBe(data!.createBillingPortalSession.url);
  expect(
    await app.db.query('select stripe_customer_id from stripe_customers where customer_id = $1', [customerId]),
  ).toEqual([known]);
});

test.each([
  '//evil.example',
  'https://evil.example/',
  'javascript:alert(1)',
  '/\\evil.example',
  'https://psa.example@evil.example/',
])('nobody is led to %s', async (returnPath) => {
  const { errors } = await open({ customerId, returnPath });
  expect(errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.returnPath' });
});

test('it is for those who bill, and for customers of their own', async () => {
  expect((await open({ customerId }, 'viewer')).errors![0]!.extensions.code).toBe('FORBIDDEN');
  const other = await aCustomer(app.db);
  expect((await open({ customerId: other.id })).errors![0]!.extensions).toMatchObject({
    code: 'NOT_FOUND',
    field: 'input.customerId',
  });
  const unconnected = await aTenant(app.db);
  const { id } = await aCustomer(app.db, { tenantId: unconnected.id });
  const { errors } = await app.graphql(mutation, { input: { customerId: id } }, await app.token(unconnected));
  expect(errors![0]!.extensions.code).toBe('TENANT_NOT_READY');
});

test('the way in is written down nowhere', async () => {
  const { data } = await open({ customerId });
  const secret = (data!.createBillingPortalSession.url as string).split('/').at(-1)!;
  const rows = await app.db.query(
    `select c::text || coalesce((select string_agg(a::text, '') from audit_log a), '') as text from commands c`,
  );
  expect(rows.length).toBeGreaterThan(0);
  expect(rows.some(({ text }) => (text as string).includes(secret))).toBe(false);
});
