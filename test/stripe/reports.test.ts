import fc from 'fast-check';
import { accountReport, accountV2Report } from '../../src/stripe/account-report.js';
import { balanceReport, chargeReport, intentReport, paymentMethodReport } from '../../src/stripe/reports.js';
import {
  type Account,
  type AccountV2,
  type BalanceTransaction,
  type Charge,
  type PaymentIntent,
  type PaymentMethod,
} from '../../src/stripe/types.js';
import { anIntent } from './fake-stripe.js';

function aBooking(overrides: Partial<BalanceTransaction> = {}): BalanceTransaction {
  return {
    id: 'txn_1',
    object: 'balance_transaction',
    amount: 10_000,
    currency: 'usd',
    fee: 570,
    fee_details: [
      { type: 'stripe_fee', amount: 320, currency: 'usd', application: null, description: null },
      { type: 'application_fee', amount: 250, currency: 'usd', application: 'ca_1', description: null },
    ],
    net: 9_430,
    exchange_rate: null,
    source: 'ch_1',
    type: 'charge',
    created: 1_764_000_000,
    available_on: 1_764_100_000,
    ...overrides,
  } as BalanceTransaction;
}

function aCharge(overrides: Record<string, unknown> = {}): Charge {
  return {
    id: 'ch_1',
    object: 'charge',
    livemode: false,
    status: 'succeeded',
    amount: 10_000,
    amount_captured: 10_000,
    amount_refunded: 0,
    currency: 'usd',
    captured: true,
    disputed: false,
    payment_intent: 'pi_1',
    customer: null,
    payment_method: 'pm_1',
    payment_method_details: { type: 'card' },
    receipt_url: 'https://pay.stripe.com/receipts/1',
    failure_code: null,
    failure_message: null,
    outcome: null,
    application_fee: 'fee_1',
    balance_transaction: 'txn_1',
    metadata: {},
    created: 1_764_000_000,
    ...overrides,
  } as unknown as Charge;
}

test('100.00 are 3.20 for Stripe, 2.50 for the platform and 94.30 for the tenant', () => {
  expect(balanceReport(aBooking())).toMatchObject({ amount: 10_000, stripeFee: 320, applicationFee: 250, net: 9_430 });
});

test('the parts of every booking add up, taxes and passed-through fees counted as Stripe’s', () => {
  const type = fc.constantFrom(
    'application_fee',
    'payment_method_passthrough_fee',
    'stripe_fee',
    'tax',
    'withheld_tax',
  );
  const details = fc.array(fc.record({ type, amount: fc.integer({ min: -5_000, max: 5_000 }) }), { maxLength: 5 });
  fc.assert(
    fc.property(fc.integer({ min: -99_999_999, max: 99_999_999 }), details, (amount, parts) => {
      const fee = parts.reduce((sum, part) => sum + part.amount, 0);
      const report = balanceReport(
        aBooking({ amount, fee, net: amount - fee, fee_details: parts as BalanceTransaction['fee_details'] }),
      );
      expect(report.stripeFee + report.applicationFee + report.net).toBe(amount);
    }),
  );
});

test.each([
  ['a detail that is missing', { fee: 600, net: 9_400 }],
  ['a net that is wrong', { net: 9_431 }],
])('nothing is read from a booking with %s', (_, wrong) => {
  expect(() => balanceReport(aBooking(wrong))).toThrow('txn_1');
});

test('an intent reports its charge and booking when they were expanded, and ids when not', () => {
  const latest_charge = aCharge({ balance_transaction: aBooking() });
  const intent = anIntent({ status: 'succeeded', latest_charge, payment_method: { id: 'pm_1' } });
  expect(intentReport(intent as unknown as PaymentIntent)).toMatchObject({
    id: 'pi_1',
    status: 'succeeded',
    latestChargeId: 'ch_1',
    paymentMethodId: 'pm_1',
    charge: { receiptUrl: 'https://pay.stripe.com/receipts/1', balance: { net: 9_430 } },
    created: new Date(1_764_000_000_000),
  });
  const plain = intentReport(anIntent({ latest_charge: 'ch_1' }) as unknown as PaymentIntent);
  expect(plain).toMatchObject({ latestChargeId: 'ch_1', charge: null });
});

