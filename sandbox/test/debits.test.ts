import type Stripe from 'stripe';
import { aStripe, failure, type TestStripe } from './support/stripe.js';

let local: TestStripe;
let stripe: Stripe;
const day = 86_400;
beforeAll(async () => {
  local = await aStripe();
  stripe = local.stripe;
});
afterAll(() => local.stop());

type Country = 'US' | 'DE' | 'AU' | 'GB';
const capability = {
  US: 'us_bank_account_ach_payments',
  DE: 'sepa_debit_payments',
  AU: 'au_becs_debit_payments',
  GB: 'bacs_debit_payments',
} as const;
const currency = { US: 'usd', DE: 'eur', AU: 'aud', GB: 'gbp' } as const;
const accounts = new Map<Country, { stripeAccount: string }>();

async function on(country: Country): Promise<{ stripeAccount: string }> {
  const known = accounts.get(country);
  if (known) return known;
  const made = await local.connected({
    country,
    capabilities: { card_payments: { requested: true }, [capability[country]]: { requested: true } },
  });
  accounts.set(country, made);
  return made;
}
const agreed = { mandate_data: { customer_acceptance: { type: 'offline' as const } } };

async function debit(
  country: Country,
  method: string,
  params: Partial<Stripe.PaymentIntentCreateParams> = {},
): Promise<Stripe.PaymentIntent> {
  return stripe.paymentIntents.create(
    {
      amount: 10_000,
      currency: currency[country],
      payment_method: method,
      confirm: true,
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      expand: ['latest_charge'],
      ...agreed,
      ...params,
    },
    await on(country),
  );
}
const pass = (days: number) => local.control('/advance', { seconds: days * day });
const again = async (country: Country, { id }: { id: string }) =>
  stripe.paymentIntents.retrieve(id, { expand: ['latest_charge'] }, await on(country));
const mandateOf = (intent: Stripe.PaymentIntent): string => {
  const details = (intent.latest_charge as Stripe.Charge).payment_method_details as unknown as Record<
    string,
    { mandate: string }
  > & { type: string };
  return details[details.type]!.mandate;
};

test.each<[Country, string]>([
  ['US', 'pm_usBankAccount_success'],
  ['DE', 'pm_sepaDebit_success_de'],
  ['AU', 'pm_auBecsDebit_success'],
  ['GB', 'pm_bacsDebit_success'],
])('in %s %s takes days, and is not paid before', async (country, method) => {
  const intent = await debit(country, method);
  expect(intent).toMatchObject({
    status: 'processing',
    amount_received: 0,
    latest_charge: { status: 'pending', paid: false, balance_transaction: null },
  });
  await pass(1);
  expect((await again(country, intent)).status).toBe('processing');
  await pass(5);
  expect(await again(country, intent)).toMatchObject({
    status: 'succeeded',
    amount_received: 10_000,
    latest_charge: { status: 'succeeded', paid: true },
  });
  const types = (await stripe.events.list({ limit: 100 }, await on(country))).data.map(({ type }) => type).reverse();
  const own = types.filter((type) => /^(charge|payment_intent)\./.test(type));
  expect(own.slice(0, 5)).toEqual([
    'payment_intent.created',
    'charge.pending',
    'payment_intent.processing',
    'charge.succeeded',
    'payment_intent.succeeded',
  ]);
});

test.each<[Country, string, string, string]>([
  ['US', 'pm_usBankAccount_insufficientFunds', 'insufficient_funds', 'active'],
  ['US', 'pm_usBankAccount_debitNotAuthorized', 'debit_not_authorized', 'inactive'],
  ['US', 'pm_usBankAccount_noAccount', 'no_account', 'inactive'],
  ['DE', 'pm_sepaDebit_failed_de', 'debit_not_authorized', 'inactive'],
  ['DE', 'pm_sepaDebit_insufficientFunds_at', 'insufficient_funds', 'active'],
  ['AU', 'pm_auBecsDebit_referToCustomer', 'refer_to_customer', 'active'],
  ['AU', 'pm_auBecsDebit_accountClosed', 'account_closed', 'inactive'],
  ['GB', 'pm_bacsDebit_insufficientFunds', 'insufficient_funds', 'active'],
])('in %s %s fails with %s, and the mandate is %s', async (country, method, code, mandate) => {
  const intent = await debit(country, method);
  expect(intent.status).toBe('processing');
  await pass(6);
  const failed = await again(country, intent);
  expect(failed).toMatchObject({
    status: 'requires_payment_method',
    last_payment_error: { code },
    latest_charge: { status: 'failed', failure_code: code, paid: false },
  });
  expect(await stripe.mandates.retrieve(mandateOf(failed), {}, await on(country))).toMatchObject({ status: mandate });
});

