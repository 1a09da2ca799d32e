import { randomUUID } from 'node:crypto';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { aPaidInvoice, type Answer, type Paid } from './paid.js';

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

const refund = `mutation ($input: RefundPaymentInput!) {
  refundPayment(input: $input) {
    refund { id status reason amount { amount currency } stripeRefundId failureReason applicationFeeRefunded { amount } payment { id } }
    payment { id refundState refunded { amount } refunds { id status } invoice { status paymentStatus } }
  }
}`;
const read = `query ($id: UUID!) {
  payment(id: $id) {
    status refundState refunded { amount } net { amount } applicationFee { amount } stripeChargeId stripePaymentIntentId
    refunds { id status stripeRefundId reason failureReason amount { amount } applicationFeeRefunded { amount } }
    invoice { status paymentStatus amountPaid { amount } amountDue { amount } }
  }
}`;

const aPayment = (options = {}) => aPaidInvoice(app, options);

function eventually(token: string, id: string, is: (payment: Answer) => boolean, what: string): Promise<Answer> {
  return until(async () => {
    const { payment } = await app.ask(read, { id }, token);
    return is(payment) && payment;
  }, what);
}

const inputOf = ({ paymentId }: Paid, more: object = {}) => ({
  input: { paymentId, idempotencyKey: randomUUID(), ...more },
});
const give = async (paid: Paid, more: object = {}): Promise<Answer> =>
  (await app.ask(refund, inputOf(paid, more), paid.token)).refundPayment;
const failing = async (paid: Paid, more: object = {}, token = paid.token) =>
  (await app.graphql(refund, inputOf(paid, more), token)).errors?.[0]?.extensions;

async function refundsAtStripe({ accountId, chargeId }: Paid): Promise<Answer[]> {
  const { data } = await app.sandbox.api<{ data: Answer[] }>('GET', `/v1/refunds?charge=${chargeId}&limit=100`, {
    account: accountId,
  });
  return data;
}

test('a payment is given back whole, and the invoice follows', async () => {
  const paid = await aPayment();
  const { refund: made, payment } = await give(paid, { reason: 'REQUESTED_BY_CUSTOMER' });
  expect(made).toMatchObject({
    status: 'SUCCEEDED',
    reason: 'REQUESTED_BY_CUSTOMER',
    amount: { amount: 10_000, currency: 'usd' },
    failureReason: null,
    applicationFeeRefunded: { amount: 0 },
    payment: { id: paid.paymentId },
  });
  expect(payment).toEqual({
    id: paid.paymentId,
    refundState: 'FULL',
    refunded: { amount: 10_000 },
    refunds: [{ id: made.id, status: 'SUCCEEDED' }],
    invoice: { status: 'PAID', paymentStatus: 'REFUNDED' },
  });
  expect(await refundsAtStripe(paid)).toMatchObject([
    { id: made.stripeRefundId, amount: 10_000, metadata: { psa_refund_id: made.id } },
  ]);
  expect(await failing(paid)).toMatchObject({ code: 'INVALID_STATE', field: 'input.paymentId' });
  const audited = await app.db.query(
    `select action, subject_id, details from audit_log where tenant_id = $1 and action like '%refund%'`,
    [paid.tenantId],
  );
  expect(audited).toMatchObject([
    { action: 'payment.refund', subject_id: paid.paymentId, details: { amount: 10_000, refundId: made.id } },
  ]);
});

test('in parts, with the fee in proportion, and the last part with what is left of the fee', async () => {
  const paid = await aPayment({ feePercent: '3.33' });
  const parts = [];
  for (const amount of [3_333, 3_333, null]) parts.push(await give(paid, { amount, refundApplicationFee: true }));
  expect(parts.map(({ payment }) => [payment.refundState, payment.refunded.amount])).toEqual([
    ['PARTIAL', 3_333],
    ['PARTIAL', 6_666],
    ['FULL', 10_000],
  ]);
  const fees = parts.map(({ refund: made }) => made.applicationFeeRefunded.amount as number);
  expect(fees.reduce((sum, fee) => sum + fee, 0)).toBe(333);
  expect(fees).toEqual([111, 111, 111]);
  expect(parts[1]!.payment.invoice).toEqual({ status: 'PAID', paymentStatus: 'PAID' });
  expect(parts[2]!.payment.invoice).toEqual({ status: 'PAID', paymentStatus: 'REFUNDED' });
});

test('where no fee was taken, none is asked back', async () => {
  const paid = await aPayment({ feePercent: '0' });
  const { refund: made } = await give(paid, { refundApplicationFee: true });
  expect(made).toMatchObject({ status: 'SUCCEEDED' });
});