test('an intent that was declined reports the method that was tried, which is on it no more', () => {
  const last_payment_error = { code: 'card_declined', payment_method: { id: 'pm_2' } };
  const declined = anIntent({ payment_method: null, last_payment_error });
  expect(intentReport(declined as unknown as PaymentIntent).paymentMethodId).toBe('pm_2');
});

test('a charge that is not booked yet has no booking', () => {
  expect(chargeReport(aCharge({ balance_transaction: null }))).toMatchObject({
    balanceTransactionId: null,
    balance: null,
  });
});

test('a status that did not exist when this was written is not guessed at', () => {
  expect(() => intentReport(anIntent({ status: 'requires_prayer' }) as unknown as PaymentIntent)).toThrow(
    'requires_prayer',
  );
});

test.each([
  ['card', { brand: 'visa', last4: '4242', exp_month: 4, exp_year: 2030 }, 'visa'],
  ['us_bank_account', { bank_name: 'STRIPE TEST BANK', last4: '6789' }, 'STRIPE TEST BANK'],
  ['au_becs_debit', { bsb_number: '000000', last4: '3456' }, null],
  ['link', { email: 'a@example.test' }, null],
])('a %s is described by what it has', (type, details, brand) => {
  const method = { id: 'pm_1', livemode: false, type, customer: 'cus_1', created: 1, [type]: details };
  const report = paymentMethodReport(method as unknown as PaymentMethod);
  expect(report).toMatchObject({ brand, last4: (details as { last4?: string }).last4 ?? null, customerId: 'cus_1' });
});

test('an account says the same through v1 and v2', () => {
  const v1 = accountReport(
    {
      id: 'acct_1',
      charges_enabled: false,
      payouts_enabled: true,
      details_submitted: false,
      country: 'DE',
      default_currency: 'eur',
      capabilities: { card_payments: 'inactive' },
      requirements: {
        currently_due: ['external_account'],
        eventually_due: ['external_account'],
        past_due: [],
        pending_verification: ['company.tax_id'],
        errors: [{ code: 'invalid_url_format', reason: 'Not a URL.', requirement: 'external_account' }],
        current_deadline: 1_764_000_000,
        disabled_reason: 'requirements.past_due',
      },
    } as unknown as Account,
    false,
  );
  const v2 = accountV2Report({
    id: 'acct_1',
    livemode: false,
    created: '2025-11-24T16:00:00.000Z',
    identity: { country: 'de' },
    defaults: { currency: 'eur' },
    configuration: {
      merchant: {
        capabilities: {
          card_payments: { status: 'restricted', status_details: [{ code: 'requirements_past_due' }] },
          stripe_balance: { payouts: { status: 'active', status_details: [] } },
        },
      },
    },
    requirements: {
      summary: { minimum_deadline: { status: 'currently_due', time: '2025-11-24T16:00:00.000Z' } },
      entries: [
        {
          description: 'external_account',
          awaiting_action_from: 'user',
          errors: [{ code: 'invalid_url_format', description: 'Not a URL.' }],
          minimum_deadline: { status: 'currently_due' },
        },
        {
          description: 'company.tax_id',
          awaiting_action_from: 'stripe',
          errors: [],
          minimum_deadline: { status: 'eventually_due' },
        },
      ],
    },
  } as unknown as AccountV2);
  const { capabilities, created: _, requirements, ...common } = v1;
  expect(v2).toMatchObject(common);
  expect({ ...v2.requirements, disabledReason: null }).toEqual({ ...requirements, disabledReason: null });
  expect(v2.requirements.disabledReason).toBe('requirements_past_due');
  expect(capabilities).toEqual({ card_payments: 'inactive' });
  expect(v2.capabilities).toEqual({ card_payments: 'restricted', payouts: 'active' });
});
