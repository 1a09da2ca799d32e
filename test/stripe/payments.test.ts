import { randomUUID } from 'node:crypto';
import { type AccountStripe } from '../../src/stripe/account-stripe.js';
import { type CreatePaymentIntent } from '../../src/stripe/payment-intents.js';
import { intentReport, paymentMethodReport } from '../../src/stripe/reports.js';
import { StripeFailure } from '../../src/stripe/stripe-errors.js';
import { type StripeService } from '../../src/stripe/stripe.service.js';
import {
  type AccountId,
  type CustomerId,
  type PaymentIntentId,
  type PaymentMethodId,
  stripeKey,
} from '../../src/stripe/types.js';
import { serviceAt } from './fake-stripe.js';
import { startLocalStripe } from './local-stripe.js';

let local: Awaited<ReturnType<typeof startLocalStripe>>;
let service: StripeService;
let accountId: AccountId;
let account: AccountStripe;
let customerId: CustomerId;
const since = new Date();

beforeAll(async () => {
  local = await startLocalStripe();
  service = serviceAt(local.url, { timeoutMs: 5_000, maxNetworkRetries: 2 });
  accountId = await anAccount();
  account = service.forAccount(accountId);
  customerId = await aCustomer(account);
});

afterEach(() => local.control('faults', {}, 'DELETE'));

afterAll(async () => {
  service.close();
  await local.stop();
});

const keyed = (purpose: string) => ({ key: stripeKey(randomUUID(), purpose) });

async function anAccount(): Promise<AccountId> {
  const input = {
    country: 'US',
    email: 'owner@nord.test',
    businessName: 'Nord IT',
    metadata: { tenant_id: randomUUID() },
  };
  const { id } = await service.createConnectAccount(input, keyed('account'));
  await local.control(`accounts/${id}/onboard`);
  return id;
}

async function aCustomer(on: AccountStripe): Promise<CustomerId> {
  const input = { name: 'Ada', email: 'ada@example.test', metadata: { customer_id: '1' } };
  return (await on.createCustomer(input, keyed('customer'))).id as CustomerId;
}

function anOrder(overrides: Partial<Parameters<AccountStripe['createPaymentIntent']>[0]> = {}) {
  return {
    amount: 10_000,
    currency: 'usd',
    applicationFee: 250,
    customerId,
    metadata: { command_id: randomUUID() },
    ...overrides,
  };
}

const pay = (method: string, overrides: Parameters<typeof anOrder>[0] = {}) =>
  account.createPaymentIntent(
    anOrder({ paymentMethodId: method as PaymentMethodId, confirm: true, offSession: true, ...overrides }),
    keyed('payment-intent'),
  );

async function failureOf(work: Promise<unknown>): Promise<StripeFailure> {
  const failure = await work.then(
    () => null,
    (error: unknown) => error,
  );
  expect(failure).toBeInstanceOf(StripeFailure);
  return failure as StripeFailure;
}

async function all<T>(list: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = [];
  for await (const item of list) items.push(item);
  return items;
}

