import { randomUUID } from 'node:crypto';
import { declineReason } from '../../src/features/insights/decline-reason.js';
import { FailureAlarm } from '../../src/features/insights/failure-alarm.js';
import { isHard } from '../../src/features/insights/failed-payment.reads.js';
import { metrics } from '../../src/shared/metrics.js';
import { aCustomer, anInvoice, insertRow, type Row } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { partsOn } from '../webhooks/parts.js';

let app: TestApp;
let tenant: Awaited<ReturnType<TestApp['aConnectedTenant']>>;
let token: string;

beforeAll(async () => {
  app = await startApp();
  tenant = await app.aConnectedTenant();
  token = await app.token(tenant, 'billing');
});
afterAll(() => app.stop());

const create = `mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { clientSecret payment { id } } }`;
const list = `query ($filter: FailedPaymentFilter) { failedPayments(filter: $filter) { nodes {
  payment { id status } amount { amount currency } code declineCode reason isHard outcome } } }`;

async function failed(filter: object = {}, as = token): Promise<Row[]> {
  return (await app.ask(list, { filter }, as)).failedPayments.nodes;
}

test('every try that failed is kept, and what became of it is told', async () => {
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId, total: 5_000 });
  const input = { idempotencyKey: randomUUID(), invoiceId };
  const { createPaymentIntent: asked } = await app.ask(create, { input }, token);
  const [intent] = (asked.clientSecret as string).split('_secret_');
  const confirm = (method: string) =>
    app.sandbox
      .api('POST', `/v1/payment_intents/${intent}/confirm`, {
        account: tenant.accountId,
        form: { payment_method: method, return_url: 'https://psa.test/paid' },
      })
      .catch(() => undefined);
  await confirm('pm_card_visa_chargeDeclinedInsufficientFunds');
  await until(async () => (await failed({ customerId })).length === 1, 'the first try is kept');
  await confirm('pm_card_visa_chargeDeclinedLostCard');
  await until(async () => (await failed({ customerId })).length === 2, 'the second try is kept');
  const about = { payment: { id: asked.payment.id, status: 'FAILED' }, amount: { amount: 5_000, currency: 'usd' } };
  const both = [
    { ...about, code: 'card_declined', declineCode: 'lost_card', reason: 'METHOD_GONE', isHard: true },
    { ...about, code: 'card_declined', declineCode: 'insufficient_funds', reason: 'FUNDS', isHard: false },
  ];
  expect(await failed({ customerId, outcome: 'OPEN' })).toEqual(both.map((one) => ({ ...one, outcome: 'OPEN' })));
  await confirm('pm_card_visa');
  await until(async () => (await failed({ customerId, outcome: 'RECOVERED' })).length === 2, 'both are recovered');
});

/** A payment whose try failed then, of an invoice that stands like this. */
async function aFailure(
  tenantId: string,
  at: string,
  row: Row,
  failure: Row = {},
  invoice?: Row,
): Promise<number | null> {
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenantId as never });
  const made = invoice && (await anInvoice(app.db, { tenantId: tenantId as never, customerId, ...invoice }));
  const invoiceId = (row.invoice_id as number | undefined) ?? made?.id ?? null;
  const payment = await insertRow(app.db, 'payments', {
    ...{
      tenant_id: tenantId,
      livemode: false,
      customer_id: customerId,
      stripe_account_id: 'acct_1',
      invoice_id: invoiceId,
    },
    ...{ stripe_payment_intent_id: `pi_${randomUUID().replaceAll('-', '')}`, currency: 'usd', amount: 1_000, ...row },
  });
  await insertRow(app.db, 'payment_failures', {
    ...{ tenant_id: tenantId, livemode: false, payment_id: payment.id, attempt: randomUUID(), amount: payment.amount },
    ...{ currency: 'usd', code: 'card_declined', failed_at: at, ...failure },
  });
  return invoiceId;
}