test('never more than came in', async () => {
  const paid = await aPayment();
  expect(await failing(paid, { amount: 10_001 })).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.amount' });
  expect(await failing(paid, { amount: 0 })).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.amount' });
  expect(await failing(paid, { reason: 'EXPIRED_UNCAPTURED_CHARGE' })).toMatchObject({ code: 'BAD_USER_INPUT' });
  await give(paid, { amount: 9_999 });
  expect(await failing(paid, { amount: 2 })).toMatchObject({ code: 'BAD_USER_INPUT', field: 'input.amount' });
  await give(paid);
  expect(await refundsAtStripe(paid)).toHaveLength(2);
});

test('fifty at once give back no more than came in', async () => {
  const paid = await aPayment();
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => app.graphql(refund, inputOf(paid, { amount: 3_000 }), paid.token)),
  );
  const codes = answers.flatMap(({ errors }) => errors?.map(({ extensions }) => extensions.code) ?? []);
  expect(codes.filter((code) => code !== 'BAD_USER_INPUT')).toEqual([]);
  expect(codes).toHaveLength(47);
  expect(await refundsAtStripe(paid)).toHaveLength(3);
  const payment = await eventually(
    paid.token,
    paid.paymentId,
    ({ refundState }) => refundState === 'PARTIAL',
    'settled',
  );
  expect(payment).toMatchObject({ refunded: { amount: 9_000 } });
});

test('the same key is the same refund, and with another amount a conflict', async () => {
  const paid = await aPayment();
  const idempotencyKey = randomUUID();
  const answers = await Promise.all(Array.from({ length: 5 }, () => give(paid, { amount: 1_000, idempotencyKey })));
  expect(new Set(answers.map(({ refund: made }) => made.id)).size).toBe(1);
  expect(await refundsAtStripe(paid)).toHaveLength(1);
  expect(await failing(paid, { amount: 2_000, idempotencyKey })).toMatchObject({ code: 'IDEMPOTENCY_CONFLICT' });
});

test('a refund that is pending shows so until it has gone through', async () => {
  const paid = await aPayment({ method: 'pm_card_pendingRefund' });
  const { refund: made, payment } = await give(paid, { amount: 4_000 });
  expect(made.status).toBe('PENDING');
  expect(payment).toMatchObject({ refundState: 'PENDING', refunded: { amount: 4_000 } });
  await app.sandbox.control(`/refunds/${made.stripeRefundId}`, { status: 'succeeded' });
  const settled = await eventually(
    paid.token,
    paid.paymentId,
    ({ refundState }) => refundState !== 'PENDING',
    'settled',
  );
  expect(settled).toMatchObject({ refundState: 'PARTIAL', refunds: [{ status: 'SUCCEEDED' }] });
});

test('a refund that fails later gives the amount back, to be refunded again', async () => {
  const paid = await aPayment();
  const { refund: made, payment } = await give(paid);
  expect(payment.invoice.paymentStatus).toBe('REFUNDED');
  await app.sandbox.control(`/refunds/${made.stripeRefundId}`, {
    status: 'failed',
    failure_reason: 'expired_or_canceled_card',
  });
  const back = await eventually(
    paid.token,
    paid.paymentId,
    ({ refunds }) => refunds[0].status === 'FAILED',
    'it is back',
  );
  expect(back).toMatchObject({
    refunded: { amount: 0 },
    refunds: [{ status: 'FAILED', failureReason: 'expired_or_canceled_card' }],
    invoice: { status: 'PAID', paymentStatus: 'PAID' },
  });
  expect((await give(paid)).payment).toMatchObject({ refundState: 'FULL' });
});

test('a refund that was made in the dashboard appears', async () => {
  const paid = await aPayment();
  const { id } = await app.sandbox.api<Answer>('POST', '/v1/refunds', {
    account: paid.accountId,
    form: { charge: paid.chargeId, amount: '2500', reason: 'duplicate' },
  });
  const seen = await eventually(
    paid.token,
    paid.paymentId,
    ({ refunds }) => refunds[0]?.status === 'SUCCEEDED',
    'it is here',
  );
  expect(seen).toMatchObject({
    refundState: 'PARTIAL',
    refunded: { amount: 2_500 },
    refunds: [{ stripeRefundId: id, reason: 'DUPLICATE', amount: { amount: 2_500 } }],
  });
  expect(await failing(paid, { amount: 7_501 })).toMatchObject({ code: 'BAD_USER_INPUT' });
});

test('what the bank has taken back cannot be given back, and leaves no refund behind', async () => {
  const paid = await aPayment();
  await app.sandbox.control('/disputes', { charge: paid.chargeId });
  expect(await failing(paid)).toMatchObject({ code: 'INVALID_STATE' });
  const { payment } = await app.ask(read, { id: paid.paymentId }, paid.token);
  expect(payment).toMatchObject({ refundState: 'NONE', refunds: [] });
});

test('who only looks cannot give money back', async () => {
  const paid = await aPayment();
  const viewer = await app.token({ tenantId: paid.tenantId as never }, 'viewer');
  expect(await failing(paid, {}, viewer)).toMatchObject({ code: 'FORBIDDEN' });
});
