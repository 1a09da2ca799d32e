import { type EntityManager } from '@mikro-orm/postgresql';
import { ensureStripeCustomer } from '../../src/features/customers/stripe-customer.js';
import {
  PaymentMethod,
  PaymentMethodStatus,
  methodStatusAt,
} from '../../src/features/payment-methods/payment-method.entity.js';
import { paymentMethodEvents } from '../../src/features/payment-methods/payment-method.events.js';
import { once } from '../../src/jobs/effects.js';
import { type EventContext } from '../../src/jobs/events.js';
import { type CustomerId } from '../../src/stripe/types.js';
import { createWorld, type Facts, type TestTenant, type World } from '../payments/support/world.js';

let world: World;
let tenant: TestTenant;
let customerId: number;
let stripeCustomerId: CustomerId;

beforeAll(async () => {
  world = await createWorld();
});

beforeEach(async () => {
  tenant = await world.aTenant();
  customerId = await tenant.aCustomer();
  const { accountId, commands } = tenant;
  stripeCustomerId = await ensureStripeCustomer(commands, { customerId, accountId, actor: 'user-1' });
});

afterAll(() => world.stop());

const attach = (stripePaymentMethodId = 'pm_card_visa', setAsDefault = false) =>
  tenant.methods.attachPaymentMethod({ customerId, stripePaymentMethodId, setAsDefault, idempotencyKey: null });

const rows = () =>
  world.db.query<Facts>('select * from payment_methods where tenant_id = $1 order by created_at', [tenant.id]);

function context(second: number): EventContext {
  return {
    tenantId: tenant.id,
    accountId: tenant.accountId,
    livemode: false,
    eventId: 'evt_1',
    created: new Date(Date.UTC(2027, 0, 1) + second * 1_000),
    once: (em: EntityManager, key: string) => once(em, key),
  };
}

type Kind = keyof typeof paymentMethodEvents;

/** Applies one event as the worker does. */
async function deliver(type: Kind, second: number, object: Facts, previous?: Facts): Promise<void> {
  const handler = paymentMethodEvents[type];
  const event = { type, data: { object, ...(previous && { previous_attributes: previous }) } } as never;
  const applied = await tenant.db.transaction((em) => handler.apply(em, event, context(second), null));
  if (applied === 'done') return;
  const stripe = world.stripe.forAccount(tenant.accountId);
  const fetched = await handler.load!(event, {
    ...context(second),
    stripe,
    platform: world.stripe,
    commands: tenant.commands,
  });
  await tenant.db.transaction((em) => handler.apply(em, event, context(second), fetched as never));
}

const method = (more: Facts = {}): Facts => ({
  id: 'pm_1',
  object: 'payment_method',
  livemode: false,
  type: 'card',
  customer: stripeCustomerId,
  card: { brand: 'visa', last4: '4242', exp_month: 12, exp_year: 2030 },
  created: 1_780_000_000,
  ...more,
});

test('a method is one row, whether its webhook or our own answer comes first', async () => {
  const id = await attach();
  const [row] = await rows();
  const object = await world.sandbox.api<Facts>('GET', `/v1/payment_methods/${row!.stripe_payment_method_id}`, {
    account: tenant.accountId,
  });
  await deliver('payment_method.attached', 1, object);
  await deliver('payment_method.attached', 1, object);
  await Promise.all([
    deliver('payment_method.attached', 1, method()),
    deliver('payment_method.attached', 1, method()),
    deliver(
      'payment_method.updated',
      2,
      method({ card: { brand: 'visa', last4: '4242', exp_month: 1, exp_year: 2031 } }),
    ),
  ]);
  expect(await rows()).toMatchObject([
    { id, brand: 'visa', last4: '4242', status: 'ACTIVE' },
    { stripe_payment_method_id: 'pm_1', exp_month: 1, exp_year: 2031, customer_id: customerId },
  ]);
});

test('a removal that arrives before the method itself is not undone by it', async () => {
  await deliver('payment_method.detached', 2, method({ customer: null }), { customer: stripeCustomerId });
  await deliver('payment_method.attached', 1, method());
  expect(await rows()).toMatchObject([{ stripe_payment_method_id: 'pm_1', status: 'DETACHED', is_default: false }]);
});

test('an older report of a method changes nothing', async () => {
  await deliver(
    'payment_method.updated',
    5,
    method({ card: { brand: 'visa', last4: '4242', exp_month: 1, exp_year: 2031 } }),
  );
  await deliver('payment_method.attached', 1, method());
  expect(await rows()).toMatchObject([{ exp_month: 1, exp_year: 2031 }]);
});

test("what the card's network knows of a new card is taken over, and no older word undoes it", async () => {
  await deliver('payment_method.attached', 1, method());
  const renewed = { brand: 'visa', last4: '1881', exp_month: 3, exp_year: 2034 };
  await deliver('payment_method.automatically_updated', 3, method({ card: renewed }));
  await deliver('payment_method.updated', 2, method());
  expect(await rows()).toMatchObject([{ last4: '1881', exp_month: 3, exp_year: 2034 }]);
});

