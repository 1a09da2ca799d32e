import { type AccountStripe } from '../../src/stripe/account-stripe.js';
import { type StripeService } from '../../src/stripe/stripe.service.js';
import { fakeStripe, json, serviceAt } from './fake-stripe.js';

// What goes over the wire for refunds, disputes and subscriptions, as Stripe's reference has it.

let stripe: Awaited<ReturnType<typeof fakeStripe>>;
let service: StripeService;
let account: AccountStripe;

beforeAll(async () => {
  stripe = await fakeStripe(json(200, {}));
  service = serviceAt(stripe.url);
  account = service.forAccount('acct_1');
});

afterAll(async () => {
  service.close();
  await stripe.stop();
});

const key = { key: 'k' };
const metadata = { command_id: 'c1' };
const refund = { object: 'refund', id: 're_1', charge: 'ch_1', amount: 500, metadata };
const withBooking = { 'expand[0]': 'balance_transaction', 'expand[1]': 'charge' };
const dispute = { object: 'dispute', id: 'dp_1' };
const price = { object: 'price', id: 'price_1', currency: 'usd', unit_amount: 5_000, product: 'prod_1' };
const subscription = { object: 'subscription', id: 'sub_1', customer: 'cus_1', metadata };
const invoice = { object: 'invoice', id: 'in_1' };
const priceInput = { unitAmount: 5_000, currency: 'usd', interval: 'month', metadata } as const;
const end = new Date(1_800_000_000_500);

