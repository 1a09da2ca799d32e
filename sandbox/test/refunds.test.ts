import type Stripe from 'stripe';
import { aListener, aStripe, failure, type TestStripe } from './support/stripe.js';

let local: TestStripe;
let stripe: Stripe;
let account: { stripeAccount: string };
beforeAll(async () => {
  local = await aStripe();
  stripe = local.stripe;
  account = await local.connected();
});
afterAll(() => local.stop());

async function pay(
  params: Partial<Stripe.PaymentIntentCreateParams> = {},
  on: Stripe.RequestOptions = account,
): Promise<{ intent: string; charge: string }> {
  const intent = await stripe.paymentIntents.create(
    {
      amount: 10_000,
      currency: 'usd',
      payment_method: 'pm_card_visa',
      confirm: true,
      capture_method: 'automatic',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      ...params,
    },
    on,
  );
  return { intent: intent.id, charge: intent.latest_charge as string };
}
const eventTypes = async (on: Stripe.RequestOptions, limit: number): Promise<string[]> =>
  (await stripe.events.list({ limit }, on)).data.map(({ type }) => type).reverse();
const chargeOf = (id: string) => stripe.charges.retrieve(id, { expand: ['refunds'] }, account);

describe('refunds', () => {
  test('a refund of the whole names its charge, is booked, and tells of itself before the charge', async () => {
    const { intent, charge } = await pay({ description: 'three hours' });
    const refund = await stripe.refunds.create(
      { payment_intent: intent, reason: 'requested_by_customer', expand: ['balance_transaction'] },
      account,
    );
    expect(refund).toMatchObject({
      amount: 10_000,
      charge,
      payment_intent: intent,
      status: 'succeeded',
      reason: 'requested_by_customer',
      destination_details: { type: 'card', card: { type: 'refund', reference_status: 'pending' } },
      balance_transaction: {
        type: 'refund',
        amount: -10_000,
        fee: 0,
        description: 'REFUND FOR CHARGE (three hours)',
        source: refund.id,
      },
    });
    expect(await chargeOf(charge)).toMatchObject({
      refunded: true,
      amount_refunded: 10_000,
      status: 'succeeded',
      refunds: { data: [{ id: refund.id }] },
    });
    const events = (await stripe.events.list({ limit: 100 }, account)).data.reverse();
    const created = events.findIndex(({ type }) => type === 'refund.created');
    expect(events[created + 1]!.type).toBe('charge.refunded');
    expect(events[created + 1]!.data.previous_attributes).toEqual({ amount_refunded: 0, refunded: false });
  });

  test('parts add up; what is more than the rest is refused', async () => {
    const { charge } = await pay();
    expect((await failure(stripe.refunds.create({ charge, amount: 10_001 }, account))).message).toBe(
      'Refund amount ($100.01) is greater than charge amount ($100.00)',
    );
    await stripe.refunds.create({ charge, amount: 4_000 }, account);
    expect(await failure(stripe.refunds.create({ charge, amount: 6_001 }, account))).toMatchObject({
      statusCode: 400,
      param: 'amount',
      message: 'Refund amount ($60.01) is greater than unrefunded amount on charge ($60.00)',
    });
    expect(await chargeOf(charge)).toMatchObject({ refunded: false, amount_refunded: 4_000 });
    await stripe.refunds.create({ charge }, account);
    expect(await chargeOf(charge)).toMatchObject({ refunded: true, amount_refunded: 10_000 });
    expect(await failure(stripe.refunds.create({ charge, amount: 1 }, account))).toMatchObject({
      code: 'charge_already_refunded',
      message: `Charge ${charge} has already been refunded.`,
    });
    const listed = await stripe.refunds.list({ charge }, account);
    expect(listed.data.map(({ amount }) => amount)).toEqual([6_000, 4_000]);
  });

  test('what cannot be refunded says why', async () => {
    expect((await failure(stripe.refunds.create({}, account))).message).toMatch(/payment_intent or charge/);
    expect(await failure(stripe.refunds.create({ charge: 'ch_none' }, account))).toMatchObject({
      code: 'resource_missing',
      param: 'id',
    });
    const open = await stripe.paymentIntents.create({ amount: 1000, currency: 'usd' }, account);
    expect((await failure(stripe.refunds.create({ payment_intent: open.id }, account))).message).toMatch(
      /does not have a successful charge to refund/,
    );
    const held = await pay({ capture_method: 'manual' });
    expect((await failure(stripe.refunds.create({ charge: held.charge }, account))).message).toMatch(
      /must cancel the PaymentIntent/,
    );
    const { charge } = await pay();
    expect(await failure(stripe.refunds.create({ charge, amount: 0 }, account))).toMatchObject({
      code: 'parameter_invalid_integer',
    });
    expect(
      await failure(stripe.refunds.create({ charge, colour: 'red' } as Stripe.RefundCreateParams, account)),
    ).toMatchObject({ code: 'parameter_unknown', param: 'colour' });
    expect(await failure(stripe.refunds.create({ charge }))).toMatchObject({ code: 'resource_missing' });
    expect((await chargeOf(charge)).amount_refunded).toBe(0);
  });

  test('metadata can be changed, nothing else; the change is told under both names', async () => {
    const { charge } = await pay();
    const { id } = await stripe.refunds.create({ charge, metadata: { a: '1' } }, account);
    await local.control('/advance', { seconds: 1 });
    expect((await stripe.refunds.update(id, { metadata: { b: '2' } }, account)).metadata).toEqual({ a: '1', b: '2' });
    expect((await eventTypes(account, 2)).sort()).toEqual(['charge.refund.updated', 'refund.updated']);
    expect((await failure(stripe.refunds.cancel(id, {}, account))).message).toBe(
      'Canceling this refund is unsupported.',
    );
    expect((await stripe.refunds.retrieve(id, {}, account)).status).toBe('succeeded');
  });

  test('the reference of the acquirer comes a moment later', async () => {
    const { charge } = await pay();
    const { id } = await stripe.refunds.create({ charge }, account);
    await local.control('/advance', { seconds: 1 });
    const refund = await stripe.refunds.retrieve(id, {}, account);
    expect(refund.destination_details!.card).toMatchObject({ reference_status: 'available' });
    expect(refund.destination_details!.card!.reference).toMatch(/^\d{23}$/);
  });

  test('pm_card_pendingRefund is pending first, and counts from the beginning', async () => {
    const { charge } = await pay({ payment_method: 'pm_card_pendingRefund' });
    const refund = await stripe.refunds.create({ charge, amount: 2_500 }, account);
    expect(refund).toMatchObject({ status: 'pending', pending_reason: 'processing' });
    expect((await chargeOf(charge)).amount_refunded).toBe(2_500);
    await local.control('/advance', { seconds: 3_600 });
    expect(await stripe.refunds.retrieve(refund.id, {}, account)).toMatchObject({ status: 'succeeded' });
    const [updated] = (await stripe.events.list({ type: 'refund.updated', limit: 1 }, account)).data;
    expect(updated!.data.previous_attributes).toMatchObject({ status: 'pending' });
  });

  test('pm_card_refundFail succeeds and fails a day later: the money is back and can be refunded again', async () => {
    const { charge } = await pay({ payment_method: 'pm_card_refundFail' });
    const refund = await stripe.refunds.create({ charge }, account);
    expect(refund.status).toBe('succeeded');
    await local.control('/advance', { seconds: 86_400 });
    expect(
      await stripe.refunds.retrieve(refund.id, { expand: ['failure_balance_transaction'] }, account),
    ).toMatchObject({
      status: 'failed',
      failure_reason: 'expired_or_canceled_card',
      failure_balance_transaction: { type: 'refund_failure', amount: 10_000 },
    });
    expect(await chargeOf(charge)).toMatchObject({ amount_refunded: 0, refunded: false });
    expect(await eventTypes(account, 30)).toContain('refund.failed');
    expect((await stripe.refunds.create({ charge }, account)).status).toBe('succeeded');
  });

  test('a refund that waits for the customer can be canceled', async () => {
    const { charge } = await pay({ payment_method: 'pm_card_pendingRefund' });
    const { id } = await stripe.refunds.create({ charge }, account);
    await local.control(`/refunds/${id}`, { status: 'requires_action' });
    expect(await stripe.refunds.cancel(id, {}, account)).toMatchObject({ status: 'canceled' });
    expect((await chargeOf(charge)).amount_refunded).toBe(0);
  });

  test('the balance goes down, below zero when there is nothing', async () => {
    const own = await local.connected();
    const { charge } = await pay({ amount: 5_000 }, own);
    await stripe.refunds.create({ charge }, own);
    expect(await stripe.balance.retrieve({}, own)).toMatchObject({
      available: [{ amount: 0 }],
      pending: [{ amount: -175 }],
    });
    await local.control('/advance', { seconds: 2 * 86_400 });
    expect((await stripe.balance.retrieve({}, own)).available[0]!.amount).toBe(-175);
    expect((await stripe.payouts.list({}, own)).data).toEqual([]);
  });
});

