import { DriftJob } from '../../src/features/drift/drift-job.js';
import { DriftService, type DriftParts } from '../../src/features/drift/drift.service.js';
import { type DriftCheck } from '../../src/jobs/drift.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aCustomer } from '../support/factories.js';
import { atRest } from '../support/sandbox.js';
import { until } from '../support/until.js';
import { partsOn, type Parts } from '../webhooks/parts.js';

let app: TestApp;
let parts: Parts;
let tenant: Awaited<ReturnType<TestApp['aConnectedTenant']>>;
let admin: string;

beforeAll(async () => {
  app = await startApp();
  parts = partsOn(app.db, app.sandbox);
});
beforeEach(async () => {
  tenant = await app.aConnectedTenant();
  admin = await app.token(tenant, 'admin');
});
afterAll(async () => {
  await parts.close();
  await app.stop();
});

const pay = () =>
  app.sandbox.api<{ id: string }>('POST', '/v1/payment_intents', {
    account: tenant.accountId,
    form: {
      amount: '5000',
      currency: 'usd',
      payment_method: 'pm_card_visa',
      confirm: 'true',
      return_url: 'https://psa.test',
    },
  });
const drift = (overrides: Partial<DriftParts> = {}) =>
  new DriftService({
    ...parts,
    db: parts.database.tenant(tenant.id),
    actor: 'test',
    callsPerSecond: 1_000,
    settleMs: 100,
    ...overrides,
  });
const isBooked = async (id: string) =>
  (await app.db.query('select from payments where stripe_payment_intent_id = $1 and net is not null', [id])).length ===
  1;
const dropped = async (work: () => Promise<unknown>) => {
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
  await work();
  await app.sandbox.control('/deliveries/faults', {}, 'DELETE');
};

const reconcile = `mutation ($dryRun: Boolean) { reconcile(input: { dryRun: $dryRun }) { report {
  id startedAt finishedAt since dryRun isComplete problem examined differenceCount repairedCount
  differences { object stripeId localId kind field ours stripes repaired } } } }`;
const report = `{ driftReport { id isComplete examined differenceCount differences { object stripeId kind } } }`;

test('before anybody has looked, the report is empty', async () => {
  const { driftReport } = await app.ask(report, {}, admin);
  expect(driftReport).toEqual({ id: null, isComplete: false, examined: 0, differenceCount: 0, differences: [] });
});

test('what webhooks brought in does not differ from what Stripe has', async () => {
  const { id } = await pay();
  await until(() => isBooked(id), 'the payment is booked');
  const found = await drift().run({ dryRun: true, days: 7 });
  expect(found).toMatchObject({ isComplete: true, problem: null, differences: [] });
  expect(found.examined).toBe(2); // the account and the payment
});

test('a payment that never arrived is missing here; a dry run says so, and a repair brings it in as its webhook would have', async () => {
  let missing = '';
  await dropped(async () => {
    ({ id: missing } = await pay());
    await atRest(app.sandbox);
  });
  const dry = (await app.ask(reconcile, {}, admin)).reconcile.report;
  const difference = { object: 'payment', stripeId: missing, localId: null, kind: 'MISSING_HERE', field: null };
  expect(dry).toMatchObject({ dryRun: true, isComplete: true, differenceCount: 1, repairedCount: 0 });
  expect(dry.differences).toEqual([{ ...difference, ours: null, stripes: null, repaired: false }]);
  expect(await isBooked(missing)).toBe(false);

  const real = (await app.ask(reconcile, { dryRun: false }, admin)).reconcile.report;
  expect(real).toMatchObject({ dryRun: false, differenceCount: 1, repairedCount: 1 });
  expect(await isBooked(missing)).toBe(true);
  expect((await app.ask(report, {}, admin)).driftReport.id).toBe(real.id);
  expect((await drift().run({ dryRun: true, days: 7 })).differences).toEqual([]);
  expect(
    await app.db.query(`select from audit_log where action = 'drift.reconcile' and tenant_id = $1`, [tenant.id]),
  ).toHaveLength(3);
});

