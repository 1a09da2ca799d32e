import type Stripe from 'stripe';
import { aStripe, failure, type TestStripe } from './support/stripe.js';

let local: TestStripe;
let stripe: Stripe;
const day = 86_400;
beforeEach(async () => {
  local = await aStripe();
  stripe = local.stripe;
});
afterEach(() => local.stop());

const pay = (amount: number, on?: Stripe.RequestOptions, params: Partial<Stripe.PaymentIntentCreateParams> = {}) =>
  stripe.paymentIntents.create(
    {
      amount,
      currency: 'usd',
      payment_method: 'pm_card_visa',
      confirm: true,
      capture_method: 'automatic',
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      ...params,
    },
    on,
  );
const pass = (days: number) => local.control('/advance', { seconds: days * day });
const manual = () => local.connected({ settings: { payouts: { schedule: { interval: 'manual' } } } });
const bank = (account_number: string) => ({
  external_account: {
    object: 'bank_account' as const,
    country: 'US',
    currency: 'usd',
    routing_number: '110000000',
    account_number,
  },
});
const payoutEvents = async (on: Stripe.RequestOptions): Promise<string[]> =>
  (await stripe.events.list({ type: 'payout.*', limit: 100 }, on)).data.map(({ type }) => type).reverse();

test('onboarding leaves a bank account', async () => {
  const account = await local.connected();
  const { external_accounts: external, payouts_enabled } = await stripe.accounts.retrieve(account.stripeAccount);
  expect(payouts_enabled).toBe(true);
  expect(external!.data).toMatchObject([
    { object: 'bank_account', last4: '6789', currency: 'usd', default_for_currency: true, status: 'new' },
  ]);
  expect((await stripe.events.list({ type: 'account.external_account.created' }, account)).data).toHaveLength(1);
});

describe('daily payouts', () => {
  test('what became available goes out at midnight, with the list of what is in it', async () => {
    const account = await local.connected();
    await pay(10_000, account);
    await pay(5_000, account);
    const refunded = await pay(1_000, account);
    await stripe.refunds.create({ payment_intent: refunded.id }, account);
    await pass(2);
    const [payout] = (await stripe.payouts.list({}, account)).data;
    // 2.9 % + 30 of each of the three, and the refund of the third, whose fee is not given back.
    const net = 10_000 - 320 + 5_000 - 175 - 59;
    expect(payout).toMatchObject({
      amount: net,
      automatic: true,
      currency: 'usd',
      method: 'standard',
      type: 'bank_account',
      status: 'in_transit',
      reconciliation_status: expect.stringMatching(/in_progress|completed/) as unknown,
    });
    expect(payout!.created % day).toBe(0);
    const inside = await stripe.balanceTransactions.list({ payout: payout!.id, limit: 100 }, account);
    expect(inside.data.map(({ type }) => type).sort()).toEqual(['charge', 'charge', 'charge', 'payout', 'refund']);
    expect(inside.data.reduce((sum, row) => sum + row.net, 0)).toBe(0);
    expect((await stripe.balance.retrieve({}, account)).available[0]!.amount).toBe(0);
    await pass(1);
    expect(await stripe.payouts.retrieve(payout!.id, {}, account)).toMatchObject({
      status: 'paid',
      reconciliation_status: 'completed',
      trace_id: { status: 'supported' },
    });
    expect(await payoutEvents(account)).toEqual([
      'payout.created',
      'payout.reconciliation_completed',
      'payout.updated',
      'payout.paid',
    ]);
    expect((await stripe.events.list({ type: 'balance.available' }, account)).data).toHaveLength(1);
    await pass(3);
    expect((await stripe.payouts.list({}, account)).data).toHaveLength(1);
  });

  test('a negative balance is made up by later payments first', async () => {
    const account = await local.connected();
    const { latest_charge: charge } = await pay(10_000, account, { payment_method: 'pm_card_createDispute' });
    await stripe.charges.retrieve(charge as string, {}, account);
    await pass(2);
    expect((await stripe.balance.retrieve({}, account)).available[0]!.amount).toBe(-1_820);
    expect((await stripe.payouts.list({}, account)).data).toEqual([]);
    await pay(10_000, account);
    await pass(2);
    expect((await stripe.payouts.list({}, account)).data).toMatchObject([{ amount: 9_680 - 1_820 }]);
  });

  test.each([
    ['weekly', { interval: 'weekly' as const, weekly_anchor: 'wednesday' as const }],
    ['monthly', { interval: 'monthly' as const, monthly_anchor: 31 }],
  ])('a %s schedule waits for its day', async (_name, schedule) => {
    const account = await local.connected({ settings: { payouts: { schedule } } });
    await pay(1_000, account);
    await pass(35);
    const { data } = await stripe.payouts.list({}, account);
    expect(data).toHaveLength(1);
    const date = new Date(data[0]!.created * 1000);
    const tomorrow = new Date(date.getTime() + day * 1000);
    expect(schedule.interval === 'weekly' ? date.getUTCDay() === 3 : tomorrow.getUTCDate() === 1).toBe(true);
  });

  test('application fees arrive on the platform and are paid out there', async () => {
    const account = await local.connected();
    await pay(10_000, account, { application_fee_amount: 500 });
    expect((await stripe.balance.retrieve()).pending[0]!.amount).toBe(500);
    await pass(2);
    expect((await stripe.payouts.list()).data).toMatchObject([{ amount: 500, automatic: true }]);
    expect((await stripe.payouts.list({}, account)).data).toMatchObject([{ amount: 10_000 - 320 - 500 }]);
  });

  test('a bank account that does not exist sends the money back and is not tried again until it is replaced', async () => {
    const account = await local.connected();
    await stripe.accounts.update(account.stripeAccount, bank('000111111116'));
    await pay(10_000, account);
    await pass(3);
    const [payout] = (
      await stripe.payouts.list({ expand: ['data.failure_balance_transaction', 'data.destination'] }, account)
    ).data;
    expect(payout).toMatchObject({
      status: 'failed',
      failure_code: 'no_account',
      failure_balance_transaction: { type: 'payout_failure', amount: 9_680 },
      destination: { object: 'bank_account', status: 'errored' },
    });
    expect((await stripe.balance.retrieve({}, account)).available[0]!.amount).toBe(9_680);
    expect(await payoutEvents(account)).toContain('payout.failed');
    await pay(1_000, account);
    await pass(3);
    expect((await stripe.payouts.list({}, account)).data).toHaveLength(1);
    await stripe.accounts.update(account.stripeAccount, bank('000123456789'));
    await pay(1_000, account);
    await pass(3);
    expect((await stripe.payouts.list({ status: 'paid' }, account)).data).toMatchObject([{ amount: 9_680 + 2 * 941 }]);
  });
});

