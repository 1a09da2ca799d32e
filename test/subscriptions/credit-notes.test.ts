import { startApp, type TestApp } from '../support/harness.js';
import { aBillingTenant, type BillingTenant, type Facts, giveMethod } from './support.js';

let app: TestApp;
let tenant: BillingTenant;

beforeAll(async () => {
  app = await startApp();
  tenant = await aBillingTenant(app);
});
afterAll(() => app.stop());

const read = `query ($id: Int!) { invoice(id: $id) { status paymentStatus total { amount } amountDue { amount } amountPaid { amount }
  amountCredited { amount } cycle { creditNoted { amount } } } }`;

/** The newest invoice of a contract over 100.00 a month: the first, which is paid, or a renewal that its card did not pay. */
async function anInvoice({ open = false } = {}): Promise<{ id: number; stripeId: string }> {
  const contract = await tenant.aSubscription({ contract: { unit_amount: 10_000, quantity: 1 } });
  if (open) {
    const method = await giveMethod(tenant, contract.customer.stripeId, 'pm_card_chargeCustomerFail');
    await tenant.stripe('POST', `/subscriptions/${contract.stripeId}`, { default_payment_method: method });
    await tenant.advance(31 * 86_400 + 7_200);
  } else await tenant.settled();
  const [invoice] = await tenant.rows(
    `select i.id, c.stripe_invoice_id as "stripeId" from invoices i join stripe_invoices c on c.tenant_id = i.tenant_id and c.invoice_id = i.id
     where i.tenant_id = $1 and i.subscription_id = $2 order by i.id desc limit 1`,
    contract.id,
  );
  return invoice as { id: number; stripeId: string };
}

const facts = async (id: number): Promise<Facts> => (await tenant.ask(read, { id })).invoice;
const money = (amount: number) => ({ amount });

test('a note of an open renewal lowers what is due, and raises it again when it is withdrawn', async () => {
  const { id, stripeId } = await anInvoice({ open: true });
  expect(await facts(id)).toMatchObject({ status: 'OPEN', amountDue: money(10_000) });
  const note = await tenant.stripe<Facts>('POST', '/credit_notes', { invoice: stripeId, amount: '2500' });
  await tenant.settled();
  expect(await facts(id)).toMatchObject({
    ...{ status: 'OPEN', total: money(10_000), amountDue: money(7_500), amountCredited: money(2_500) },
    cycle: { creditNoted: money(2_500) },
  });
  await tenant.stripe('POST', `/credit_notes/${note.id}/void`, {});
  await tenant.settled();
  expect(await facts(id)).toMatchObject({
    ...{ status: 'OPEN', amountDue: money(10_000), amountCredited: money(0) },
    cycle: { creditNoted: money(0) },
  });
  await tenant.stripe('POST', '/credit_notes', { invoice: stripeId, amount: '10000' });
  await tenant.settled();
  expect(await facts(id)).toMatchObject({
    ...{ status: 'PAID', amountDue: money(0), amountPaid: money(0), amountCredited: money(10_000) },
  });
});

test('a note of a paid invoice shows beside what was paid, and its refund with the payment, also out of order', async () => {
  const { id, stripeId } = await anInvoice();
  await app.sandbox.control('/deliveries/faults', { duplicate: 0.5, reorder_ms: 200 });
  const form = { invoice: stripeId, amount: '4000', refund_amount: '3000', credit_amount: '1000' };
  await tenant.stripe('POST', '/credit_notes', form);
  await tenant.settled();
  await app.sandbox.control('/deliveries/faults', { duplicate: 0, reorder_ms: 0 });
  expect(await facts(id)).toMatchObject({
    ...{ status: 'PAID', paymentStatus: 'PAID', amountPaid: money(10_000), amountCredited: money(0) },
    cycle: { creditNoted: money(4_000) },
  });
  const payments = await tenant.rows(
    'select amount_received, amount_refunded from payments where tenant_id = $1 and invoice_id = $2',
    id,
  );
  expect(payments).toEqual([{ amount_received: '10000', amount_refunded: '3000' }]);
});