test('what failed in a period is recovered, lost or open; an invoice counts once', async () => {
  const { id } = await app.aConnectedTenant();
  await app.db.query(`update tenants set time_zone = 'America/New_York' where id = $1`, [id]);
  const other = await app.aConnectedTenant();
  await aFailure(other.id, '2025-02-10T12:00:00Z', { status: 'FAILED' });
  const expired = { code: 'expired_card' };
  await aFailure(id, '2025-02-01T04:59:59Z', { status: 'SUCCEEDED', amount: 700, amount_received: 700 }); // in January, there
  await aFailure(
    id,
    '2025-02-10T12:00:00Z',
    { status: 'SUCCEEDED', amount_received: 1_000 },
    { decline_code: 'insufficient_funds' },
  );
  await aFailure(id, '2025-02-10T12:00:00Z', { status: 'CANCELED', amount: 400 }, { decline_code: 'lost_card' });
  await aFailure(id, '2025-02-11T12:00:00Z', { status: 'FAILED', amount: 300 }, expired);
  const paid = { status: 'PAID', payment_status: 'PAID', amount_paid: 10_000 };
  const invoiceId = await aFailure(
    id,
    '2025-02-12T12:00:00Z',
    { status: 'CANCELED' },
    { decline_code: 'insufficient_funds' },
    paid,
  );
  await aFailure(id, '2025-02-14T12:00:00Z', { status: 'CANCELED', invoice_id: invoiceId }, expired); // the same invoice, tried again
  await aFailure(id, '2025-02-15T12:00:00Z', { status: 'FAILED', amount: 600 }, expired, { status: 'VOID' });
  const mine = await app.token({ tenantId: id }, 'viewer');
  const query = `{ paymentFailures(from: "2025-01-15T12:00:00Z", to: "2025-03-15T12:00:00Z", interval: MONTH) { start count
    failed { amount currency } recovered { amount } lost { amount } open { amount } recoveryRate reasons { reason tries hard } } }`;
  const { paymentFailures } = await app.ask(query, {}, mine);
  const usd = (amount: number) => ({ amount, currency: 'usd' });
  expect(paymentFailures).toEqual([
    {
      ...{
        start: '2025-01-01T05:00:00.000Z',
        count: 1,
        failed: usd(700),
        recovered: { amount: 700 },
        lost: { amount: 0 },
      },
      ...{ open: { amount: 0 }, recoveryRate: '1.0000', reasons: [{ reason: 'BANK_REFUSED', tries: 1, hard: 0 }] },
    },
    {
      ...{
        start: '2025-02-01T05:00:00.000Z',
        count: 5,
        failed: usd(3_300),
        recovered: { amount: 2_000 },
        lost: { amount: 1_000 },
      },
      ...{ open: { amount: 300 }, recoveryRate: '0.6667' },
      reasons: [
        { reason: 'EXPIRED', tries: 3, hard: 3 },
        { reason: 'FUNDS', tries: 2, hard: 0 },
        { reason: 'METHOD_GONE', tries: 1, hard: 1 },
      ],
    },
    {
      ...{ start: '2025-03-01T05:00:00.000Z', count: 0, failed: usd(0), recovered: { amount: 0 }, lost: { amount: 0 } },
      ...{ open: { amount: 0 }, recoveryRate: null, reasons: [] },
    },
  ]);
});

test('the metrics say how many payments failed within the hour, of how many tenants', async () => {
  const parts = partsOn(app.db, app.sandbox);
  const alarm = new FailureAlarm(parts);
  const before = await alarm.measure();
  const another = await app.aConnectedTenant();
  await aFailure(another.id, new Date().toISOString(), { status: 'FAILED' }, { code: 'expired_card' });
  await aFailure(another.id, new Date(Date.now() - 3_700_000).toISOString(), { status: 'FAILED' });
  const after = await alarm.measure();
  await parts.close();
  expect(after).toEqual({ soft: before.soft, hard: before.hard + 1, tenants: before.tenants + 1 });
  expect(await metrics.metrics()).toContain(`payment_failures_recent{kind="HARD"} ${after.hard}`);
});

test.each([
  ['card_declined', 'insufficient_funds', 'FUNDS', false],
  ['card_declined', 'stolen_card', 'METHOD_GONE', true],
  ['card_declined', null, 'BANK_REFUSED', false],
  ['card_declined', 'a_code_of_tomorrow', 'BANK_REFUSED', false],
  ['expired_card', 'expired_card', 'EXPIRED', true],
  ['authentication_required', 'authentication_required', 'AUTHENTICATION', true],
  ['processing_error', null, 'TEMPORARY', false],
  ['unknown', null, 'OTHER', false],
])('%s with %s is %s', (code, declineCode, reason, hard) => {
  expect([declineReason(code, declineCode), isHard(code, declineCode)]).toEqual([reason, hard]);
});