describe('payouts by hand', () => {
  test('take what is available, never more; they leave at midnight and arrive a day later', async () => {
    const account = await manual();
    await pay(10_000, account, { payment_method: 'pm_card_bypassPending' });
    expect(await failure(stripe.payouts.create({ amount: 9_681, currency: 'usd' }, account))).toMatchObject({
      code: 'balance_insufficient',
    });
    const payout = await stripe.payouts.create({ amount: 4_000, currency: 'usd', metadata: { a: 'b' } }, account);
    expect(payout).toMatchObject({ status: 'pending', automatic: false, reconciliation_status: 'not_applicable' });
    expect(payout.arrival_date % day).toBe(0);
    expect((await stripe.balance.retrieve({}, account)).available[0]!.amount).toBe(5_680);
    await pass(1);
    expect((await stripe.payouts.retrieve(payout.id, {}, account)).status).toBe('in_transit');
    await pass(1);
    expect((await stripe.payouts.retrieve(payout.id, {}, account)).status).toBe('paid');
    expect(await payoutEvents(account)).toEqual(['payout.created', 'payout.updated', 'payout.updated', 'payout.paid']);
  });

  test('can be canceled while they are pending', async () => {
    const account = await manual();
    await pay(10_000, account, { payment_method: 'pm_card_bypassPending' });
    const { id } = await stripe.payouts.create({ amount: 4_000, currency: 'usd' }, account);
    expect(await stripe.payouts.cancel(id, { expand: ['failure_balance_transaction'] }, account)).toMatchObject({
      status: 'canceled',
      failure_balance_transaction: { type: 'payout_cancel', amount: 4_000 },
    });
    expect((await stripe.balance.retrieve({}, account)).available[0]!.amount).toBe(9_680);
    expect((await failure(stripe.payouts.cancel(id, {}, account))).statusCode).toBe(400);
    await pass(3);
    expect((await stripe.payouts.retrieve(id, {}, account)).status).toBe('canceled');
  });

  test('can be reversed once paid', async () => {
    const account = await manual();
    await pay(10_000, account, { payment_method: 'pm_card_bypassPending' });
    const { id } = await stripe.payouts.create({ amount: 4_000, currency: 'usd' }, account);
    expect((await failure(stripe.payouts.reverse(id, {}, account))).statusCode).toBe(400);
    await pass(3);
    const reversal = await stripe.payouts.reverse(id, {}, account);
    expect(reversal).toMatchObject({ amount: -4_000, original_payout: id, status: 'pending' });
    expect((await stripe.payouts.retrieve(id, {}, account)).reversed_by).toBe(reversal.id);
    expect((await stripe.balance.retrieve({}, account)).available[0]!.amount).toBe(9_680);
    await pass(3);
    expect((await stripe.payouts.retrieve(reversal.id, {}, account)).status).toBe('paid');
  });

  test('need a bank account in the currency', async () => {
    const account = await manual();
    expect((await failure(stripe.payouts.create({ amount: 100, currency: 'cad' }, account))).message).toBe(
      "Sorry, you don't have any external accounts in that currency (cad).",
    );
  });
});

test('bank accounts can be added, made the default and removed', async () => {
  const { stripeAccount: id } = await local.connected();
  const own = { stripeAccount: id };
  const added = (await stripe.accounts.createExternalAccount(id, {
    external_account: 'btok_us_noAccount',
  })) as Stripe.BankAccount;
  expect(added).toMatchObject({ object: 'bank_account', last4: '1116', default_for_currency: false });
  const [first] = (await stripe.accounts.listExternalAccounts(id, { object: 'bank_account' })).data;
  expect((await failure(stripe.accounts.deleteExternalAccount(id, first!.id))).message).toMatch(
    /cannot delete the default/,
  );
  await stripe.accounts.updateExternalAccount(id, added.id, { default_for_currency: true, metadata: { a: '1' } });
  expect(await stripe.accounts.deleteExternalAccount(id, first!.id)).toMatchObject({ deleted: true });
  expect((await stripe.accounts.retrieve(id)).external_accounts!.data).toMatchObject([{ id: added.id }]);
  expect(await stripe.accounts.retrieveExternalAccount(id, added.id)).toMatchObject({ metadata: { a: '1' } });
  const types = (await stripe.events.list({ type: 'account.external_account.*', limit: 20 }, own)).data.map(
    ({ type }) => type,
  );
  expect(types[0]).toBe('account.external_account.deleted');
});
