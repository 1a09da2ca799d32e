import { recordIntent, stampOf } from '../../src/features/payments/payment-record.js';
import { paymentCommands } from '../../src/features/payments/payment.service.js';
import { CommandRecovery } from '../../src/jobs/commands/recovery.js';
import { intentReport } from '../../src/stripe/reports.js';
import { type PaymentIntentId } from '../../src/stripe/types.js';
import { aRequest, createWorld, type Facts, type TestTenant, type World } from './support/world.js';

// Two tabs, two intents, one invoice. Here nobody but the test brings Stripe's news, and recovery runs when the test says so.

let world: World;

beforeAll(async () => {
  world = await createWorld();
});
afterAll(() => world.stop());

interface Tab {
  readonly paymentId: string;
  readonly intent: PaymentIntentId;
  readonly secret: string;
}

async function twoTabs(): Promise<{ tenant: TestTenant; invoiceId: number; one: Tab; other: Tab }> {
  const tenant = await world.aTenant();
  const invoiceId = await tenant.anInvoice();
  const tab = async () => {
    const asked = await tenant.payments.createPaymentIntent(aRequest({ invoiceId }));
    return { paymentId: asked.paymentId, intent: asked.stripePaymentIntentId, secret: asked.clientSecret! };
  };
  return { tenant, invoiceId, one: await tab(), other: await tab() };
}

/** What the payer's browser does in one of the tabs. */
const pay = ({ accountId }: TestTenant, { intent, secret }: Tab) =>
  world.sandbox.api<Facts>('POST', `/v1/payment_intents/${intent}/confirm`, {
    account: accountId,
    asBrowser: true,
    form: { client_secret: secret, payment_method: 'pm_card_visa' },
  });

/** What the worker does when it is told. */
async function hear({ db, accountId }: TestTenant, { intent }: Tab): Promise<void> {
  const report = intentReport(await world.stripe.forAccount(accountId).retrievePaymentIntent(intent));
  await db.transaction((em) => recordIntent(em, report, { accountId, asOf: stampOf(report), fetched: true }));
}

const recover = () => new CommandRecovery(world.database, world.stripe, paymentCommands).recoverOnce();

test('when an invoice is paid, what is still open of it is given up, whoever is alive to do it', async () => {
  const { tenant, invoiceId, one, other } = await twoTabs();
  await pay(tenant, one);
  await hear(tenant, one);
  // Told with the payment, in one transaction; whoever heard it may be dead by now.
  expect(await tenant.payment(other.paymentId)).toMatchObject({ status: 'PENDING' });
  expect(await recover()).toBe(1);
  expect(await tenant.payment(other.paymentId)).toMatchObject({ status: 'CANCELED' });
  await expect(pay(tenant, other)).rejects.toThrow();
  expect(await tenant.invoice(invoiceId)).toMatchObject({
    status: 'PAID',
    payment_status: 'PAID',
    amount_paid: '10000',
  });
  const audited = await world.db.query(
    `select actor, subject_id from audit_log where tenant_id = $1 and action = 'payment.cancel'`,
    [tenant.id],
  );
  expect(audited).toEqual([{ actor: 'system', subject_id: other.paymentId }]);

  // Heard again, nothing is done again.
  await hear(tenant, one);
  expect(await recover()).toBe(0);
});

test('who is quicker has paid twice, and that is what is shown', async () => {
  const { tenant, invoiceId, one, other } = await twoTabs();
  await pay(tenant, one);
  await hear(tenant, one);
  await pay(tenant, other);
  expect(await recover()).toBe(1);
  expect(await tenant.payment(other.paymentId)).toMatchObject({ status: 'SUCCEEDED', amount_received: '10000' });
  expect(await tenant.invoice(invoiceId)).toMatchObject({ status: 'PAID', amount_paid: '20000' });
});

test('a part of an invoice that was paid leaves what still fits', async () => {
  const tenant = await world.aTenant();
  const invoiceId = await tenant.anInvoice();
  const asked = await tenant.payments.createPaymentIntent(aRequest({ invoiceId, amount: 4_000 }));
  const other = await tenant.payments.createPaymentIntent(aRequest({ invoiceId, amount: 6_000 }));
  const tab = { paymentId: asked.paymentId, intent: asked.stripePaymentIntentId, secret: asked.clientSecret! };
  await pay(tenant, tab);
  await hear(tenant, tab);
  expect(await recover()).toBe(0);
  expect(await tenant.payment(other.paymentId)).toMatchObject({ status: 'PENDING' });
});

describe('what is more than what is left', () => {
  const ask = async (tenant: TestTenant, invoiceId: number, amount: number): Promise<Tab> => {
    const asked = await tenant.payments.createPaymentIntent(aRequest({ invoiceId, amount }));
    return { paymentId: asked.paymentId, intent: asked.stripePaymentIntentId, secret: asked.clientSecret! };
  };

  test('is given up as soon as a part came in', async () => {
    const tenant = await world.aTenant();
    const invoiceId = await tenant.anInvoice();
    const [all, part, rest] = [
      await ask(tenant, invoiceId, 10_000),
      await ask(tenant, invoiceId, 6_000),
      await ask(tenant, invoiceId, 4_000),
    ];
    await pay(tenant, part);
    await hear(tenant, part);
    expect(await recover()).toBe(1);
    await expect(pay(tenant, all)).rejects.toThrow();
    await pay(tenant, rest);
    await hear(tenant, rest);
    expect(await tenant.payment(all.paymentId)).toMatchObject({ status: 'CANCELED' });
    expect(await tenant.invoice(invoiceId)).toMatchObject({ status: 'PAID', amount_paid: '10000' });
  });

  test('is given up as soon as a part is on its way', async () => {
    const tenant = await world.aTenant();
    const invoiceId = await tenant.anInvoice();
    const [all, part] = [await ask(tenant, invoiceId, 10_000), await ask(tenant, invoiceId, 6_000)];
    await tenant.db.transaction(async (em) => {
      const report = intentReport(await world.stripe.forAccount(tenant.accountId).retrievePaymentIntent(part.intent));
      const moving = { ...report, status: 'processing' as const };
      await recordIntent(em, moving, { accountId: tenant.accountId, asOf: stampOf(report), fetched: true });
    });
    expect(await recover()).toBe(1);
    expect(await tenant.payment(all.paymentId)).toMatchObject({ status: 'CANCELED' });
    expect(await tenant.payment(part.paymentId)).toMatchObject({ status: 'PROCESSING' });
  });

  test('is given up before Stripe is asked to take a part at once', async () => {
    const tenant = await world.aTenant();
    const customerId = await tenant.aCustomer();
    const invoiceId = await tenant.anInvoice({ customerId });
    const all = await ask(tenant, invoiceId, 10_000);
    const paymentMethodId = await tenant.methods.attachPaymentMethod({
      customerId,
      stripePaymentMethodId: 'pm_card_visa',
      setAsDefault: false,
      idempotencyKey: null,
    });
    await world.sandbox.control('/faults', { kind: 'reset_before', times: null, path: '/v1/payment_intents' });
    const request = aRequest({ invoiceId, amount: 6_000, paymentMethodId, confirm: true });
    await tenant.payments.createPaymentIntent(request).catch(() => undefined);
    await world.sandbox.control('/faults', undefined, 'DELETE');
    const [given] = await world.db.query(
      `select kind, state from commands where tenant_id = $1 and subject_id = $2 and actor = 'system'`,
      [tenant.id, all.paymentId],
    );
    expect(given).toEqual({ kind: 'payments.cancel', state: 'PENDING' });
  });
});
