import { randomUUID } from 'node:crypto';
import { createOrm } from '../../src/db/orm.js';
import { Database } from '../../src/db/database.js';
import { DisputeAlarm } from '../../src/features/disputes/dispute-alarm.js';
import { createLogger } from '../../src/shared/logger.js';
import { entities } from '../../mikro-orm.config.js';
import { aPaidInvoice, type Answer, type Paid } from '../refunds/paid.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

const fields = `id status reason networkReasonCode amount { amount currency } evidenceDueBy hasEvidence pastDue submissionCount isInquiry
  isChargeRefundable fundsWithdrawn fundsReinstated stripeDisputeId closedAt createdAt payment { id disputeState }`;
const list = `query ($filter: DisputeFilter) { disputes(first: 10, filter: $filter) { nodes { ${fields} } } }`;
const submit = `mutation ($input: SubmitDisputeEvidenceInput!) { submitDisputeEvidence(input: $input) { dispute { ${fields} } } }`;
const accept = `mutation ($input: AcceptDisputeInput!) { acceptDispute(input: $input) { dispute { ${fields} } } }`;

async function disputesOf({ token }: Paid, filter?: object): Promise<Answer[]> {
  return (await app.ask(list, { filter }, token)).disputes.nodes;
}

async function aDispute(options: object = {}): Promise<Paid & { dispute: Answer }> {
  const paid = await aPaidInvoice(app);
  await app.sandbox.control('/disputes', { charge: paid.chargeId, ...options });
  const dispute = await until(async () => (await disputesOf(paid))[0], 'the dispute is here');
  return { ...paid, dispute };
}

const eventually = (paid: Paid, is: (dispute: Answer) => boolean, what: string) =>
  until(async () => {
    const [dispute] = await disputesOf(paid);
    return dispute && is(dispute) && dispute;
  }, what);

const inputOf = ({ dispute }: { dispute: Answer }, more: object = {}) => ({
  input: { disputeId: dispute.id, idempotencyKey: randomUUID(), ...more },
});

const atStripe = ({ accountId, dispute }: Paid & { dispute: Answer }) =>
  app.sandbox.api<Answer>('GET', `/v1/disputes/${dispute.stripeDisputeId}`, { account: accountId });

test('a dispute appears with its reason, amount and deadline, and its payment shows it', async () => {
  const paid = await aDispute({ reason: 'product_not_received' });
  const dispute = await eventually(paid, ({ fundsWithdrawn }) => fundsWithdrawn, 'the money is gone');
  expect(dispute).toMatchObject({
    status: 'NEEDS_RESPONSE',
    reason: 'product_not_received',
    networkReasonCode: '13.1',
    amount: { amount: 10_000, currency: 'usd' },
    hasEvidence: false,
    pastDue: false,
    submissionCount: 0,
    isInquiry: false,
    isChargeRefundable: false,
    fundsReinstated: false,
    closedAt: null,
    payment: { id: paid.paymentId, disputeState: 'NEEDS_RESPONSE' },
  });
  const { evidence_details: details } = await atStripe(paid);
  expect(+new Date(dispute.evidenceDueBy)).toBe(details.due_by * 1_000);
  const { payment } = await app.ask(
    'query ($id: UUID!) { payment(id: $id) { disputeState dispute { id } status } }',
    { id: paid.paymentId },
    paid.token,
  );
  expect(payment).toEqual({ disputeState: 'NEEDS_RESPONSE', dispute: { id: dispute.id }, status: 'SUCCEEDED' });
});

test('evidence in words and files is submitted and wins; the money comes back', async () => {
  const paid = await aDispute();
  const input = inputOf(paid, {
    evidence: {
      productDescription: 'Forty hours of support',
      customerName: 'A Customer',
      uncategorizedText: 'winning_evidence',
    },
    files: [
      { kind: 'RECEIPT', filename: 'receipt.pdf', content: Buffer.from('%PDF-1.4 a receipt').toString('base64') },
    ],
  });
  const { submitDisputeEvidence: answer } = await app.ask(submit, input, paid.token);
  expect(answer.dispute).toMatchObject({ hasEvidence: true, submissionCount: 1 });
  const { evidence } = await atStripe(paid);
  expect(evidence).toMatchObject({ product_description: 'Forty hours of support', customer_name: 'A Customer' });
  expect(evidence.receipt).toMatch(/^file_/);

  const won = await eventually(paid, ({ status, fundsReinstated }) => status === 'WON' && fundsReinstated, 'it is won');
  expect(won).toMatchObject({ payment: { disputeState: 'WON' } });
  expect(won.closedAt).not.toBeNull();

  // The same key is the same request, whatever became of it meanwhile; another one comes too late.
  expect((await app.ask(submit, input, paid.token)).submitDisputeEvidence.dispute.status).toBe('WON');
  const { errors } = await app.graphql(submit, inputOf(paid, { evidence: { customerName: 'B' } }), paid.token);
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'INVALID_STATE', field: 'input.disputeId' });

  // What was said about the customer is not kept here.
  const kept = await app.db.query('select params::text from commands where tenant_id = $1', [paid.tenantId]);
  expect(JSON.stringify(kept)).not.toMatch(/Forty hours|A Customer|JVBER/);
});

