import type Stripe from 'stripe';
import { aStripe, failure, type TestStripe } from './support/stripe.js';

let local: TestStripe;
let stripe: Stripe;
let account: { stripeAccount: string };
const day = 86_400;
beforeEach(async () => {
  local = await aStripe();
  stripe = local.stripe;
  account = await local.connected();
});
afterEach(() => local.stop());

async function pay(method: string): Promise<{ intent: string; charge: string }> {
  const intent = await stripe.paymentIntents.create(
    {
      amount: 10_000,
      currency: 'usd',
      payment_method: method,
      confirm: true,
      capture_method: 'automatic',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    },
    account,
  );
  return { intent: intent.id, charge: intent.latest_charge as string };
}
async function disputed(method = 'pm_card_createDispute'): Promise<Stripe.Dispute> {
  const { intent } = await pay(method);
  return (await stripe.disputes.list({ payment_intent: intent }, account)).data[0]!;
}
const again = (dispute: Stripe.Dispute) => stripe.disputes.retrieve(dispute.id, {}, account);
const submit = (dispute: Stripe.Dispute, uncategorized_text: string) =>
  stripe.disputes.update(dispute.id, { evidence: { uncategorized_text } }, account);
const disputeEvents = async (): Promise<string[]> =>
  (await stripe.events.list({ type: 'charge.dispute.*', limit: 100 }, account)).data.map(({ type }) => type).reverse();
const moment = () => local.control('/advance', { seconds: 1 });

test('a chargeback takes the money and a fee at once, before the payment says that it succeeded', async () => {
  const dispute = await disputed();
  expect(dispute).toMatchObject({
    amount: 10_000,
    status: 'needs_response',
    reason: 'fraudulent',
    is_charge_refundable: false,
    evidence: { uncategorized_text: null, enhanced_evidence: {} },
    evidence_details: { has_evidence: false, past_due: false, submission_count: 0 },
    payment_method_details: { type: 'card', card: { case_type: 'chargeback', network_reason_code: '10.4' } },
    balance_transactions: [{ type: 'adjustment', reporting_category: 'dispute', amount: -10_000, fee: 1_500 }],
  });
  const due = dispute.evidence_details.due_by!;
  expect((due + 1) % day).toBe(0);
  expect(due - dispute.created).toBeGreaterThan(8 * day - 1);
  const types = (await stripe.events.list({ limit: 10 }, account)).data.map(({ type }) => type).reverse();
  expect(types.slice(types.indexOf('charge.succeeded'))).toEqual([
    'charge.succeeded',
    'charge.dispute.created',
    'charge.dispute.funds_withdrawn',
    'payment_intent.succeeded',
  ]);
  expect(await stripe.charges.retrieve(dispute.charge as string, {}, account)).toMatchObject({ disputed: true });
  expect((await stripe.balance.retrieve({}, account)).available[0]!.amount).toBe(-11_500);
});

test('winning evidence brings the money back, but not the fee', async () => {
  const dispute = await disputed('pm_card_createDisputeProductNotReceived');
  expect(dispute.reason).toBe('product_not_received');
  expect(await submit(dispute, 'winning_evidence')).toMatchObject({
    status: 'under_review',
    evidence_details: { has_evidence: true, submission_count: 1, submission_method: 'manual' },
  });
  await moment();
  const won = await again(dispute);
  expect(won).toMatchObject({
    status: 'won',
    is_charge_refundable: true,
    balance_transactions: [{ amount: -10_000 }, { amount: 10_000, fee: 0, reporting_category: 'dispute_reversal' }],
  });
  expect(await disputeEvents()).toEqual([
    'charge.dispute.created',
    'charge.dispute.funds_withdrawn',
    'charge.dispute.updated',
    'charge.dispute.funds_reinstated',
    'charge.dispute.closed',
  ]);
  expect((await stripe.refunds.create({ charge: dispute.charge as string }, account)).status).toBe('succeeded');
});

test('losing evidence loses; a closed dispute takes nothing more', async () => {
  const dispute = await disputed();
  await submit(dispute, 'losing_evidence');
  await moment();
  expect(await again(dispute)).toMatchObject({ status: 'lost', is_charge_refundable: false });
  expect((await disputeEvents()).slice(-1)).toEqual(['charge.dispute.closed']);
  expect((await failure(submit(dispute, 'winning_evidence'))).message).toBe('This dispute is already closed');
  expect((await failure(stripe.disputes.close(dispute.id, {}, account))).message).toBe(
    'This dispute is already closed',
  );
});

test('accepting loses at once', async () => {
  const dispute = await disputed();
  expect(await stripe.disputes.close(dispute.id, {}, account)).toMatchObject({ status: 'lost' });
});

test('a charge that was charged back cannot be refunded as well', async () => {
  const { charge } = await disputed();
  expect(await failure(stripe.refunds.create({ charge: charge as string }, account))).toMatchObject({
    code: 'charge_disputed',
    message: `Charge ${charge as string} has been charged back; cannot issue a refund.`,
  });
});

