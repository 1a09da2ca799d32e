import Stripe from 'stripe';
import { aStripe, failure, type TestStripe } from './support/stripe.js';

/*
 * What holds for Stripe and for the local Stripe alike. With STRIPE_CONTRACT_KEY=sk_test_… it runs against Stripe itself, in the sandbox that
 * the key belongs to; STRIPE_CONTRACT_ACCOUNT=acct_… names a connected account that can charge there. So a rule that the local Stripe only
 * believes in is found out. Nothing here may use a control, a clock or an id of ours.
 */
const key = process.env['STRIPE_CONTRACT_KEY'];
const realAccount = process.env['STRIPE_CONTRACT_ACCOUNT'];
if (key !== undefined && !/^(sk|rk)_test_/.test(key)) throw new Error('STRIPE_CONTRACT_KEY must be a test key.');
if (key === undefined)
  console.log('STRIPE_CONTRACT_KEY is not set: the contract is checked against the local Stripe only.');
else if (realAccount === undefined)
  console.log('STRIPE_CONTRACT_ACCOUNT is not set: the part about connected accounts is not checked.');

/** Stripe takes seconds for what happens in the background. */
const patienceMs = key === undefined ? 5_000 : 60_000;

let local: TestStripe | null = null;
let stripe: Stripe;
let connected: { stripeAccount: string } | null = null;
const customers: { id: string; on: Stripe.RequestOptions }[] = [];

beforeAll(async () => {
  if (key !== undefined) {
    stripe = new Stripe(key, { maxNetworkRetries: 3, timeout: 30_000, telemetry: false });
    connected = realAccount === undefined ? null : { stripeAccount: realAccount };
    return;
  }
  local = await aStripe();
  stripe = local.stripe;
  connected = await local.connected();
});
afterAll(async () => {
  // Somebody else's sandbox is left as it was found, as far as that goes.
  for (const { id, on } of customers) await stripe.customers.del(id, {}, on).catch(() => undefined);
  await local?.stop();
});

async function aCustomer(params: Stripe.CustomerCreateParams = {}, on: Stripe.RequestOptions = {}) {
  const customer = await stripe.customers.create({ description: 'contract', ...params }, on);
  customers.push({ id: customer.id, on });
  return customer;
}
const withoutRedirects = { enabled: true, allow_redirects: 'never' as const };
const pay = (
  payment_method: string,
  params: Partial<Stripe.PaymentIntentCreateParams> = {},
  on: Stripe.RequestOptions = {},
): Promise<Stripe.PaymentIntent> =>
  stripe.paymentIntents.create(
    {
      amount: 2_000,
      currency: 'usd',
      payment_method,
      confirm: true,
      automatic_payment_methods: withoutRedirects,
      ...params,
    },
    on,
  );
const chargeOf = (intent: Stripe.PaymentIntent): string => {
  const charge = intent.latest_charge!;
  return typeof charge === 'string' ? charge : charge.id;
};

