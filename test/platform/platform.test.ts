import { randomUUID } from 'node:crypto';
import { insertRow } from '../support/factories.js';
import { aCustomer, aStripeConfig, aTenant, type TenantRow } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aToken } from '../support/tokens.js';

let app: TestApp;
let platform: string;
let tenant: TenantRow;

beforeAll(async () => {
  app = await startApp();
  platform = await aToken({ role: 'platform_admin', subject: 'platform-1' });
  tenant = await aTenant(app.db, { name: 'Alpha' });
  await aStripeConfig(app.db, { tenantId: tenant.id, application_fee_percent: '2.50', application_fee_fixed: 30 });
  // The other side of Stripe is none of this server's business.
  await aStripeConfig(app.db, { tenantId: tenant.id, livemode: true });
  await aTenant(app.db, { name: 'Beta' });
});
afterAll(() => app.stop());

const feeMutation = `mutation ($input: UpdateApplicationFeeInput!) {
  updateApplicationFee(input: $input) { stripeConfig { applicationFeePercent applicationFeeFixed onboarding requirements { currentlyDue } } } }`;
const refused = async (input: object, token = platform) =>
  (await app.graphql(feeMutation, { input }, token)).errors?.[0]?.extensions;
const fee = async (input: object) =>
  (await app.ask(feeMutation, { input: { tenantId: tenant.id, ...input } }, platform)).updateApplicationFee
    .stripeConfig;

test('the platform sees its tenants with their accounts, page by page', async () => {
  const query = `query ($first: Int, $after: String) { platform { tenants(first: $first, after: $after) {
    nodes { id name createdAt stripeConfig { stripeAccountId onboarding livemode applicationFeePercent applicationFeeFixed } }
    pageInfo { hasNextPage endCursor } } } }`;
  const { tenants } = (await app.ask(query, { first: 1 }, platform)).platform;
  expect(tenants.nodes).toEqual([
    expect.objectContaining({
      id: tenant.id,
      name: 'Alpha',
      stripeConfig: expect.objectContaining({
        onboarding: 'ACTIVE',
        livemode: false,
        applicationFeePercent: '2.50',
        applicationFeeFixed: 30,
      }),
    }),
  ]);
  const next = (await app.ask(query, { first: 5, after: tenants.pageInfo.endCursor }, platform)).platform.tenants;
  expect(next).toMatchObject({ nodes: [{ name: 'Beta', stripeConfig: null }], pageInfo: { hasNextPage: false } });
});

test('totals are per currency, over all tenants, of this mode, and say what Stripe booked', async () => {
  const other = await aTenant(app.db);
  const pay = async (tenantId: string, row: object) => {
    await insertRow(app.db, 'payments', {
      tenant_id: tenantId,
      livemode: false,
      stripe_account_id: 'acct_1',
      stripe_payment_intent_id: `pi_${randomUUID().replaceAll('-', '')}`,
      currency: 'usd',
      status: 'SUCCEEDED',
      ...row,
    });
  };
  const booked = { booked_currency: 'usd', booked_gross: 10_000, stripe_fee: 320, application_fee: 250, net: 9_430 };
  await pay(tenant.id, { amount: 10_000, amount_received: 10_000, ...booked });
  await pay(other.id, { amount: 10_000, amount_received: 10_000, amount_refunded: 1_000, ...booked });
  // Paid in yen, settled in dollars.
  await pay(other.id, { amount: 1_500, amount_received: 1_500, currency: 'jpy', ...booked });
  await pay(other.id, { amount: 5_000, status: 'PENDING' });
  await pay(other.id, { amount: 70_000, amount_received: 70_000, livemode: true });
  const query = `{ platform { totals { currency payments gross { amount currency formatted } refunded { amount }
    stripeFees { amount } applicationFees { amount } net { amount } } } }`;
  const total = (amount: number) => ({ amount });
  expect((await app.ask(query, {}, platform)).platform.totals).toEqual([
    {
      currency: 'jpy',
      payments: 1,
      gross: { amount: 1_500, currency: 'jpy', formatted: 'JPY 1,500' },
      refunded: total(0),
      stripeFees: total(0),
      applicationFees: total(0),
      net: total(0),
    },
    {
      currency: 'usd',
      payments: 2,
      gross: { amount: 20_000, currency: 'usd', formatted: 'USD 200.00' },
      refunded: total(1_000),
      stripeFees: total(960),
      applicationFees: total(750),
      net: total(28_290),
    },
  ]);
});