test.each<[Country, string]>([
  ['US', 'pm_usBankAccount_dispute'],
  ['DE', 'pm_sepaDebit_disputed_de'],
  ['AU', 'pm_auBecsDebit_dispute'],
  ['GB', 'pm_bacsDebit_dispute'],
])('in %s %s succeeds and is disputed; nobody can respond to that', async (country, method) => {
  const intent = await debit(country, method);
  await pass(6);
  expect(await again(country, intent)).toMatchObject({ status: 'succeeded', latest_charge: { disputed: true } });
  const [dispute] = (await stripe.disputes.list({ payment_intent: intent.id }, await on(country))).data;
  expect(dispute).toMatchObject({
    status: 'lost',
    reason: 'debit_not_authorized',
    evidence_details: { due_by: null },
    balance_transactions: [{ amount: -10_000 }],
  });
});

test('a debit can wait for ever; ACH can be called back', async () => {
  const intent = await debit('US', 'pm_usBankAccount_processing');
  await pass(30);
  expect((await again('US', intent)).status).toBe('processing');
  expect(await stripe.paymentIntents.cancel(intent.id, {}, await on('US'))).toMatchObject({ status: 'canceled' });
  const sepa = await debit('DE', 'pm_sepaDebit_success_de');
  expect(await failure(stripe.paymentIntents.cancel(sepa.id, {}, await on('DE')))).toMatchObject({
    code: 'payment_intent_unexpected_state',
  });
});

describe('mandates', () => {
  test('one payment leaves a mandate for this amount', async () => {
    const intent = await debit('DE', 'pm_sepaDebit_success_de');
    expect(await stripe.mandates.retrieve(mandateOf(intent), {}, await on('DE'))).toMatchObject({
      type: 'single_use',
      single_use: { amount: 10_000, currency: 'eur' },
      payment_method_details: { type: 'sepa_debit' },
      customer_acceptance: { type: 'offline' },
    });
  });

  test('without the customer’s acceptance nothing is debited', async () => {
    expect((await failure(debit('US', 'pm_usBankAccount_success', { mandate_data: '' }))).message).toMatch(
      /requires a mandate/,
    );
  });

  test('a saved account is debited again under its mandate, until that ends', async () => {
    const account = await on('AU');
    const customer = await stripe.customers.create({}, account);
    const setup = await stripe.setupIntents.create(
      {
        customer: customer.id,
        payment_method: 'pm_auBecsDebit_noAccount',
        confirm: true,
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
        allowed_payment_method_types: ['au_becs_debit'],
        mandate_data: {
          customer_acceptance: { type: 'online', online: { ip_address: '192.0.2.1', user_agent: 'a browser' } },
        },
      },
      account,
    );
    expect(setup.status).toBe('succeeded');
    const again = {
      customer: customer.id,
      off_session: true,
      mandate_data: undefined,
    };
    const intent = await debit('AU', setup.payment_method as string, again);
    expect(mandateOf(intent)).toBe(setup.mandate);
    expect(await stripe.mandates.retrieve(setup.mandate as string, {}, account)).toMatchObject({
      type: 'multi_use',
      status: 'active',
      customer_acceptance: { online: { ip_address: '192.0.2.1' } },
    });
    await pass(6);
    const [event] = (await stripe.events.list({ type: 'mandate.updated' }, account)).data;
    expect(event!.data.previous_attributes).toEqual({ status: 'active' });
    expect(await failure(debit('AU', setup.payment_method as string, again))).toMatchObject({
      code: 'payment_intent_mandate_invalid',
    });
  });
});

test('a refund of a debit takes days, too', async () => {
  const intent = await debit('US', 'pm_usBankAccount_success');
  await pass(5);
  const refund = await stripe.refunds.create({ payment_intent: intent.id }, await on('US'));
  expect(refund).toMatchObject({ status: 'pending', destination_details: { type: 'us_bank_transfer' } });
  await pass(4);
  expect((await stripe.refunds.retrieve(refund.id, {}, await on('US'))).status).toBe('succeeded');
});