test('news of a mandate is put in order; one for a single payment changes nothing', async () => {
  const mandate = (status: string, more: Facts = {}): Facts => ({
    ...{ id: 'mandate_1', object: 'mandate', payment_method: 'pm_1', status, type: 'multi_use', ...more },
  });
  await deliver('payment_method.attached', 1, method({ type: 'sepa_debit', card: undefined, sepa_debit: {} }));
  await deliver('mandate.updated', 5, mandate('inactive'));
  await deliver('mandate.updated', 4, mandate('active'));
  await deliver('mandate.updated', 6, mandate('active', { id: 'mandate_2', type: 'single_use' }));
  expect(await rows()).toMatchObject([{ stripe_mandate_id: 'mandate_1', mandate_status: 'INACTIVE' }]);
  await deliver('mandate.updated', 7, mandate('active', { id: 'mandate_3' }));
  expect(await rows()).toMatchObject([{ stripe_mandate_id: 'mandate_3', mandate_status: 'ACTIVE' }]);
});

test('methods of customers that are none of ours are none of ours', async () => {
  await deliver('payment_method.attached', 1, method({ customer: 'cus_stranger' }));
  await deliver('payment_method.detached', 2, method({ customer: null }));
  expect(await rows()).toEqual([]);
});

test('bank accounts keep the name of their bank', async () => {
  const bank = { bank_name: 'STRIPE TEST BANK', last4: '6789' };
  await deliver(
    'payment_method.attached',
    1,
    method({ type: 'us_bank_account', card: undefined, us_bank_account: bank }),
  );
  expect(await rows()).toMatchObject([
    { type: 'US_BANK_ACCOUNT', brand: null, bank_name: 'STRIPE TEST BANK', last4: '6789' },
  ]);
});

test('a customer has one default, however many are chosen at once', async () => {
  const ids = [await attach(), await attach('pm_card_mastercard'), await attach('pm_card_amex', true)];
  await Promise.all(
    ids.map((paymentMethodId) => tenant.methods.setDefaultPaymentMethod({ paymentMethodId, idempotencyKey: null })),
  );
  expect((await rows()).filter(({ is_default }) => is_default as boolean)).toHaveLength(1);
});

test('what is removed is the default no more, and cannot be chosen again', async () => {
  const paymentMethodId = await attach('pm_card_visa', true);
  await tenant.methods.detachPaymentMethod({ paymentMethodId, idempotencyKey: null });
  expect(await rows()).toMatchObject([{ status: 'DETACHED', is_default: false }]);
  await expect(tenant.methods.setDefaultPaymentMethod({ paymentMethodId, idempotencyKey: null })).rejects.toMatchObject(
    { code: 'INVALID_STATE', details: { field: 'input.paymentMethodId' } },
  );
});

test('the only method of a running subscription stays, unless it is forced away', async () => {
  const [first, second] = [await attach(), await attach('pm_card_mastercard')];
  await world.db.query(
    `insert into stripe_subscriptions (tenant_id, livemode, customer_id, stripe_account_id, stripe_subscription_id, status, unit_amount, currency, billing_interval)
       values ($1, false, $2, $3, 'sub_running', 'ACTIVE', 1000, 'usd', 'MONTH')`,
    [tenant.id, customerId, tenant.accountId],
  );
  const detach = (paymentMethodId: typeof first, force = false) =>
    tenant.methods.detachPaymentMethod({ paymentMethodId, force, idempotencyKey: null });
  const both = await Promise.allSettled([detach(first), detach(second)]);
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
  const left = both[0].status === 'rejected' ? first : second;
  await expect(detach(left)).rejects.toMatchObject({
    code: 'INVALID_STATE',
    details: { field: 'input.paymentMethodId' },
  });
  const expired = await attach('pm_card_amex');
  await world.db.query(`update payment_methods set exp_year = 2020 where id = $1`, [expired]);
  await expect(detach(left)).rejects.toMatchObject({ code: 'INVALID_STATE' });
  await detach(left, true);
  expect((await rows()).filter(({ status }) => status === 'DETACHED')).toHaveLength(2);
});

test('a setup can be repeated under its key, and its secret is never stored', async () => {
  const request = { customerId, idempotencyKey: 'setup' };
  const first = await tenant.methods.createSetupIntent(request);
  const again = await tenant.methods.createSetupIntent(request);
  expect(again).toEqual({ ...first, clientSecret: null });
  expect(await tenant.methods.clientSecret(again)).toBe(first.clientSecret);
  const stored = await world.db.query<Facts>('select * from commands where tenant_id = $1', [tenant.id]);
  expect(JSON.stringify(stored)).not.toContain('_secret_');
});

test.each(['cus_1', 'pm_', 'pm_1; drop', 'pm_' + 'x'.repeat(300)])('%.20s is no method of Stripe’s', async (id) => {
  await expect(attach(id)).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
    details: { field: 'input.stripePaymentMethodId' },
  });
});

test('a method that Stripe does not have is not found, and nothing stays of it', async () => {
  await expect(attach('pm_nowhere')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  expect(await rows()).toEqual([]);
});

test('a card has expired when its month is over', () => {
  const card = Object.assign(new PaymentMethod(), { expMonth: 2, expYear: 2026 });
  expect(methodStatusAt(card, new Date('2026-02-28T12:00:00Z'))).toBe(PaymentMethodStatus.ACTIVE);
  expect(methodStatusAt(card, new Date('2026-03-02T00:00:00Z'))).toBe(PaymentMethodStatus.EXPIRED);
  card.detach(new Date('2026-01-01T00:00:00Z'));
  expect(methodStatusAt(card, new Date('2026-03-02T00:00:00Z'))).toBe(PaymentMethodStatus.DETACHED);
});