test('evidence can be staged first; files belong to it', async () => {
  const dispute = await disputed();
  const file = await stripe.files.create(
    {
      purpose: 'dispute_evidence',
      file: { data: Buffer.from([0x25, 0x50, 0x44, 0x46, 0xff, 0x00]), name: 'beleg ü.pdf', type: 'application/pdf' },
    },
    account,
  );
  expect(file).toMatchObject({ filename: 'beleg ü.pdf', size: 6, type: 'pdf', purpose: 'dispute_evidence' });
  const staged = await stripe.disputes.update(
    dispute.id,
    { evidence: { receipt: file.id, customer_name: 'Jane' }, submit: false },
    account,
  );
  expect(staged).toMatchObject({
    status: 'needs_response',
    evidence: { receipt: file.id, customer_name: 'Jane' },
    evidence_details: { has_evidence: true, submission_count: 0 },
  });
  const expanded = await stripe.disputes.retrieve(dispute.id, { expand: ['evidence.receipt'] }, account);
  expect(expanded.evidence.receipt).toMatchObject({ id: file.id });
  expect(await stripe.disputes.update(dispute.id, { metadata: { a: '1' } }, account)).toMatchObject({
    status: 'needs_response',
  });
  expect(await stripe.disputes.update(dispute.id, { submit: true }, account)).toMatchObject({
    status: 'under_review',
    evidence_details: { submission_count: 1 },
  });
  for (const evidence of [{ receipt: 'file_none' }, { customer_name: 'x'.repeat(20_001) }]) {
    expect((await failure(stripe.disputes.update(dispute.id, { evidence }, account))).statusCode).toBeGreaterThan(399);
  }
  expect(await failure(stripe.files.retrieve(file.id))).toMatchObject({ code: 'resource_missing' });
});

test('who does not answer in time loses; who answers waits for the bank', async () => {
  const silent = await disputed();
  const answered = await disputed();
  await submit(answered, 'a long story');
  await local.control('/advance', { to: silent.evidence_details.due_by! + 2 });
  expect(await again(silent)).toMatchObject({ status: 'lost', evidence_details: { past_due: true } });
  expect(await again(answered)).toMatchObject({ status: 'under_review' });
  await local.control('/advance', { seconds: 75 * day });
  expect(await again(answered)).toMatchObject({ status: 'lost' });
});

describe('an inquiry', () => {
  test('takes no money, leaves the charge refundable and ends with the refund', async () => {
    const dispute = await disputed('pm_card_createDisputeInquiry');
    expect(dispute).toMatchObject({
      status: 'warning_needs_response',
      is_charge_refundable: true,
      balance_transactions: [],
      payment_method_details: { card: { case_type: 'inquiry' } },
    });
    expect(await disputeEvents()).toEqual(['charge.dispute.created']);
    await stripe.refunds.create({ charge: dispute.charge as string }, account);
    expect(await again(dispute)).toMatchObject({ status: 'warning_closed' });
  });

  test('can become a chargeback; a refund made a moment ago fails then', async () => {
    const dispute = await disputed('pm_card_createDisputeInquiry');
    const refund = await stripe.refunds.create({ charge: dispute.charge as string, amount: 2_000 }, account);
    expect(await submit(dispute, 'escalate_inquiry_evidence')).toMatchObject({ status: 'warning_under_review' });
    await moment();
    expect(await again(dispute)).toMatchObject({
      status: 'needs_response',
      is_charge_refundable: false,
      balance_transactions: [{ amount: -10_000, fee: 1_500 }],
    });
    expect((await disputeEvents()).slice(-1)).toEqual(['charge.dispute.funds_withdrawn']);
    expect(await stripe.refunds.retrieve(refund.id, {}, account)).toMatchObject({
      status: 'failed',
      failure_reason: 'charge_for_pending_refund_disputed',
    });
  });

  test('that nobody pursues is closed after 120 days', async () => {
    const dispute = await disputed('pm_card_createDisputeInquiry');
    await local.control('/advance', { seconds: 9 * day });
    expect(await again(dispute)).toMatchObject({
      status: 'warning_needs_response',
      evidence_details: { past_due: true },
    });
    await local.control('/advance', { seconds: 112 * day });
    expect(await again(dispute)).toMatchObject({ status: 'warning_closed' });
  });
});

test('a control opens a dispute on any charge, of a part if so asked, and decides it', async () => {
  const { charge } = await pay('pm_card_visa');
  const opened = await local.control<Stripe.Dispute>('/disputes', { charge, reason: 'duplicate', amount: 400 });
  expect(opened).toMatchObject({ amount: 400, reason: 'duplicate', status: 'needs_response' });
  await local.control(`/disputes/${opened.id}`, { outcome: 'won' });
  expect(await again(opened)).toMatchObject({ status: 'won' });
});

test('a disputed hold is disputed with its capture', async () => {
  const intent = await stripe.paymentIntents.create(
    {
      amount: 3_000,
      currency: 'usd',
      capture_method: 'manual',
      payment_method: 'pm_card_createDispute',
      confirm: true,
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    },
    account,
  );
  expect((await stripe.disputes.list({}, account)).data).toEqual([]);
  await stripe.paymentIntents.capture(intent.id, { amount_to_capture: 2_000 }, account);
  expect((await stripe.disputes.list({}, account)).data).toMatchObject([{ amount: 2_000 }]);
});
