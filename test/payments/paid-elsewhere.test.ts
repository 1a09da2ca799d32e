import { recordIntent, stampOf } from '../../src/features/payments/payment-record.js';
import { intentReport } from '../../src/stripe/reports.js';
import { aRequest, createWorld, type Facts, type TestTenant, type World } from './support/world.js';

// A PSA takes cheques and gives credit, too, and writes both down itself.

let world: World;
let tenant: TestTenant;

beforeAll(async () => {
  world = await createWorld();
  tenant = await world.aTenant();
});
afterAll(() => world.stop());

async function pay(invoiceId: number, amount: number): Promise<Facts> {
  const { accountId } = tenant;
  const asked = await tenant.payments.createPaymentIntent(aRequest({ invoiceId, amount }));
  await world.sandbox.api('POST', `/v1/payment_intents/${asked.stripePaymentIntentId}/confirm`, {
    account: accountId,
    asBrowser: true,
    form: { client_secret: asked.clientSecret!, payment_method: 'pm_card_visa' },
  });
  const report = intentReport(
    await world.stripe.forAccount(accountId).retrievePaymentIntent(asked.stripePaymentIntentId),
  );
  const hear = (fetched: boolean) =>
    tenant.db.transaction((em) => recordIntent(em, report, { accountId, asOf: stampOf(report), fetched }));
  await hear(true);
  await hear(false);
  await hear(true);
  return tenant.invoice(invoiceId);
}

const write = (invoiceId: number, column: string, amount: number) =>
  world.db.query(`update invoices set ${column} = ${column} + $3 where tenant_id = $1 and id = $2`, [
    tenant.id,
    invoiceId,
    amount,
  ]);

test('a cheque stays paid when a card pays the rest', async () => {
  const invoiceId = await tenant.anInvoice();
  await write(invoiceId, 'amount_paid', 4_000);
  expect(await pay(invoiceId, 2_500)).toMatchObject({
    status: 'OPEN',
    payment_status: 'PARTIALLY_PAID',
    amount_paid: '6500',
  });
  await expect(tenant.payments.createPaymentIntent(aRequest({ invoiceId, amount: 3_501 }))).rejects.toMatchObject({
    code: 'BAD_USER_INPUT',
  });
  expect(await pay(invoiceId, 3_500)).toMatchObject({ status: 'PAID', payment_status: 'PAID', amount_paid: '10000' });
  expect((await tenant.invoice(invoiceId)).paid_at).not.toBeNull();
});

test('a cheque between two payments stays paid, too', async () => {
  const invoiceId = await tenant.anInvoice();
  await pay(invoiceId, 1_000);
  await write(invoiceId, 'amount_paid', 4_000);
  expect(await pay(invoiceId, 5_000)).toMatchObject({ status: 'PAID', amount_paid: '10000' });
});

test('what credit took the place of need not be paid', async () => {
  const invoiceId = await tenant.anInvoice();
  await write(invoiceId, 'amount_credited', 4_000);
  expect(await pay(invoiceId, 6_000)).toMatchObject({ status: 'PAID', payment_status: 'PAID', amount_paid: '6000' });
});