describe('application fees', () => {
  const fee = async (charge: string): Promise<Stripe.ApplicationFee> =>
    stripe.applicationFees.retrieve((await chargeOf(charge)).application_fee as string);

  test('the fee stays unless it is asked for', async () => {
    const { charge } = await pay({ application_fee_amount: 333 });
    await stripe.refunds.create({ charge }, account);
    expect(await fee(charge)).toMatchObject({ amount: 333, amount_refunded: 0, refunded: false });
  });

  test('it goes back in proportion, and the last refund takes the remainder', async () => {
    const { charge } = await pay({ application_fee_amount: 333 });
    const refund = (amount?: number) =>
      stripe.refunds.create(
        { charge, refund_application_fee: true, ...(amount && { amount }), expand: ['balance_transaction'] },
        account,
      );
    const first = await refund(3_333);
    expect(first.balance_transaction).toMatchObject({ amount: -3_333, fee: -111, net: -3_222 });
    await refund(3_333);
    expect(await fee(charge)).toMatchObject({ amount_refunded: 222, refunded: false });
    await refund();
    expect(await fee(charge)).toMatchObject({ amount_refunded: 333, refunded: true });
    const { data } = await stripe.applicationFees.listRefunds((await fee(charge)).id);
    expect(data.map(({ amount }) => amount)).toEqual([111, 111, 111]);
    expect(await stripe.balanceTransactions.retrieve(data[0]!.balance_transaction as string)).toMatchObject({
      type: 'application_fee_refund',
      amount: -111,
    });
  });

  test('the fee is told on the platform, the refund on the account', async () => {
    const platform = await aListener();
    const connect = await aListener();
    await stripe.webhookEndpoints.create({ url: platform.url, enabled_events: ['*'] });
    await stripe.webhookEndpoints.create({ url: connect.url, enabled_events: ['*'], connect: true });
    const { charge } = await pay({ application_fee_amount: 100 });
    await stripe.refunds.create({ charge, refund_application_fee: true }, account);
    await local.sandbox.deliveries.drained(2_000);
    expect(platform.types()).toEqual(['application_fee.created', 'application_fee.refunded']);
    expect(platform.posted.map(({ body }) => JSON.parse(body).account as unknown)).toEqual([undefined, undefined]);
    expect(connect.types()).toEqual(expect.arrayContaining(['refund.created', 'charge.refunded']));
    expect(connect.types().some((type) => type.startsWith('application_fee'))).toBe(false);
    expect(connect.posted.every(({ body }) => JSON.parse(body).account === account.stripeAccount)).toBe(true);
    await Promise.all([platform.close(), connect.close()]);
  });

  test('asking for a fee that was never taken is refused, and nothing is refunded', async () => {
    const { charge } = await pay();
    expect(await failure(stripe.refunds.create({ charge, refund_application_fee: true }, account))).toMatchObject({
      statusCode: 400,
      message: `Attempting to refund_application_fee on ${charge}, but it has no application fee`,
    });
    expect((await chargeOf(charge)).amount_refunded).toBe(0);
    const own = await pay({}, {});
    expect(
      (await failure(stripe.refunds.create({ charge: own.charge, refund_application_fee: true }))).message,
    ).toMatch(/Only an application generating a fee/);
  });

  test('the platform can give back a fee by itself, at most what is left', async () => {
    const { charge } = await pay({ application_fee_amount: 200 });
    const { id } = await fee(charge);
    const refund = await stripe.applicationFees.createRefund(id, { amount: 150, metadata: { why: 'goodwill' } });
    expect(refund).toMatchObject({ object: 'fee_refund', amount: 150, fee: id, metadata: { why: 'goodwill' } });
    expect(await failure(stripe.applicationFees.createRefund(id, { amount: 51 }))).toMatchObject({ param: 'amount' });
    await stripe.applicationFees.createRefund(id);
    expect((await failure(stripe.applicationFees.createRefund(id))).message).toMatch(/already been refunded/);
    expect(await stripe.applicationFees.updateRefund(id, refund.id, { metadata: { why: '' } })).toMatchObject({
      metadata: {},
    });
    expect(await stripe.applicationFees.retrieveRefund(id, refund.id)).toMatchObject({ metadata: {} });
    expect(await eventTypes({}, 3)).toEqual([
      'application_fee.refunded',
      'application_fee.refunded',
      'application_fee.refund.updated',
    ]);
  });

  test('a refund right after an asynchronous capture finds the fee', async () => {
    const { charge } = await pay({ application_fee_amount: 100, capture_method: 'automatic_async' });
    await stripe.refunds.create({ charge, refund_application_fee: true }, account);
    expect(await fee(charge)).toMatchObject({ refunded: true });
  });
});