test('fields that differ are named with both values, and put right; what is final stays as it is', async () => {
  const [stale, broken] = [await pay(), await pay()];
  await until(async () => (await isBooked(stale.id)) && (await isBooked(broken.id)), 'both are booked');
  await dropped(() =>
    app.sandbox.api('POST', '/v1/refunds', {
      account: tenant.accountId,
      form: { payment_intent: stale.id, amount: '1200' },
    }),
  );
  await app.db.query(`update payments set status = 'CANCELED' where stripe_payment_intent_id = $1`, [broken.id]);
  const found = await drift().run({ dryRun: false, days: 7 });
  const brief = found.differences.map(({ stripeId, kind, field, ours, stripes, repaired }) => [
    stripeId,
    kind,
    field,
    ours,
    stripes,
    repaired,
  ]);
  expect(brief).toContainEqual([stale.id, 'DIFFERENT', 'amountRefunded', '0', '1200', true]);
  expect(brief).toContainEqual([broken.id, 'DIFFERENT', 'status', 'CANCELED', 'SUCCEEDED', false]);
});

test('payment methods are compared: added, and taken away', async () => {
  const customer = await aCustomer(app.db, { tenantId: tenant.id });
  const account = tenant.accountId;
  const { id: cus } = await app.sandbox.api<{ id: string }>('POST', '/v1/customers', {
    account,
    form: { name: 'Payer' },
  });
  await app.db.query(
    'insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id) values ($1, false, $2, $3, $4)',
    [tenant.id, customer.id, account, cus],
  );
  const attach = (method: string) =>
    app.sandbox.api<{ id: string }>('POST', `/v1/payment_methods/${method}/attach`, {
      account,
      form: { customer: cus },
    });
  const kept = await attach('pm_card_visa');
  const known = async () =>
    (await app.db.query('select from payment_methods where stripe_payment_method_id = $1', [kept.id])).length === 1;
  await until(known, 'the method is here');
  let added = '';
  await dropped(async () => {
    ({ id: added } = await attach('pm_card_mastercard'));
    await app.sandbox.api('POST', `/v1/payment_methods/${kept.id}/detach`, { account });
  });
  const found = await drift().run({ dryRun: false, days: 7 });
  expect(
    found.differences.map(({ stripeId, kind, field, repaired }) => [stripeId, kind, field, repaired]).sort(),
  ).toEqual(
    [
      [added, 'MISSING_HERE', null, true],
      [kept.id, 'DIFFERENT', 'isDetached', true],
    ].sort(),
  );
  expect((await drift().run({ dryRun: true, days: 7 })).differences).toEqual([]);
});

test('a subscription that changed without anybody telling us is noticed, and put right', async () => {
  const account = tenant.accountId;
  const call = <T = { id: string }>(path: string, form: Record<string, string> = {}, method = 'POST') =>
    app.sandbox.api<T>(method, path, { account, form });
  const customer = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: cus } = await call('/v1/customers', { name: 'Payer' });
  await app.db.query(
    'insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id) values ($1, false, $2, $3, $4)',
    [tenant.id, customer.id, account, cus],
  );
  const { id: product } = await call('/v1/products', { name: 'Seats' });
  const price = { unit_amount: '700', currency: 'usd', 'recurring[interval]': 'month', product };
  const { id: priceId } = await call('/v1/prices', price);
  let id = '';
  await dropped(async () => {
    const terms = {
      customer: cus,
      'items[0][price]': priceId,
      'items[0][quantity]': '3',
      payment_behavior: 'default_incomplete',
    };
    ({ id } = await call('/v1/subscriptions', terms));
    await atRest(app.sandbox);
  });
  const found = await drift().run({ dryRun: false, days: 7 });
  expect(found.differences).toContainEqual(
    expect.objectContaining({ object: 'subscription', stripeId: id, kind: 'MISSING_HERE', repaired: true }),
  );
  const { id: coupon } = await call('/v1/coupons', { percent_off: '10', duration: 'forever' });
  await dropped(() => call(`/v1/subscriptions/${id}`, { 'discounts[0][coupon]': coupon }));
  const discounted = await drift().run({ dryRun: false, days: 7 });
  expect(discounted.differences).toContainEqual(
    expect.objectContaining({ object: 'subscription', stripeId: id, field: 'discounts', ours: '', repaired: true }),
  );
  await dropped(() => call(`/v1/subscriptions/${id}`, {}, 'DELETE'));
  const ended = await drift().run({ dryRun: false, days: 7 });
  expect(ended.differences).toContainEqual(
    expect.objectContaining({ object: 'subscription', stripeId: id, field: 'status', repaired: true }),
  );
  const left = await drift().run({ dryRun: true, days: 7 });
  expect(left.differences.filter(({ object }) => object === 'subscription')).toEqual([]);
});