test('evidence can be kept first, and submitted later together', async () => {
  const paid = await aDispute();
  const keep = inputOf(paid, { evidence: { customerName: 'A Customer' }, submit: false });
  const { submitDisputeEvidence: kept } = await app.ask(submit, keep, paid.token);
  expect(kept.dispute).toMatchObject({ status: 'NEEDS_RESPONSE', hasEvidence: true, submissionCount: 0 });
  const { submitDisputeEvidence: sent } = await app.ask(
    submit,
    inputOf(paid, { evidence: { serviceDate: 'May 2026' } }),
    paid.token,
  );
  expect(sent.dispute).toMatchObject({
    status: 'UNDER_REVIEW',
    submissionCount: 1,
    payment: { disputeState: 'UNDER_REVIEW' },
  });
  expect((await atStripe(paid)).evidence).toMatchObject({ customer_name: 'A Customer', service_date: 'May 2026' });
});

test('a dispute is given up once, and nothing more can be said about it', async () => {
  const paid = await aDispute();
  const input = inputOf(paid);
  const { acceptDispute: first } = await app.ask(accept, input, paid.token);
  expect(first.dispute).toMatchObject({ status: 'LOST', payment: { disputeState: 'LOST' } });
  expect((await app.ask(accept, input, paid.token)).acceptDispute.dispute.status).toBe('LOST');
  for (const [mutation, more] of [
    [accept, {}],
    [submit, { evidence: { customerName: 'A' } }],
  ] as const) {
    const { errors } = await app.graphql(mutation, inputOf(paid, more), paid.token);
    expect(errors?.[0]?.extensions.code).toBe('INVALID_STATE');
  }
  const audited = await app.db.query(`select action from audit_log where tenant_id = $1 and action like 'dispute.%'`, [
    paid.tenantId,
  ]);
  expect(audited).toEqual([{ action: 'dispute.accept' }]);
});

test('an inquiry takes nothing, and ends with a refund; it cannot be given up', async () => {
  const paid = await aDispute({ inquiry: true });
  expect(paid.dispute).toMatchObject({
    status: 'WARNING_NEEDS_RESPONSE',
    isInquiry: true,
    isChargeRefundable: true,
    fundsWithdrawn: false,
  });
  const { errors } = await app.graphql(accept, inputOf(paid), paid.token);
  expect(errors?.[0]?.extensions.code).toBe('INVALID_STATE');
  const refund = `mutation ($input: RefundPaymentInput!) { refundPayment(input: $input) { refund { status } } }`;
  await app.ask(refund, { input: { paymentId: paid.paymentId, idempotencyKey: randomUUID() } }, paid.token);
  await eventually(paid, ({ status }) => status === 'WARNING_CLOSED', 'the inquiry is over');
});

test('an inquiry that is not answered well becomes a chargeback', async () => {
  const paid = await aDispute({ inquiry: true });
  await app.ask(submit, inputOf(paid, { evidence: { uncategorizedText: 'escalate_inquiry_evidence' } }), paid.token);
  const escalated = await eventually(
    paid,
    ({ isInquiry, fundsWithdrawn }) => !isInquiry && fundsWithdrawn,
    'it is one',
  );
  expect(escalated).toMatchObject({ status: 'NEEDS_RESPONSE', isChargeRefundable: false });
});

test('what is wrong with evidence is said before anything is sent', async () => {
  const paid = await aDispute();
  const bad: [object, string][] = [
    [{ evidence: {}, submit: false }, 'input.evidence'],
    [{ evidence: { customerName: '4242 4242 4242 4242' } }, 'input.evidence.customerName'],
    [{ evidence: { uncategorizedText: 'x'.repeat(150_001) } }, 'input.evidence'],
    [{ files: [{ kind: 'RECEIPT' }] }, 'input.files.0'],
    [{ files: [{ kind: 'RECEIPT', filename: 'a.exe', content: 'AAAA' }] }, 'input.files.0.filename'],
    [{ files: [{ kind: 'RECEIPT', filename: 'a.pdf', content: '???' }] }, 'input.files.0.content'],
    [{ files: [{ kind: 'RECEIPT', stripeFileId: 'pi_1' }] }, 'input.files.0.stripeFileId'],
  ];
  for (const [more, field] of bad) {
    const { errors } = await app.graphql(submit, inputOf(paid, more), paid.token);
    expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field });
  }
  expect(await atStripe(paid)).toMatchObject({ evidence_details: { has_evidence: false } });
});

test('who only looks sees disputes, and can answer none', async () => {
  const paid = await aDispute();
  const viewer = await app.token({ tenantId: paid.tenantId as never }, 'viewer');
  expect(await disputesOf({ ...paid, token: viewer })).toHaveLength(1);
  for (const mutation of [accept, submit]) {
    const { errors } = await app.graphql(mutation, inputOf(paid), viewer);
    expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
  }
});

test('near deadlines can be listed, and are counted for the alarm', async () => {
  const orm = createOrm({ url: app.db.url, entities });
  const alarm = new DisputeAlarm({ database: new Database(orm, false), logger: createLogger('silent') });
  const before = await alarm.measure();
  const due = Math.floor(Date.now() / 1_000) + 86_400;
  const paid = await aDispute({ due_by: due });
  const later = await aDispute();
  expect(await disputesOf(paid, { dueSoon: true })).toHaveLength(1);
  expect(await disputesOf(paid, { dueSoon: false })).toHaveLength(0);
  expect(await disputesOf(later, { dueSoon: true })).toHaveLength(0);
  expect(await disputesOf(later, { dueSoon: false, status: ['NEEDS_RESPONSE'] })).toHaveLength(1);
  const after = await alarm.measure();
  expect([after.soon - before.soon, after.later - before.later]).toEqual([1, 1]);
  expect(after.nextSeconds).toBeLessThanOrEqual(86_400);
  expect(after.nextSeconds).toBeGreaterThan(86_000);
  await orm.close(true);
});