test('the platform sets what it takes, and what is left out stays', async () => {
  expect(await fee({ percent: '3.1', fixed: 25 })).toMatchObject({
    applicationFeePercent: '3.10',
    applicationFeeFixed: 25,
    requirements: { currentlyDue: [] },
  });
  expect(await fee({ fixed: 0 })).toMatchObject({ applicationFeePercent: '3.10', applicationFeeFixed: 0 });
  expect(await fee({ percent: '0' })).toMatchObject({ applicationFeePercent: '0.00', applicationFeeFixed: 0 });
  const log = await app.db.query(
    `select actor, livemode, details from audit_log where tenant_id = $1 and action = 'application-fee.update' order by id`,
    [tenant.id],
  );
  expect(log).toHaveLength(3);
  expect(log[1]).toEqual({
    actor: 'platform-1',
    livemode: false,
    details: { before: { percent: '3.10', fixed: 25 }, after: { percent: '3.10', fixed: 0 } },
  });
  const [live] = await app.db.query(
    'select application_fee_fixed from stripe_config where tenant_id = $1 and livemode',
    [tenant.id],
  );
  expect(Number(live!.application_fee_fixed)).toBe(0);
});

test.each([
  [{ percent: '100.01' }, 'BAD_USER_INPUT', 'input.percent'],
  [{ percent: '-1' }, 'BAD_USER_INPUT', 'input.percent'],
  [{ percent: '2.555' }, 'BAD_USER_INPUT', 'input.percent'],
  [{ fixed: -1 }, 'BAD_USER_INPUT', 'input.fixed'],
  [{ fixed: 100_000_000 }, 'BAD_USER_INPUT', 'input.fixed'],
  [{}, 'BAD_USER_INPUT', 'input'],
  [{ percent: '1', tenantId: randomUUID() }, 'NOT_FOUND', 'input.tenantId'],
])('a fee of %j is refused with %s', async (input, code, field) => {
  const before = await app.db.query(
    'select application_fee_percent, application_fee_fixed from stripe_config order by id',
  );
  expect(await refused({ tenantId: tenant.id, ...input })).toMatchObject({ code, field });
  expect(
    await app.db.query('select application_fee_percent, application_fee_fixed from stripe_config order by id'),
  ).toEqual(before);
});

test('a tenant without an account has no fee rule yet', async () => {
  const { id } = await aTenant(app.db);
  expect(await refused({ tenantId: id, percent: '1' })).toMatchObject({ code: 'TENANT_NOT_READY' });
});

test('no tenant looks over the fence, and the platform looks into no tenant', async () => {
  await aCustomer(app.db, { tenantId: tenant.id });
  for (const role of ['admin', 'billing', 'viewer'] as const) {
    const token = await app.token(tenant, role);
    const { errors, data } = await app.graphql('{ platform { totals { currency } } }', {}, token);
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
    expect(data?.platform ?? null).toBeNull();
    expect(await refused({ tenantId: tenant.id, percent: '0' }, token)).toMatchObject({ code: 'FORBIDDEN' });
  }
  for (const query of [
    '{ stripeConfig { id } }',
    '{ customers { nodes { name } } }',
    '{ invoices { nodes { id } } }',
  ]) {
    expect((await app.graphql(query, {}, platform)).errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  }
});