test('an account that changed, or was disconnected, without anybody telling us is noticed', async () => {
  await atRest(app.sandbox);
  await until(
    async () =>
      (await app.db.query('select from stripe_webhook_queue where stripe_account_id = $1', [tenant.accountId]))
        .length === 0,
    'what was told of the onboarding has been read',
  );
  await dropped(async () => {
    await app.sandbox.control(`/accounts/${tenant.accountId}`, {
      currently_due: ['external_account'],
      disabled_reason: null,
    });
    await atRest(app.sandbox);
  });
  const changed = await drift().run({ dryRun: false, days: 7 });
  expect(changed.differences.map(({ object }) => object)).toContain('account');
  expect((await drift().run({ dryRun: true, days: 7 })).differences).toEqual([]);
  await dropped(() => app.sandbox.control(`/accounts/${tenant.accountId}/deauthorize`, {}));
  const gone = await drift().run({ dryRun: false, days: 7 });
  expect(gone.differences).toContainEqual(
    expect.objectContaining({
      object: 'account',
      field: 'isDisconnected',
      ours: 'false',
      stripes: 'true',
      repaired: true,
    }),
  );
  const [config] = await app.db.query('select disconnected_at from stripe_config where tenant_id = $1', [tenant.id]);
  expect(config!.disconnected_at).not.toBeNull();
});

test('Stripe being away is no drift: the report says that it is not complete', async () => {
  await app.sandbox.control('/faults', { kind: '502_html', path: '/v1/payment_intents', times: 50 });
  const unlucky = partsOn(app.db, app.sandbox);
  const found = await drift({ stripe: unlucky.stripe }).run({ dryRun: true, days: 7 });
  await unlucky.close();
  await app.sandbox.control('/faults', undefined, 'DELETE');
  expect(found).toMatchObject({ isComplete: false, differences: [] });
  expect(found.problem).toMatch(/^payment: STRIPE_UNAVAILABLE/);
});

test('two comparisons of a tenant do not run at once', async () => {
  let isRefused: () => void = () => undefined;
  const refusal = new Promise<void>((resolve) => (isRefused = resolve));
  const slow: DriftCheck = {
    object: 'slow',
    async *candidates() {
      await refusal;
      yield { stripeId: 'slow_1', differs: false };
    },
    compare: () => Promise.resolve([]),
    repair: () => Promise.resolve(),
  };
  const run = () => drift({ checks: [slow] }).run({ dryRun: true, days: 1 });
  const both = await Promise.allSettled(
    [1, 2].map(() => run().catch((error: unknown) => (isRefused(), Promise.reject(error as Error)))),
  );
  const refused = both.filter((one) => one.status === 'rejected');
  expect(refused).toHaveLength(1);
  expect(refused[0]!.reason).toMatchObject({ code: 'CONFLICT' });
});

test('the daily job looks at every account that is due, and changes nothing', async () => {
  await app.db.query(
    `insert into stripe_sweeps (account, livemode, swept_until, drift_due_at) select stripe_account_id, false, now(), now() + interval '1 day'
     from stripe_accounts on conflict do nothing`,
  );
  await app.db.query('update stripe_sweeps set drift_due_at = now() where account = $1', [tenant.accountId]);
  const job = new DriftJob(parts);
  const { signal } = new AbortController();
  expect(await job.due(signal)).toBe(1);
  expect(await job.due(signal)).toBe(0);
  expect((await app.ask(report, {}, admin)).driftReport).toMatchObject({ isComplete: true, examined: 1 });
});