async function eventually<T>(read: () => Promise<T>, test: (value: T) => boolean): Promise<T> {
  for (const end = Date.now() + patienceMs; ;) {
    const value = await read();
    if (test(value)) return value;
    if (Date.now() > end) throw new Error(`It never came to that: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, key === undefined ? 20 : 1_000));
  }
}

describe('requests', () => {
  test('an unknown parameter is refused by name', async () => {
    expect(await failure(stripe.customers.create({ colour: 'red' } as Stripe.CustomerCreateParams))).toMatchObject({
      statusCode: 400,
      type: 'StripeInvalidRequestError',
      code: 'parameter_unknown',
      param: 'colour',
    });
  });

  test('a missing one, too', async () => {
    expect(
      await failure(stripe.paymentIntents.create({ currency: 'usd' } as Stripe.PaymentIntentCreateParams)),
    ).toMatchObject({ statusCode: 400, code: 'parameter_missing', param: 'amount' });
  });

  test('what is not there is a 404 with a code', async () => {
    expect(await failure(stripe.customers.retrieve('cus_contractnone'))).toMatchObject({
      statusCode: 404,
      code: 'resource_missing',
      param: 'id',
    });
  });

  test('payment_method_types belongs to older versions', async () => {
    expect(
      await failure(
        stripe.paymentIntents.create({
          amount: 2_000,
          currency: 'usd',
          payment_method_types: ['card'],
        } as Stripe.PaymentIntentCreateParams),
      ),
    ).toMatchObject({ statusCode: 400, code: 'payment_method_types_no_longer_supported' });
  });

  test('a key replays the first answer, and takes no other parameters', async () => {
    const idempotencyKey = `contract-${Date.now()}-${Math.random()}`;
    const first = await aCustomer({ name: 'once' }, { idempotencyKey });
    const second = await stripe.customers.create({ description: 'contract', name: 'once' }, { idempotencyKey });
    expect(second.id).toBe(first.id);
    expect(second.lastResponse.headers['idempotent-replayed']).toBe('true');
    expect(await failure(stripe.customers.create({ name: 'twice' }, { idempotencyKey }))).toMatchObject({
      statusCode: 400,
      type: 'StripeIdempotencyError',
    });
  });

  test('lists are newest first and page by id', async () => {
    const customer = await aCustomer();
    const made: string[] = [];
    for (const name of ['pm_card_visa', 'pm_card_mastercard', 'pm_card_amex'])
      made.unshift((await stripe.paymentMethods.attach(name, { customer: customer.id })).id);
    const page = await stripe.paymentMethods.list({ customer: customer.id, type: 'card', limit: 2 });
    expect(page).toMatchObject({ has_more: true, object: 'list' });
    expect(page.data.map(({ id }) => id).sort()).toEqual(made.slice(0, 2).sort());
    const next = await stripe.paymentMethods.list({
      customer: customer.id,
      type: 'card',
      limit: 2,
      starting_after: page.data.at(-1)!.id,
    });
    expect(next).toMatchObject({ has_more: false, data: [{ id: made[2] }] });
  });

  test('a property that holds no object cannot be expanded', async () => {
    const { id } = await aCustomer();
    expect((await failure(stripe.customers.retrieve(id, { expand: ['description'] }))).statusCode).toBe(400);
  });
});

describe('customers', () => {
  test('metadata is merged; an empty value removes a key', async () => {
    const { id } = await aCustomer({ metadata: { a: '1', b: '2' } });
    expect((await stripe.customers.update(id, { metadata: { b: '', c: '3' } })).metadata).toEqual({ a: '1', c: '3' });
  });

  test('a deleted one is remembered as deleted', async () => {
    const { id } = await aCustomer();
    expect(await stripe.customers.del(id)).toMatchObject({ id, object: 'customer', deleted: true });
    expect(await stripe.customers.retrieve(id)).toMatchObject({ id, deleted: true });
    expect(await failure(stripe.customers.update(id, { name: 'x' }))).toMatchObject({ code: 'resource_missing' });
  });

  test('a card that the bank declines cannot be attached', async () => {
    const { id } = await aCustomer();
    expect(await failure(stripe.paymentMethods.attach('pm_card_chargeDeclined', { customer: id }))).toMatchObject({
      statusCode: 402,
      type: 'StripeCardError',
      code: 'card_declined',
    });
  });

  test('a card is set up for later and then charged without the customer', async () => {
    const { id } = await aCustomer();
    const setup = await stripe.setupIntents.create({
      customer: id,
      payment_method: 'pm_card_visa',
      confirm: true,
      automatic_payment_methods: withoutRedirects,
    });
    expect(setup).toMatchObject({ status: 'succeeded', usage: 'off_session', customer: id });
    const intent = await pay(setup.payment_method as string, { customer: id, off_session: true });
    expect(intent).toMatchObject({ status: 'succeeded', customer: id });
  });
});

describe('payments', () => {
  test('one that succeeds has a charge, and soon its balance transaction', async () => {
    const intent = await pay('pm_card_visa', { metadata: { order: '1' }, description: 'contract' });
    expect(intent).toMatchObject({
      status: 'succeeded',
      amount_received: 2_000,
      capture_method: 'automatic_async',
      metadata: { order: '1' },
    });
    const settled = await eventually(
      () => stripe.paymentIntents.retrieve(intent.id, { expand: ['latest_charge.balance_transaction'] }),
      ({ latest_charge: charge }) => (charge as Stripe.Charge).balance_transaction !== null,
    );
    const charge = settled.latest_charge as Stripe.Charge;
    expect(charge).toMatchObject({ paid: true, captured: true, refunded: false, amount_captured: 2_000 });
    const transaction = charge.balance_transaction as Stripe.BalanceTransaction;
    expect(transaction).toMatchObject({ type: 'charge', source: charge.id, reporting_category: 'charge' });
    expect(transaction.net).toBe(transaction.amount - transaction.fee);
    expect(transaction.fee_details.reduce((sum, { amount }) => sum + amount, 0)).toBe(transaction.fee);
  });

  test.each([
    ['pm_card_visa_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_visa_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
    ['pm_card_visa_chargeDeclinedLostCard', 'card_declined', 'lost_card'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', undefined],
    ['pm_card_chargeDeclinedIncorrectCvc', 'incorrect_cvc', undefined],
    ['pm_card_chargeDeclinedProcessingError', 'processing_error', undefined],
  ])('%s is declined with %s, and the intent can be tried again', async (method, code, reason) => {
    const error = await failure(pay(method));
    expect(error).toMatchObject({
      statusCode: 402,
      type: 'StripeCardError',
      code,
      ...(reason && { decline_code: reason }),
    });
    const { id } = (error as Stripe.errors.StripeCardError).payment_intent!;
    const intent = await stripe.paymentIntents.retrieve(id);
    expect(intent).toMatchObject({ status: 'requires_payment_method', last_payment_error: { code } });
    expect(await stripe.charges.retrieve(chargeOf(intent))).toMatchObject({ status: 'failed', paid: false });
    expect((await stripe.paymentIntents.confirm(id, { payment_method: 'pm_card_visa' })).status).toBe('succeeded');
  });

  test('an amount below the least is refused', async () => {
    expect(await failure(pay('pm_card_visa', { amount: 10 }))).toMatchObject({ code: 'amount_too_small' });
  });

  test('a card that asks for the customer sends them to a page', async () => {
    const intent = await pay('pm_card_threeDSecure2Required', {
      automatic_payment_methods: { enabled: true },
      return_url: 'https://example.com/back',
    });
    expect(intent).toMatchObject({ status: 'requires_action', next_action: { type: 'redirect_to_url' } });
    expect(intent.next_action!.redirect_to_url!.return_url).toBe('https://example.com/back');
    expect((await stripe.paymentIntents.cancel(intent.id)).status).toBe('canceled');
  });

  test('a hold is captured in part; the rest is released', async () => {
    const held = await pay('pm_card_visa', { capture_method: 'manual' });
    expect(held).toMatchObject({ status: 'requires_capture', amount_capturable: 2_000, amount_received: 0 });
    const captured = await stripe.paymentIntents.capture(held.id, {
      amount_to_capture: 1_500,
      expand: ['latest_charge'],
    });
    expect(captured).toMatchObject({
      status: 'succeeded',
      amount_received: 1_500,
      amount_capturable: 0,
      latest_charge: { captured: true, amount: 2_000, amount_captured: 1_500, amount_refunded: 500, refunded: false },
    });
    expect(await failure(stripe.paymentIntents.capture(held.id))).toMatchObject({
      code: 'payment_intent_unexpected_state',
    });
  });

  test('what is canceled stays so', async () => {
    const { id } = await stripe.paymentIntents.create({ amount: 2_000, currency: 'usd' });
    expect(await stripe.paymentIntents.cancel(id, { cancellation_reason: 'abandoned' })).toMatchObject({
      status: 'canceled',
      cancellation_reason: 'abandoned',
    });
    expect(await failure(stripe.paymentIntents.cancel(id))).toMatchObject({ code: 'payment_intent_unexpected_state' });
  });

  test('the events tell it in this order', async () => {
    const { id } = await pay('pm_card_visa');
    const own = await eventually(
      async () =>
        (
          await stripe.events.list({
            types: ['payment_intent.created', 'charge.succeeded', 'payment_intent.succeeded'],
            limit: 30,
          })
        ).data.filter(({ data }) => {
          const object = data.object as { id?: string; payment_intent?: string };
          return object.id === id || object.payment_intent === id;
        }),
      (events) => events.length === 3,
    );
    expect(own.map(({ type }) => type).sort()).toEqual([
      'charge.succeeded',
      'payment_intent.created',
      'payment_intent.succeeded',
    ]);
    expect(own.every(({ livemode, request }) => !livemode && request !== undefined)).toBe(true);
  });
});

describe('refunds', () => {
  test('parts add up to the whole and not beyond', async () => {
    const intent = await pay('pm_card_visa');
    const charge = chargeOf(intent);
    const first = await stripe.refunds.create({ payment_intent: intent.id, amount: 500, reason: 'duplicate' });
    expect(first).toMatchObject({ amount: 500, charge, status: 'succeeded', reason: 'duplicate' });
    expect(await failure(stripe.refunds.create({ charge, amount: 1_501 }))).toMatchObject({
      statusCode: 400,
      param: 'amount',
      message: 'Refund amount ($15.01) is greater than unrefunded amount on charge ($15.00)',
    });
    expect((await stripe.refunds.create({ charge })).amount).toBe(1_500);
    expect(await failure(stripe.refunds.create({ charge }))).toMatchObject({
      code: 'charge_already_refunded',
      message: `Charge ${charge} has already been refunded.`,
    });
    expect(await stripe.charges.retrieve(charge, { expand: ['refunds'] })).toMatchObject({
      refunded: true,
      amount_refunded: 2_000,
      refunds: { data: [{ amount: 1_500 }, { amount: 500 }] },
    });
  });

  test('one of the two must be named', async () => {
    expect((await failure(stripe.refunds.create({}))).message).toBe(
      'One of the following params should be provided for this request: payment_intent or charge.',
    );
  });

  test('a card refund that has succeeded cannot be canceled', async () => {
    const { id } = await stripe.refunds.create({ payment_intent: (await pay('pm_card_visa')).id });
    expect((await failure(stripe.refunds.cancel(id))).statusCode).toBe(400);
  });

  test('there is no fee to give back where none was taken', async () => {
    const intent = await pay('pm_card_visa');
    expect(
      (await failure(stripe.refunds.create({ payment_intent: intent.id, refund_application_fee: true }))).statusCode,
    ).toBe(400);
  });
});

describe('disputes', () => {
  async function disputed(method: string): Promise<Stripe.Dispute> {
    const intent = await pay(method);
    const found = await eventually(
      () => stripe.disputes.list({ payment_intent: intent.id }),
      ({ data }) => data.length > 0,
    );
    return found.data[0]!;
  }
  const status = (id: string, wanted: string) =>
    eventually(
      () => stripe.disputes.retrieve(id),
      (dispute) => dispute.status === wanted,
    );

  test('a chargeback cannot be refunded, and is won with winning evidence', async () => {
    const dispute = await disputed('pm_card_createDispute');
    expect(dispute).toMatchObject({
      status: 'needs_response',
      reason: 'fraudulent',
      amount: 2_000,
      is_charge_refundable: false,
      evidence_details: { has_evidence: false, submission_count: 0 },
      payment_method_details: { card: { case_type: 'chargeback', network_reason_code: '10.4' } },
    });
    expect(dispute.balance_transactions).toMatchObject([{ type: 'adjustment', reporting_category: 'dispute' }]);
    expect(await failure(stripe.refunds.create({ charge: dispute.charge as string }))).toMatchObject({
      code: 'charge_disputed',
    });
    const submitted = await stripe.disputes.update(dispute.id, {
      evidence: { uncategorized_text: 'winning_evidence' },
    });
    expect(submitted).toMatchObject({
      status: 'under_review',
      evidence_details: { has_evidence: true, submission_count: 1 },
    });
    const won = await status(dispute.id, 'won');
    expect(won.balance_transactions).toHaveLength(2);
    expect((await failure(stripe.disputes.close(dispute.id))).message).toBe('This dispute is already closed');
  });

  test('one that is accepted is lost', async () => {
    const dispute = await disputed('pm_card_createDisputeProductNotReceived');
    expect(dispute.reason).toBe('product_not_received');
    expect((await stripe.disputes.close(dispute.id)).status).toBe('lost');
  });

  test('an inquiry takes nothing until it is escalated', async () => {
    const inquiry = await disputed('pm_card_createDisputeInquiry');
    expect(inquiry).toMatchObject({
      status: 'warning_needs_response',
      is_charge_refundable: true,
      balance_transactions: [],
    });
    await stripe.disputes.update(inquiry.id, { evidence: { uncategorized_text: 'escalate_inquiry_evidence' } });
    expect((await status(inquiry.id, 'needs_response')).balance_transactions).toHaveLength(1);
  });
});

describe('connected accounts', () => {
  test('their objects are theirs alone', async () => {
    if (!connected) return;
    const { id } = await aCustomer({}, connected);
    expect(await failure(stripe.customers.retrieve(id))).toMatchObject({ code: 'resource_missing' });
    expect((await stripe.customers.retrieve(id, {}, connected)).id).toBe(id);
  });

  test('an application fee goes to the platform, and back in proportion with the flag', async () => {
    if (!connected) return;
    const intent = await pay('pm_card_visa', { application_fee_amount: 200 }, connected);
    const charge = await eventually(
      () => stripe.charges.retrieve(chargeOf(intent), {}, connected!),
      ({ application_fee: fee }) => fee !== null,
    );
    const fee = charge.application_fee as string;
    expect(await stripe.applicationFees.retrieve(fee)).toMatchObject({
      amount: 200,
      charge: charge.id,
      refunded: false,
    });
    await stripe.refunds.create({ charge: charge.id, amount: 500, refund_application_fee: true }, connected);
    expect(await stripe.applicationFees.retrieve(fee)).toMatchObject({ amount_refunded: 50 });
    await stripe.refunds.create({ charge: charge.id, refund_application_fee: true }, connected);
    expect(await stripe.applicationFees.retrieve(fee)).toMatchObject({ amount_refunded: 200, refunded: true });
  });

  test('without a fee the flag is refused', async () => {
    if (!connected) return;
    const intent = await pay('pm_card_visa', {}, connected);
    expect(
      (await failure(stripe.refunds.create({ payment_intent: intent.id, refund_application_fee: true }, connected)))
        .message,
    ).toBe(`Attempting to refund_application_fee on ${chargeOf(intent)}, but it has no application fee`);
  });
});
