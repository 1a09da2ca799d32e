import type Stripe from 'stripe';
import { aBilling, type Billing } from './support/billing.js';
import { failure } from './support/stripe.js';

let billing: Billing;
let stripe: Stripe;
beforeAll(async () => {
  billing = await aBilling();
  stripe = billing.stripe;
});
afterEach(() => expect(billing.violations()).toEqual([]));
afterAll(() => billing.stop());

/** An invoice over 50.00: open, or paid. */
async function anInvoice({ paid = false } = {}): Promise<Stripe.Invoice> {
  const { id: customer } = await billing.aCustomer();
  await stripe.invoiceItems.create({ customer, amount: 5_000, currency: 'usd', description: 'Hours' });
  const draft = await stripe.invoices.create({
    customer,
    collection_method: 'send_invoice',
    days_until_due: 30,
    pending_invoice_items_behavior: 'include',
  });
  const open = await stripe.invoices.finalizeInvoice(draft.id);
  billing.news();
  if (!paid) return open;
  const done = await stripe.invoices.pay(open.id);
  billing.news();
  return done;
}

test('of an open invoice less is due, and its payment is over the rest', async () => {
  const invoice = await anInvoice();
  const note = await stripe.creditNotes.create({ invoice: invoice.id, amount: 1_500, reason: 'order_change' });
  expect(note).toMatchObject({
    number: `${invoice.number}-CN-01`,
    status: 'issued',
    type: 'pre_payment',
    ...{ amount: 1_500, pre_payment_amount: 1_500, post_payment_amount: 0, refunds: [] },
    lines: { data: [{ type: 'custom_line_item', amount: 1_500 }] },
  });
  expect(billing.news()).toEqual(['credit_note.created', 'invoice.updated']);
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({
    ...{ status: 'open', total: 5_000, amount_due: 3_500, amount_remaining: 3_500 },
    ...{ pre_payment_credit_notes_amount: 1_500, post_payment_credit_notes_amount: 0 },
  });
  expect((await billing.intentOf(invoice)).amount).toBe(3_500);
  const paid = await stripe.invoices.pay(invoice.id);
  expect(paid).toMatchObject({ status: 'paid', amount_paid: 3_500, amount_remaining: 0 });
});

test('credited in full it is paid, with nothing', async () => {
  const invoice = await anInvoice();
  const [line] = invoice.lines.data;
  const lines = [{ type: 'invoice_line_item' as const, invoice_line_item: line!.id }];
  await stripe.creditNotes.create({ invoice: invoice.id, lines });
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({ status: 'paid', amount_paid: 0, amount_due: 0 });
  expect((await billing.intentOf(invoice)).status).toBe('canceled');
  expect(billing.news()).toEqual(expect.arrayContaining(['credit_note.created', 'invoice.updated', 'invoice.paid']));
});

test('a note of an open invoice can be withdrawn, once; one of a paid invoice cannot', async () => {
  const invoice = await anInvoice();
  const { id } = await stripe.creditNotes.create({ invoice: invoice.id, amount: 1_500 });
  billing.news();
  const withdrawn = await stripe.creditNotes.voidCreditNote(id);
  expect(withdrawn).toMatchObject({ status: 'void', voided_at: expect.any(Number) });
  expect(billing.news()).toEqual(['credit_note.voided', 'invoice.updated']);
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({
    ...{ amount_due: 5_000, amount_remaining: 5_000, pre_payment_credit_notes_amount: 0 },
  });
  expect(await failure(stripe.creditNotes.voidCreditNote(id))).toMatchObject({ type: 'StripeInvalidRequestError' });
  const paid = await anInvoice({ paid: true });
  const late = await stripe.creditNotes.create({ invoice: paid.id, amount: 500, out_of_band_amount: 500 });
  expect((await failure(stripe.creditNotes.voidCreditNote(late.id))).message).toMatch(/open invoice/);
});

test('what was paid goes back as refund, as credit, or outside, and the three are all of it', async () => {
  const invoice = await anInvoice({ paid: true });
  const create = (more: Partial<Stripe.CreditNoteCreateParams>) =>
    stripe.creditNotes.create({ invoice: invoice.id, amount: 3_000, ...more });
  expect((await failure(create({ refund_amount: 1_000 }))).message).toMatch(/must equal/);
  const note = await create({ refund_amount: 1_000, credit_amount: 1_500, out_of_band_amount: 500 });
  expect(note).toMatchObject({
    ...{ type: 'post_payment', post_payment_amount: 3_000, out_of_band_amount: 500 },
    refunds: [{ amount_refunded: 1_000, refund: expect.stringMatching(/^re_/) }],
  });
  expect(await stripe.invoices.retrieve(invoice.id)).toMatchObject({
    ...{ status: 'paid', amount_paid: 5_000, post_payment_credit_notes_amount: 3_000 },
  });
  const customer = await stripe.customers.retrieve(invoice.customer as string);
  expect(customer).toMatchObject({ balance: -1_500 });
  expect(await failure(create({ amount: 2_001, credit_amount: 2_001 }))).toMatchObject({ param: 'amount' });
});

test('notes are listed by invoice, and their lines by note; a note keeps what is written on it', async () => {
  const invoice = await anInvoice();
  const lines = [1, 2].map((unit) => ({
    ...{ type: 'custom_line_item' as const, description: `Part ${unit}`, quantity: 2, unit_amount: unit * 100 },
  }));
  const note = await stripe.creditNotes.create({ invoice: invoice.id, lines, memo: 'Sorry' });
  expect(note.amount).toBe(600);
  expect((await stripe.creditNotes.list({ invoice: invoice.id })).data.map(({ id }) => id)).toEqual([note.id]);
  expect((await stripe.creditNotes.list({ customer: 'cus_other' })).data).toEqual([]);
  const page = await stripe.creditNotes.listLineItems(note.id, { limit: 1 });
  expect(page).toMatchObject({ has_more: true, data: [{ amount: 200, quantity: 2 }] });
  billing.news();
  expect(await stripe.creditNotes.update(note.id, { metadata: { a: 'b' } })).toMatchObject({
    ...{ memo: 'Sorry', metadata: { a: 'b' } },
  });
  expect(billing.news()).toEqual(['credit_note.updated']);
  expect(await stripe.creditNotes.retrieve(note.id, { expand: ['invoice'] })).toMatchObject({
    invoice: { id: invoice.id },
  });
});