async function booked(id: PaymentIntentId) {
  for (;;) {
    const report = intentReport(await account.retrievePaymentIntent(id));
    if (report.charge?.balance) return report.charge.balance;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test('100.00 bring the tenant 94.30, as Stripe books it', async () => {
  const intent = intentReport(await pay('pm_card_visa'));
  expect(intent).toMatchObject({ status: 'succeeded', amountReceived: 10_000, applicationFee: 250, customerId });
  await expect(booked(intent.id)).resolves.toMatchObject({
    amount: 10_000,
    stripeFee: 320,
    applicationFee: 250,
    net: 9_430,
  });
  const report = intentReport(await account.retrievePaymentIntent(intent.id));
  expect(report.charge?.receiptUrl).toMatch(/^http/);
  await expect(account.retrieveCharge(report.latestChargeId!)).resolves.toMatchObject({ amount: 10_000 });
  await expect(account.retrieveBalanceTransaction(report.charge!.balance!.id)).resolves.toMatchObject({ fee: 570 });
});

test('an intent without a method waits for the browser, which gets its secret', async () => {
  const intent = await account.createPaymentIntent(anOrder(), keyed('payment-intent'));
  expect(intent.status).toBe('requires_payment_method');
  expect(intent.client_secret).toMatch(/_secret_/);
});

test('a decline tells the issuer’s reason, and leaves an intent that can be paid again', async () => {
  const failure = await failureOf(pay('pm_card_visa_chargeDeclinedInsufficientFunds'));
  expect(failure).toMatchObject({
    code: 'CARD_DECLINED',
    outcome: 'refused',
    facts: { declineCode: 'insufficient_funds' },
  });
  expect(failure.intent).toMatchObject({ status: 'requires_payment_method', applicationFee: 250 });
  const paid = await account.confirmPaymentIntent(
    failure.intent!.id,
    { paymentMethodId: 'pm_card_visa', offSession: true },
    keyed('confirm'),
  );
  expect(paid.status).toBe('succeeded');
});

test('money can be reserved first and taken later, or let go', async () => {
  const reserved = intentReport(await pay('pm_card_visa', { captureLater: true }));
  expect(reserved).toMatchObject({ status: 'requires_capture', amountCapturable: 10_000 });
  const captured = await account.capturePaymentIntent(
    reserved.id,
    { amount: 4_000, applicationFee: 100 },
    keyed('capture'),
  );
  expect(intentReport(captured)).toMatchObject({ status: 'succeeded', amountReceived: 4_000 });
  await expect(failureOf(account.cancelPaymentIntent(reserved.id, {}, keyed('cancel')))).resolves.toMatchObject({
    code: 'INVALID_STATE',
  });

  const other = intentReport(await pay('pm_card_visa', { captureLater: true }));
  const canceled = await account.cancelPaymentIntent(other.id, { reason: 'abandoned' }, keyed('cancel'));
  expect(intentReport(canceled)).toMatchObject({ status: 'canceled', cancellationReason: 'abandoned' });
});

test.each<[Partial<CreatePaymentIntent>, string, string]>([
  [{ amount: 0 }, 'BAD_USER_INPUT', 'amount'],
  [{ amount: 100_000_000 }, 'AMOUNT_TOO_LARGE', 'amount'],
  [{ currency: 'xxx' }, 'BAD_USER_INPUT', 'currency'],
  [{ customerId: 'cus_nobody' }, 'NOT_FOUND', 'customer'],
])('Stripe refuses %p, and nothing is made', async (wrong, code, field) => {
  const order = anOrder({ applicationFee: undefined, ...wrong });
  const failure = await failureOf(account.createPaymentIntent(order, keyed('payment-intent')));
  expect(failure).toMatchObject({ code, outcome: 'refused', facts: { field } });
  expect(failure.facts.stripeRequestId).toMatch(/^req_/);
  await expect(account.findPaymentIntent({ metadata: order.metadata, since })).resolves.toBeNull();
});

test.each(['429', 'truncate', 'reset_after', '409', '502_html'])('%s makes one payment, not two', async (kind) => {
  await local.control('faults', { kind, method: 'POST', path: '/v1/payment_intents', times: 1 });
  const order = anOrder({ paymentMethodId: 'pm_card_visa' as PaymentMethodId, confirm: true, offSession: true });
  const intent = await account.createPaymentIntent(order, keyed('payment-intent'));
  const events = await all(account.listEvents({ since, types: ['payment_intent.created'] }));
  const made = events.filter(
    ({ data }) =>
      (data.object as { metadata?: { command_id?: string } }).metadata?.command_id === order.metadata.command_id,
  );
  expect(made).toHaveLength(1);
  await expect(account.findPaymentIntent({ metadata: order.metadata, since })).resolves.toMatchObject({
    id: intent.id,
  });
});

test('when every answer is lost, the outcome is unknown, and the payment is found', async () => {
  await local.control('faults', { kind: 'reset_after', method: 'POST', path: '/v1/payment_intents', times: null });
  const order = anOrder();
  const failure = await failureOf(account.createPaymentIntent(order, keyed('payment-intent')));
  expect(failure).toMatchObject({ code: 'OUTCOME_UNKNOWN', outcome: 'unknown' });
  const found = await account.findPaymentIntent({ metadata: order.metadata, since, customerId });
  expect(found).toMatchObject({ amount: 10_000 });
});

test('a payment is found beyond the first page of the list', async () => {
  const first = anOrder();
  const intent = await account.createPaymentIntent(first, keyed('payment-intent'));
  for (let i = 0; i < 101; i += 1) await account.createPaymentIntent(anOrder(), keyed('payment-intent'));
  await expect(account.findPaymentIntent({ metadata: first.metadata, since })).resolves.toMatchObject({
    id: intent.id,
  });
});

test('a method is attached, made the default, listed, and taken away', async () => {
  const customer = await aCustomer(account);
  const method = await account.attachPaymentMethod(
    'pm_card_visa',
    { customerId: customer, asDefault: true },
    keyed('attach'),
  );
  const id = method.id as PaymentMethodId;
  expect(paymentMethodReport(method)).toMatchObject({ customerId: customer, brand: 'visa', last4: '4242' });
  await expect(account.retrieveCustomer(customer)).resolves.toMatchObject({
    invoice_settings: { default_payment_method: id },
  });
  await expect(account.listPaymentMethods(customer)).resolves.toMatchObject([{ id }]);
  await account.setDefaultPaymentMethod(customer, null, keyed('default'));
  await expect(account.detachPaymentMethod(id, keyed('detach'))).resolves.toMatchObject({ customer: null });
  await expect(account.listPaymentMethods(customer)).resolves.toEqual([]);
  await expect(account.retrievePaymentMethod(id)).resolves.toMatchObject({ id });
});

test('a setup intent waits for the browser, and can be given up', async () => {
  const metadata = { command_id: randomUUID() };
  const intent = await account.createSetupIntent({ customerId, metadata }, keyed('setup-intent'));
  expect(intent).toMatchObject({ status: 'requires_payment_method', usage: 'off_session' });
  expect(intent.client_secret).toMatch(/_secret_/);
  await expect(account.findSetupIntent({ metadata, since, customerId })).resolves.toMatchObject({ id: intent.id });
  await expect(account.retrieveSetupIntent(intent.id as never)).resolves.toMatchObject({ id: intent.id });
  await expect(account.cancelSetupIntent(intent.id as never, keyed('cancel'))).resolves.toMatchObject({
    status: 'canceled',
  });
});

test('a customer is found by what was written on it', async () => {
  const metadata = { customer_id: randomUUID() };
  const { id } = await account.createCustomer({ email: 'bob@example.test', metadata }, keyed('customer'));
  await expect(account.findCustomer({ metadata, since })).resolves.toMatchObject({ id });
  await expect(account.findCustomer({ metadata, since, email: 'other@example.test' })).resolves.toBeNull();
  await account.updateCustomer(id as CustomerId, { name: 'Bob' }, keyed('customer'));
  await expect(account.retrieveCustomer(id as CustomerId)).resolves.toMatchObject({ name: 'Bob' });
});

test('what is on one account does not exist on another', async () => {
  const other = service.forAccount(await anAccount());
  const { id } = await account.createPaymentIntent(anOrder(), keyed('payment-intent'));
  await expect(failureOf(other.retrievePaymentIntent(id as PaymentIntentId))).resolves.toMatchObject({
    code: 'NOT_FOUND',
  });
  await expect(failureOf(other.createPaymentIntent(anOrder(), keyed('payment-intent')))).resolves.toMatchObject({
    code: 'NOT_FOUND',
  });
});

test('an event is listed and fetched, and the object of a thin one is fetched from its account', async () => {
  const { id } = await account.createPaymentIntent(anOrder(), keyed('payment-intent'));
  const [event] = await all(account.listEvents({ since, types: ['payment_intent.created'] }));
  expect(event).toMatchObject({ type: 'payment_intent.created', data: { object: { id } } });
  await expect(account.retrieveEvent(event!.id as never)).resolves.toMatchObject({ id: event!.id });
  const related = { id, type: 'payment_intent', url: `/v1/payment_intents/${id}` };
  await expect(service.retrieveRelatedObject({ context: accountId, related_object: related })).resolves.toMatchObject({
    id,
  });
  await expect(
    service.retrieveRelatedObject({ related_object: { ...related, url: 'https://elsewhere.test/v1/x/y' } }),
  ).rejects.toThrow('odd address');
});
