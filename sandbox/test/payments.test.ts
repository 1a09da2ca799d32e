import type Stripe from 'stripe';
import { aStripe, failure, type TestStripe, type Loose } from './support/stripe.js';

let local: TestStripe;
let stripe: Stripe;
let account: { stripeAccount: string };
beforeAll(async () => {
  local = await aStripe();
  ({ stripe } = local);
  account = await local.connected({
    capabilities: { us_bank_account_ach_payments: { requested: true }, card_payments: { requested: true } },
  });
});
afterAll(() => local.stop());

const back = 'https://shop.test/back';
const pay = (payment_method: string, more: Partial<Stripe.PaymentIntentCreateParams> = {}, options: object = account) =>
  stripe.paymentIntents.create(
    { amount: 10_000, currency: 'usd', payment_method, confirm: true, return_url: back, ...more },
    options,
  );
const settled = async (charge: string, options = account) => {
  for (let i = 0; i < 100; i++) {
    const found = await stripe.charges.retrieve(charge, { expand: ['balance_transaction'] }, options);
    if (found.balance_transaction) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  throw new Error('never settled');
};
const eventsOf = async (since: string, options: object = account) => {
  const all = await stripe.events.list({ limit: 100, ending_before: since }, options);
  // What Stripe works out about the account in the background may come in between.
  return all.data
    .map(({ type }) => type)
    .filter((type) => !/^(account|capability)\./.test(type))
    .reverse();
};
const lastEvent = async (options: object = account) => (await stripe.events.list({ limit: 1 }, options)).data[0]!.id;

describe('a payment', () => {
  test('100.00 with a fee of 2.50 leaves 94.30, booked a moment later', async () => {
    const since = await lastEvent();
    const intent = await pay('pm_card_visa', { application_fee_amount: 250, expand: ['latest_charge'] });
    expect(intent).toMatchObject({ status: 'succeeded', amount_received: 10_000, capture_method: 'automatic_async' });
    expect(intent.latest_charge).toMatchObject({
      balance_transaction: null,
      application_fee: null,
      paid: true,
      captured: true,
    });
    const charge = await settled((intent.latest_charge as Stripe.Charge).id);
    expect(charge.balance_transaction).toMatchObject({ amount: 10_000, fee: 570, net: 9430, type: 'charge' });
    expect(
      (charge.balance_transaction as Stripe.BalanceTransaction).fee_details.map(({ amount, type }) => [type, amount]),
    ).toEqual([
      ['application_fee', 250],
      ['stripe_fee', 320],
    ]);
    expect(await eventsOf(since)).toEqual([
      'payment_intent.created',
      'charge.succeeded',
      'payment_intent.succeeded',
      'charge.updated',
    ]);
    const fee = await stripe.applicationFees.retrieve(charge.application_fee as string);
    expect(fee).toMatchObject({ account: account.stripeAccount, amount: 250, charge: charge.id });
    expect(
      (await stripe.events.list({ type: 'application_fee.created', limit: 1 })).data[0]!.data.object,
    ).toMatchObject({ id: fee.id });
  });

  test('the payload of an event is frozen when it is made', async () => {
    const intent = await pay('pm_card_visa');
    await settled(intent.latest_charge as string);
    const { data } = await stripe.events.list({ types: ['charge.succeeded', 'charge.updated'], limit: 2 }, account);
    const [updated, succeeded] = data as Stripe.ChargeUpdatedEvent[];
    expect(succeeded!.data.object.balance_transaction).toBeNull();
    expect(updated!.data.object.balance_transaction).not.toBeNull();
    expect(updated!.data.previous_attributes).toMatchObject({ balance_transaction: null });
  });

  test('naming a test method makes a new one each time, and it can be used once without a customer', async () => {
    const a = await pay('pm_card_visa');
    expect(a.payment_method).not.toBe('pm_card_visa');
    expect((await failure(pay(a.payment_method as string))).message).toContain('previously used');
  });

  test('without a return URL a server cannot confirm what may redirect', async () => {
    expect((await failure(pay('pm_card_visa', { return_url: undefined }))).message).toContain('return_url');
    expect(
      (
        await pay('pm_card_visa', {
          return_url: undefined,
          automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        })
      ).status,
    ).toBe('succeeded');
  });

  test('payment_method_types is refused since 2026-09-30 and taken before', async () => {
    const old = { payment_method_types: ['card'] } as object;
    expect(await failure(pay('pm_card_visa', old))).toMatchObject({
      code: 'payment_method_types_no_longer_supported',
      param: 'payment_method_types',
    });
    expect((await pay('pm_card_visa', old, { ...account, apiVersion: '2025-09-30.clover' })).status).toBe('succeeded');
  });

  test('who pays Stripe was fixed with the account', async () => {
    const express = await local.connected({
      controller: {
        fees: { payer: 'application' },
        losses: { payments: 'application' },
        stripe_dashboard: { type: 'express' },
      },
      capabilities: { card_payments: { requested: true } },
    });
    const charge = await settled((await pay('pm_card_visa', {}, express)).latest_charge as string, express);
    expect(charge.balance_transaction).toMatchObject({ fee: 0, net: 10_000 });
    expect((await stripe.balanceTransactions.list({ type: 'stripe_fee', limit: 1 })).data[0]).toMatchObject({
      amount: -320,
    });
  });
});

describe('what is refused', () => {
  test.each([
    [{ amount: 0 }, 'parameter_invalid_integer', 'amount'],
    [{ amount: -5 }, 'parameter_invalid_integer', 'amount'],
    [{ amount: 49 }, 'amount_too_small', 'amount'],
    [{ amount: 100_000_000 }, 'amount_too_large', 'amount'],
    [{ amount: 1001, currency: 'kwd' }, 'parameter_invalid_integer', 'amount'],
    [{ amount: 1050, currency: 'isk' }, 'parameter_invalid_integer', 'amount'],
    [{ currency: 'xxx' }, 'parameter_invalid_string_enum', 'currency'],
    [{ application_fee_amount: 10_000 }, undefined, 'application_fee_amount'],
    [{ application_fee_amount: 0 }, 'parameter_invalid_integer', 'application_fee_amount'],
    [{ customer: 'cus_nobody' }, 'resource_missing', 'customer'],
    [{ payment_method: 'pm_nobody' }, 'resource_missing', 'payment_method'],
  ])('%j', async (change, code, param) => {
    const before = (await stripe.paymentIntents.list({ limit: 1 }, account)).data[0]?.id;
    const error = await failure(stripe.paymentIntents.create({ amount: 10_000, currency: 'usd', ...change }, account));
    expect(error).toMatchObject({ param });
    expect(error.code).toBe(code);
    expect((await stripe.paymentIntents.list({ limit: 1 }, account)).data[0]?.id).toBe(before);
  });

  test('a currency the account cannot take, and a fee on the platform itself', async () => {
    const brazil = await local.connected({ country: 'BR' });
    expect((await failure(stripe.paymentIntents.create({ amount: 1000, currency: 'usd' }, brazil))).param).toBe(
      'currency',
    );
    expect(
      (await failure(stripe.paymentIntents.create({ amount: 1000, currency: 'usd', application_fee_amount: 1 }))).param,
    ).toBe('application_fee_amount');
  });

  test('zero- and three-decimal currencies are taken as they are', async () => {
    expect((await stripe.paymentIntents.create({ amount: 500, currency: 'jpy' }, account)).amount).toBe(500);
    expect((await stripe.paymentIntents.create({ amount: 1230, currency: 'bhd' }, account)).amount).toBe(1230);
  });
});

describe('declines', () => {
  test.each([
    ['pm_card_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_visa_chargeDeclined', 'card_declined', 'generic_decline'],
    ['pm_card_visa_chargeDeclinedInsufficientFunds', 'card_declined', 'insufficient_funds'],
    ['pm_card_visa_chargeDeclinedLostCard', 'card_declined', 'lost_card'],
    ['pm_card_visa_chargeDeclinedStolenCard', 'card_declined', 'stolen_card'],
    ['pm_card_chargeDeclinedExpiredCard', 'expired_card', 'expired_card'],
  ])('%s', async (method, code, decline_code) => {
    const since = await lastEvent();
    const error = await failure(pay(method));
    expect(error).toMatchObject({ type: 'StripeCardError', statusCode: 402, code, decline_code });
    const intent = await stripe.paymentIntents.retrieve(
      (error.raw as { payment_intent: { id: string } }).payment_intent.id,
      { expand: ['latest_charge'] },
      account,
    );
    expect(intent).toMatchObject({
      status: 'requires_payment_method',
      payment_method: null,
      last_payment_error: { code, decline_code, type: 'card_error' },
    });
    expect(intent.latest_charge).toMatchObject({
      status: 'failed',
      paid: false,
      failure_code: code,
      balance_transaction: null,
    });
    // Earlier payments may still be booked meanwhile.
    expect((await eventsOf(since)).filter((type) => type !== 'charge.updated')).toEqual([
      'payment_intent.created',
      'charge.failed',
      'payment_intent.payment_failed',
    ]);
    // The same intent can be paid with another method.
    expect(
      (await stripe.paymentIntents.confirm(intent.id, { payment_method: 'pm_card_visa', return_url: back }, account))
        .status,
    ).toBe('succeeded');
  });

  test('a declining card cannot be attached; one that fails later can', async () => {
    const customer = await stripe.customers.create({}, account);
    expect(
      (await failure(stripe.paymentMethods.attach('pm_card_chargeDeclined', { customer: customer.id }, account)))
        .statusCode,
    ).toBe(402);
    const method = await stripe.paymentMethods.attach('pm_card_chargeCustomerFail', { customer: customer.id }, account);
    expect((await failure(pay(method.id, { customer: customer.id }))).code).toBe('card_declined');
  });

  test('a saved card that its owner reports lost is declined from then on, until it is found', async () => {
    const customer = await stripe.customers.create({}, account);
    const { id } = await stripe.paymentMethods.attach('pm_card_visa', { customer: customer.id }, account);
    const charge = () => pay(id, { customer: customer.id, off_session: true, confirm: true });
    const declines = (code: string) =>
      local.control(`/accounts/${account.stripeAccount}/payment_methods/${id}/decline`, { code });
    expect((await charge()).status).toBe('succeeded');
    for (const [reason, code, advice] of [
      ['lost_card', 'card_declined', 'do_not_try_again'],
      ['expired_card', 'expired_card', 'confirm_card_data'],
      ['do_not_honor', 'card_declined', 'try_again_later'],
    ]) {
      await declines(reason!);
      const { raw, ...error } = await failure(charge());
      expect(error).toMatchObject({ statusCode: 402, code, decline_code: reason });
      expect(raw).toMatchObject({ advice_code: advice });
    }
    await declines('');
    expect((await charge()).status).toBe('succeeded');
    await expect(declines('bad_weather')).rejects.toThrow('code');
  });
});

describe('3-D Secure', () => {
  test('the customer passes on the hosted page and comes back', async () => {
    const since = await lastEvent();
    const intent = await pay('pm_card_threeDSecure2Required');
    expect(intent).toMatchObject({
      status: 'requires_action',
      next_action: { type: 'redirect_to_url', redirect_to_url: { return_url: back } },
    });
    const url = intent.next_action!.redirect_to_url!.url!;
    expect(await (await fetch(url)).text()).toContain('Complete authentication');
    const done = await fetch(url, {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams({ result: 'succeed' }),
    });
    const location = new URL(done.headers.get('location')!);
    expect(Object.fromEntries(location.searchParams)).toEqual({
      payment_intent: intent.id,
      payment_intent_client_secret: intent.client_secret,
      redirect_status: 'succeeded',
    });
    expect((await fetch(url)).status).toBe(404);
    const paid = await stripe.paymentIntents.retrieve(intent.id, { expand: ['latest_charge'] }, account);
    expect((paid.latest_charge as Stripe.Charge).payment_method_details!.card!.three_d_secure).toMatchObject({
      result: 'authenticated',
    });
    // An earlier test's charge may be booked meanwhile.
    expect((await eventsOf(since)).filter((type) => type !== 'charge.updated').slice(0, 4)).toEqual([
      'payment_intent.created',
      'payment_intent.requires_action',
      'charge.succeeded',
      'payment_intent.succeeded',
    ]);
  });

  test('a failed challenge leaves no charge', async () => {
    const intent = await pay('pm_card_authenticationRequired');
    await local.control(`/payment_intents/${intent.id}/authenticate`, { result: 'fail' });
    expect(await stripe.paymentIntents.retrieve(intent.id, {}, account)).toMatchObject({
      status: 'requires_payment_method',
      latest_charge: null,
      last_payment_error: { code: 'payment_intent_authentication_failure' },
    });
  });

  test('off session it is a decline that asks for authentication', async () => {
    expect(await failure(pay('pm_card_authenticationRequired', { off_session: true }))).toMatchObject({
      code: 'authentication_required',
      statusCode: 402,
    });
  });

  test('a card that was set up for later needs no customer any more', async () => {
    const customer = await stripe.customers.create({}, account);
    const setup = await stripe.setupIntents.create(
      {
        customer: customer.id,
        payment_method: 'pm_card_authenticationRequiredOnSetup',
        confirm: true,
        return_url: back,
      },
      account,
    );
    expect(setup.status).toBe('requires_action');
    await local.control(`/setup_intents/${setup.id}/authenticate`, { result: 'succeed' });
    const done = await stripe.setupIntents.retrieve(
      setup.id,
      { expand: ['payment_method', 'latest_attempt'] },
      account,
    );
    expect(done).toMatchObject({
      status: 'succeeded',
      payment_method: { customer: customer.id },
      latest_attempt: { status: 'succeeded' },
    });
    expect(
      (await pay((done.payment_method as Stripe.PaymentMethod).id, { customer: customer.id, off_session: true }))
        .status,
    ).toBe('succeeded');
  });
});

describe('in the browser', () => {
  const browser = (path: string, form: Record<string, string>) =>
    fetch(`${local.url}${path}`, {
      method: 'POST',
      body: new URLSearchParams({ key: 'pk_test_local_x', _stripe_account: account.stripeAccount, ...form }),
    });
  const card = {
    'payment_method_data[type]': 'card',
    'payment_method_data[card][exp_month]': '12',
    'payment_method_data[card][exp_year]': '34',
    'payment_method_data[card][cvc]': '123',
  };

  test('an intent is confirmed with the publishable key and its client secret, from any origin', async () => {
    const intent = await stripe.paymentIntents.create(
      { amount: 2000, currency: 'usd', metadata: { secret: 'no' } },
      account,
    );
    const response = await browser(`/v1/payment_intents/${intent.id}/confirm`, {
      client_secret: intent.client_secret!,
      ...card,
      'payment_method_data[card][number]': '4242424242424242',
    });
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    const body = (await response.json()) as Loose;
    expect(body).toMatchObject({ id: intent.id, status: 'succeeded' });
    expect(body).not.toHaveProperty('metadata');
  });

  test('without the right secret, or for anything else, it is refused', async () => {
    const intent = await stripe.paymentIntents.create({ amount: 2000, currency: 'usd' }, account);
    expect((await browser(`/v1/payment_intents/${intent.id}/confirm`, card)).status).toBe(401);
    expect(
      (await browser(`/v1/payment_intents/${intent.id}/confirm`, { client_secret: 'wrong', ...card })).status,
    ).toBe(400);
    expect((await browser('/v1/customers', {})).status).toBe(401);
  });

  test('a decline is an answer the browser can read, a wrong number too', async () => {
    const intent = await stripe.paymentIntents.create({ amount: 2000, currency: 'usd' }, account);
    const confirm = async (number: string) => {
      const response = await browser(`/v1/payment_intents/${intent.id}/confirm`, {
        client_secret: intent.client_secret!,
        ...card,
        'payment_method_data[card][number]': number,
      });
      return ((await response.json()) as Loose).error.code as string;
    };
    expect(await confirm('4000000000000002')).toBe('card_declined');
    expect(await confirm('4242424242424241')).toBe('incorrect_number');
  });
});

describe('holds, cancellations, bank debits', () => {
  test('a hold is captured in part, the rest goes back', async () => {
    const intent = await pay('pm_card_visa', { capture_method: 'manual', application_fee_amount: 100 });
    expect(intent).toMatchObject({ status: 'requires_capture', amount_capturable: 10_000, amount_received: 0 });
    expect((await failure(stripe.paymentIntents.capture(intent.id, { amount_to_capture: 10_001 }, account))).code).toBe(
      'amount_too_large',
    );
    const captured = await stripe.paymentIntents.capture(
      intent.id,
      { amount_to_capture: 4000, expand: ['latest_charge.balance_transaction'] },
      account,
    );
    expect(captured).toMatchObject({ status: 'succeeded', amount_received: 4000, amount_capturable: 0 });
    expect((captured.latest_charge as Stripe.Charge).balance_transaction).toMatchObject({
      amount: 4000,
      net: 4000 - 100 - 146,
    });
    expect((await failure(stripe.paymentIntents.capture(intent.id, {}, account))).code).toBe(
      'payment_intent_unexpected_state',
    );
  });

  test('a hold ends by itself after seven days', async () => {
    const intent = await pay('pm_card_visa', { capture_method: 'manual' });
    await local.control('/advance', { seconds: 7 * 86_400 + 1 });
    expect(await stripe.paymentIntents.retrieve(intent.id, {}, account)).toMatchObject({
      status: 'canceled',
      cancellation_reason: 'automatic',
    });
  });

  test('succeeded and canceled are final', async () => {
    const paid = await pay('pm_card_visa');
    for (const work of [
      stripe.paymentIntents.cancel(paid.id, {}, account),
      stripe.paymentIntents.confirm(paid.id, { return_url: back }, account),
      stripe.paymentIntents.update(paid.id, { amount: 1 }, account),
    ]) {
      expect((await failure(work)).code).toMatch(/payment_intent_unexpected_state/);
    }
    const open = await stripe.paymentIntents.create({ amount: 1000, currency: 'usd' }, account);
    const canceled = await stripe.paymentIntents.cancel(open.id, { cancellation_reason: 'abandoned' }, account);
    expect(canceled).toMatchObject({ status: 'canceled', cancellation_reason: 'abandoned' });
    expect((await failure(stripe.paymentIntents.cancel(open.id, {}, account))).code).toBe(
      'payment_intent_unexpected_state',
    );
  });

  test.each([
    ['pm_usBankAccount_success', 'succeeded', 'succeeded'],
    ['pm_usBankAccount_accountClosed', 'requires_payment_method', 'failed'],
  ])('%s is processing for days, then %s', async (method, status, chargeStatus) => {
    const mandate_data = { customer_acceptance: { type: 'offline' as const } };
    const intent = await pay(method, { mandate_data, expand: ['latest_charge'] });
    expect(intent).toMatchObject({ status: 'processing', latest_charge: { status: 'pending', paid: false } });
    await local.control('/advance', { seconds: 5 * 86_400 });
    expect(await stripe.paymentIntents.retrieve(intent.id, { expand: ['latest_charge'] }, account)).toMatchObject({
      status,
      latest_charge: { status: chargeStatus },
    });
  });

  test('money becomes available after two days, and stays there when payouts are made by hand', async () => {
    const own = await local.connected({ settings: { payouts: { schedule: { interval: 'manual' } } } });
    const { latest_charge: charge } = await pay('pm_card_visa', {}, own);
    await settled(charge as string, own);
    expect(await stripe.balance.retrieve({}, own)).toMatchObject({
      available: [{ amount: 0 }],
      pending: [{ amount: 9680, currency: 'usd' }],
    });
    await local.control('/advance', { seconds: 2 * 86_400 });
    expect(await stripe.balance.retrieve({}, own)).toMatchObject({
      available: [{ amount: 9680 }],
      pending: [{ amount: 0 }],
    });
  });
});

describe('customers and methods', () => {
  test('a customer keeps methods, has a default, and loses them when deleted', async () => {
    const customer = await stripe.customers.create({ email: 'c@x.test' }, account);
    const method = await stripe.paymentMethods.attach('pm_card_mastercard', { customer: customer.id }, account);
    const updated = await stripe.customers.update(
      customer.id,
      { invoice_settings: { default_payment_method: method.id } },
      account,
    );
    expect(updated.invoice_settings.default_payment_method).toBe(method.id);
    expect((await stripe.customers.listPaymentMethods(customer.id, {}, account)).data.map(({ id }) => id)).toEqual([
      method.id,
    ]);
    const detached = await stripe.paymentMethods.detach(method.id, {}, account);
    expect(detached.customer).toBeNull();
    expect((await stripe.customers.retrieve(customer.id, {}, account)) as Stripe.Customer).toMatchObject({
      invoice_settings: { default_payment_method: null },
    });
    expect(
      (await failure(stripe.paymentMethods.attach(method.id, { customer: customer.id }, account))).statusCode,
    ).toBe(400);
    expect(await stripe.customers.del(customer.id, {}, account)).toMatchObject({ deleted: true });
    expect(await stripe.customers.retrieve(customer.id, {}, account)).toMatchObject({ deleted: true });
  });

  test("another customer's method cannot pay", async () => {
    const [a, b] = [await stripe.customers.create({}, account), await stripe.customers.create({}, account)];
    const method = await stripe.paymentMethods.attach('pm_card_visa', { customer: a.id }, account);
    expect((await failure(pay(method.id, { customer: b.id }))).statusCode).toBe(400);
    expect((await failure(pay(method.id))).statusCode).toBe(400);
  });

  test('setup_future_usage keeps the method with the customer', async () => {
    const customer = await stripe.customers.create({}, account);
    const intent = await pay('pm_card_visa', { customer: customer.id, setup_future_usage: 'off_session' });
    expect((await stripe.paymentMethods.retrieve(intent.payment_method as string, {}, account)).customer).toBe(
      customer.id,
    );
  });

  test('a declined setup says so', async () => {
    const intent = await stripe.setupIntents.create({}, account);
    const error = await failure(
      stripe.setupIntents.confirm(intent.id, { payment_method: 'pm_card_chargeDeclined', return_url: back }, account),
    );
    expect(error).toMatchObject({ statusCode: 402, code: 'card_declined' });
    expect(await stripe.setupIntents.retrieve(intent.id, {}, account)).toMatchObject({
      status: 'requires_payment_method',
      last_setup_error: { code: 'card_declined' },
    });
  });
});