test.each<[string, object, (on: AccountStripe) => Promise<unknown>, string, Record<string, string>]>([
  [
    'a partial refund that gives the fee back',
    refund,
    (on) => on.createRefund({ chargeId: 'ch_1', amount: 500, refundApplicationFee: true, metadata }, key),
    'POST /v1/refunds',
    { charge: 'ch_1', amount: '500', refund_application_fee: 'true', 'metadata[command_id]': 'c1', ...withBooking },
  ],
  [
    'a full refund of a charge without a fee, which is not mentioned',
    refund,
    (on) => on.createRefund({ chargeId: 'ch_1', refundApplicationFee: false, metadata }, key),
    'POST /v1/refunds',
    { charge: 'ch_1', 'metadata[command_id]': 'c1', ...withBooking },
  ],
  [
    'evidence',
    dispute,
    (on) => on.updateDispute('dp_1', { evidence: { uncategorized_text: 'Delivered.' }, submit: true }, key),
    'POST /v1/disputes/dp_1',
    { 'evidence[uncategorized_text]': 'Delivered.', submit: 'true' },
  ],
  ['a dispute given up', dispute, (on) => on.closeDispute('dp_1', key), 'POST /v1/disputes/dp_1/close', {}],
  [
    'a price with its own product',
    price,
    (on) => on.createPrice({ ...priceInput, product: { name: 'Seats' } }, key),
    'POST /v1/prices',
    {
      currency: 'usd',
      unit_amount: '5000',
      'recurring[interval]': 'month',
      'product_data[name]': 'Seats',
      'metadata[command_id]': 'c1',
    },
  ],
  [
    'a price of a product that exists',
    price,
    (on) => on.createPrice({ ...priceInput, product: { id: 'prod_1' } }, key),
    'POST /v1/prices',
    {
      currency: 'usd',
      unit_amount: '5000',
      'recurring[interval]': 'month',
      product: 'prod_1',
      'metadata[command_id]': 'c1',
    },
  ],
  [
    'a subscription with trial, fee and end',
    { ...subscription, application_fee_percent: 2.5 },
    (on) =>
      on.createSubscription(
        {
          customerId: 'cus_1',
          priceId: 'price_1',
          quantity: 3,
          applicationFeePercent: 2.5,
          trialDays: 14,
          cancelAt: end,
          metadata,
        },
        key,
      ),
    'POST /v1/subscriptions',
    {
      customer: 'cus_1',
      'items[0][price]': 'price_1',
      'items[0][quantity]': '3',
      application_fee_percent: '2.5',
      trial_period_days: '14',
      cancel_at: '1800000000',
      payment_behavior: 'default_incomplete',
      'payment_settings[save_default_payment_method]': 'on_subscription',
      'metadata[command_id]': 'c1',
      'expand[0]': 'latest_invoice.confirmation_secret',
      'expand[1]': 'pending_setup_intent',
    },
  ],
  [
    'other seats, prorated by the instant that was previewed',
    subscription,
    (on) => on.updateSubscription('sub_1', { itemId: 'si_1', quantity: 4, prorate: true, prorationDate: end }, key),
    'POST /v1/subscriptions/sub_1',
    {
      'items[0][id]': 'si_1',
      'items[0][quantity]': '4',
      proration_behavior: 'create_prorations',
      proration_date: '1800000000',
      'expand[0]': 'latest_invoice.confirmation_secret',
      'expand[1]': 'pending_setup_intent',
    },
  ],
  [
    'an end with the period',
    subscription,
    (on) => on.scheduleCancellation('sub_1', 'period_end', key),
    'POST /v1/subscriptions/sub_1',
    { cancel_at_period_end: 'true' },
  ],
  [
    'no end with the period after all',
    subscription,
    (on) => on.scheduleCancellation('sub_1', 'not_period_end', key),
    'POST /v1/subscriptions/sub_1',
    { cancel_at_period_end: 'false' },
  ],
  [
    'no end date after all',
    subscription,
    (on) => on.scheduleCancellation('sub_1', 'no_date', key),
    'POST /v1/subscriptions/sub_1',
    { cancel_at: '' },
  ],
  [
    'an end now',
    { ...subscription, status: 'canceled' },
    (on) => on.cancelSubscription('sub_1', { prorate: false }, key),
    'DELETE /v1/subscriptions/sub_1',
    { prorate: 'false', invoice_now: 'false' },
  ],
  [
    'a pause',
    { ...subscription, status: 'paused' },
    (on) => on.pauseSubscription('sub_1', key),
    'POST /v1/subscriptions/sub_1/pause',
    { type: 'subscription' },
  ],
  [
    'a fixed fee on a draft',
    invoice,
    (on) => on.setInvoiceFee('in_1', { applicationFee: 300 }, key),
    'POST /v1/invoices/in_1',
    { application_fee_amount: '300' },
  ],
  [
    'another try at collecting',
    invoice,
    (on) => on.payInvoice('in_1', { paymentMethodId: 'pm_1' }, key),
    'POST /v1/invoices/in_1/pay',
    { payment_method: 'pm_1', off_session: 'true' },
  ],
  [
    'a preview',
    { object: 'invoice', id: 'upcoming_in_1' },
    (on) =>
      on.previewInvoice({ customerId: 'cus_1', subscriptionId: 'sub_1', itemId: 'si_1', quantity: 4, prorate: false }),
    'POST /v1/invoices/create_preview',
    {
      customer: 'cus_1',
      subscription: 'sub_1',
      'subscription_details[items][0][id]': 'si_1',
      'subscription_details[items][0][quantity]': '4',
      'subscription_details[proration_behavior]': 'none',
    },
  ],
  [
    'a way into the portal',
    { object: 'billing_portal.session', id: 'bps_1', customer: 'cus_1', url: 'https://billing.stripe.com/p/1' },
    (on) => on.createBillingPortalSession({ customerId: 'cus_1', returnUrl: 'https://psa.test/' }, key),
    'POST /v1/billing_portal/sessions',
    { customer: 'cus_1', return_url: 'https://psa.test/' },
  ],
])('%s', async (_, answer, call, line, params) => {
  stripe.replyWith(json(200, { livemode: false, ...answer }));
  await call(account);
  const [request] = stripe.seen;
  const url = new URL(request!.path, stripe.url);
  expect(`${request!.method} ${url.pathname}`).toBe(line);
  expect({
    ...Object.fromEntries(url.searchParams),
    ...Object.fromEntries(new URLSearchParams(request!.body)),
  }).toEqual(params);
  expect(request!.headers['stripe-account']).toBe('acct_1');
});
