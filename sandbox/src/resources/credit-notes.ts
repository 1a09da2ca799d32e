import type Stripe from 'stripe';
import { settlePaid } from '../billing/invoice-flow.js';
import { decimal } from '../billing/amounts.js';
import { linesOf } from '../billing/invoice.js';
import { atMoment } from '../billing/moment.js';
import { defaultIntent, paymentsOf } from '../billing/payments.js';
import { unsupported } from '../billing/unsupported.js';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { createRefund } from './refunds.js';

type CreditNote = Stripe.CreditNote;
type Line = Stripe.CreditNoteLineItem;

const createParams = {
  invoice: p.string().required(),
  amount: p.int(),
  lines: p.array(
    p.hash({
      type: p.enum('invoice_line_item', 'custom_line_item').required(),
      amount: p.int(),
      description: p.string(),
      invoice_line_item: p.string(),
      metadata: p.metadata(),
      quantity: p.int(),
      unit_amount: p.int(),
      tax_amounts: unsupported('taxes'),
      tax_rates: unsupported('taxes'),
      unit_amount_decimal: unsupported('decimal amounts of credit notes'),
    }),
  ),
  memo: p.string(),
  metadata: p.metadata(),
  reason: p.enum('duplicate', 'fraudulent', 'order_change', 'product_unsatisfactory'),
  refund_amount: p.int(),
  credit_amount: p.int(),
  out_of_band_amount: p.int(),
  effective_at: p.timestamp(),
  email_type: p.enum('credit_note', 'none'),
  refunds: unsupported('refunds that are there already as part of a credit note: give refund_amount'),
  shipping_cost: unsupported('shipping'),
};
type CreateParams = Params<typeof createParams>;
type LineParams = NonNullable<CreateParams['lines']>[number];

function amountOf({ amount, quantity = 1, unit_amount: unit }: LineParams, whole: number | null): number {
  const given = amount ?? (unit === undefined ? whole : unit * quantity);
  if (given === null) throw invalid('You must specify an `amount`, or a `unit_amount` and a `quantity`.', 'lines');
  if (given <= 0) throw invalid('The amount of a credit note line must be positive.', 'lines');
  return given;
}

/** What is taken back of the invoice, line by line; an amount alone is one line of its own. */
function linesFor(ctx: Context, invoice: Stripe.Invoice, { amount, lines }: CreateParams): Line[] {
  if ((amount === undefined) === (lines === undefined))
    throw invalid('You must pass one of `amount` or `lines` to create a credit note.', 'amount');
  const specs: LineParams[] = lines ?? [{ type: 'custom_line_item', amount, description: 'Credit' }];
  return specs.map((spec) => {
    const billed =
      spec.invoice_line_item === undefined
        ? undefined
        : linesOf(ctx, invoice).find(({ id }) => id === spec.invoice_line_item);
    if (spec.type === 'invoice_line_item' && !billed)
      throw invalid('No such line on this invoice.', 'lines', 'resource_missing');
    return {
      id: newId('credit_note_line_item'),
      object: 'credit_note_line_item',
      amount: amountOf(spec, billed?.amount ?? null),
      description: spec.description ?? billed?.description ?? null,
      discount_amount: 0,
      discount_amounts: [],
      ...(billed && { invoice_line_item: billed.id }),
      livemode: false,
      metadata: mergeMetadata({}, spec.metadata),
      pretax_credit_amounts: [],
      quantity: spec.quantity ?? null,
      tax_rates: [],
      taxes: [],
      type: spec.type,
      unit_amount: spec.unit_amount ?? null,
      unit_amount_decimal: spec.unit_amount === undefined ? null : decimal(spec.unit_amount),
    };
  });
}

/** How much of the invoice's total no note has taken back yet. */
function creditable({
  total,
  pre_payment_credit_notes_amount: pre,
  post_payment_credit_notes_amount: post,
}: Stripe.Invoice): number {
  return total - pre - post;
}

/** What was paid already goes back in some way; the three must be all of it. */
function checkReturn(post: number, params: CreateParams): void {
  const { refund_amount: refund = 0, credit_amount: credit = 0, out_of_band_amount: outside = 0 } = params;
  if (refund + credit + outside !== post)
    throw invalid(
      `The sum of credit amount, refund amount and out of band amount (${refund + credit + outside}) must equal the post payment credit note amount (${post}).`,
      refund > 0 ? 'refund_amount' : 'credit_amount',
    );
}

/**
 * Takes something of a finalized invoice back: first of what is still to be paid, then of what was.
 * {@link https://docs.stripe.com/api/credit_notes/create}
 */
function createNote(ctx: Context, params: CreateParams): CreditNote {
  const invoice = ctx.table('invoice').require(params.invoice, 'invoice');
  if (invoice.status !== 'open' && invoice.status !== 'paid')
    throw invalid('Credit notes can only be created for open or paid invoices.', 'invoice');
  const lines = linesFor(ctx, invoice, params);
  const total = lines.reduce((sum, { amount }) => sum + amount, 0);
  if (total > creditable(invoice))
    throw invalid(
      `The credit note's total (${total}) cannot be more than what is left of the invoice (${creditable(invoice)}).`,
      'amount',
    );
  const pre = Math.min(total, invoice.amount_remaining);
  const post = total - pre;
  checkReturn(post, params);
  if (pre > 0 && defaultIntent(ctx, invoice.id)?.status === 'processing')
    throw invalid('You cannot credit this invoice: a payment of it is being processed.', 'invoice');
  const refund = params.refund_amount ? refundOf(ctx, invoice, params.refund_amount) : null;
  const notes = ctx.table('credit_note').by('invoice', invoice.id).length;
  const id = newId('credit_note');
  const note = ctx.table('credit_note').insert({
    id,
    object: 'credit_note',
    amount: total,
    amount_shipping: 0,
    created: ctx.now,
    currency: invoice.currency,
    customer: idOf(invoice.customer)!,
    customer_account: null,
    customer_balance_transaction: null,
    discount_amount: 0,
    discount_amounts: [],
    effective_at: params.effective_at ?? ctx.now,
    invoice: invoice.id,
    lines: embeddedList<Line>(lines, `/v1/credit_notes/${id}/lines`),
    livemode: false,
    memo: params.memo ?? null,
    metadata: mergeMetadata({}, params.metadata),
    number: `${invoice.number}-CN-${String(notes + 1).padStart(2, '0')}`,
    out_of_band_amount: params.out_of_band_amount ?? null,
    pdf: `${ctx.url}/credit_notes/${id}/pdf`,
    post_payment_amount: post,
    pre_payment_amount: pre,
    pretax_credit_amounts: [],
    reason: params.reason ?? null,
    refunds: refund
      ? [{ amount_refunded: refund.amount, payment_record_refund: null, refund: refund.id, type: 'refund' }]
      : [],
    shipping_cost: null,
    status: 'issued',
    subtotal: total,
    subtotal_excluding_tax: total,
    total,
    total_excluding_tax: total,
    total_taxes: [],
    type: pre === 0 ? 'post_payment' : post === 0 ? 'pre_payment' : 'mixed',
    voided_at: null,
  });
  ctx.secret<{ lines: Line[] }>(id).lines = lines;
  ctx.emit('credit_note.created', note);
  changeDue(ctx, invoice, { pre, post });
  const customer = ctx.table('customer').get(idOf(invoice.customer) ?? '');
  if (params.credit_amount && customer)
    ctx.change(customer, 'customer.updated', () => (customer.balance -= params.credit_amount!));
  return note;
}

function refundOf(ctx: Context, invoice: Stripe.Invoice, amount: number): Stripe.Refund {
  const paid = paymentsOf(ctx, invoice.id).find(({ status }) => status === 'paid');
  const intent = idOf(paid?.payment.payment_intent);
  if (intent === null) throw invalid('This invoice has no payment that could be refunded.', 'refund_amount');
  return createRefund(ctx, { payment_intent: intent, amount });
}

/** The invoice after a note of so much, or after one was withdrawn: below zero. With nothing left to pay it is paid. */
function changeDue(ctx: Context, invoice: Stripe.Invoice, { pre, post }: { pre: number; post: number }): void {
  ctx.change(invoice, 'invoice.updated', () => {
    invoice.pre_payment_credit_notes_amount += pre;
    invoice.post_payment_credit_notes_amount += post;
    invoice.amount_due -= pre;
    invoice.amount_remaining -= pre;
  });
  if (pre === 0 || invoice.status !== 'open') return;
  if (invoice.amount_remaining === 0) return settlePaid(ctx, invoice, { paid: invoice.amount_paid });
  const own = defaultIntent(ctx, invoice.id);
  if (own && own.status !== 'succeeded' && own.status !== 'canceled') own.amount = invoice.amount_remaining;
}

/** @throws StripeError 400 once its invoice is no longer open */
function voidNote(ctx: Context, note: CreditNote): CreditNote {
  const invoice = ctx.table('invoice').require(idOf(note.invoice), 'invoice');
  if (note.status === 'void') throw invalid('This credit note is void already.', 'id');
  if (invoice.status !== 'open' || note.post_payment_amount > 0)
    throw invalid('You can only void a credit note of an open invoice.', 'id');
  note.status = 'void';
  note.voided_at = ctx.now;
  ctx.emit('credit_note.voided', note);
  changeDue(ctx, invoice, { pre: -note.pre_payment_amount, post: 0 });
  return note;
}

const noteOf = (ctx: Context, id: string): CreditNote => ctx.table('credit_note').require(id, 'id');

function timely<T>(ctx: Context, invoiceId: string, work: () => T): T {
  return atMoment(ctx, ctx.table('invoice').require(invoiceId, 'invoice'), work);
}

/** Credit notes. {@link https://docs.stripe.com/api/credit_notes} */
export const creditNotes: Resource = {
  routes: [
    route('POST', '/v1/credit_notes', createParams, (ctx, params) =>
      timely(ctx, params.invoice, () => createNote(ctx, params)),
    ),
    route(
      'GET',
      '/v1/credit_notes',
      { ...listParams, created: p.range(), customer: p.string(), invoice: p.string() },
      (ctx, { customer, invoice, created, ...page }) =>
        listPage(
          ctx.table('credit_note'),
          '/v1/credit_notes',
          page,
          (note) =>
            (customer === undefined || note.customer === customer) &&
            (invoice === undefined || note.invoice === invoice) &&
            inRange(note.created, created),
        ),
    ),
    route('GET', '/v1/credit_notes/:id', {}, (ctx, _params, { id }) => noteOf(ctx, id)),
    route(
      'POST',
      '/v1/credit_notes/:id',
      { memo: p.string(), metadata: p.metadata() },
      (ctx, { memo, metadata }, { id }) => {
        const note = noteOf(ctx, id);
        return ctx.change(note, 'credit_note.updated', () => {
          if (memo !== undefined) note.memo = memo;
          note.metadata = mergeMetadata(note.metadata ?? {}, metadata);
        });
      },
    ),
    route('POST', '/v1/credit_notes/:id/void', {}, (ctx, _params, { id }) => {
      const note = noteOf(ctx, id);
      return timely(ctx, idOf(note.invoice), () => voidNote(ctx, note));
    }),
    route('GET', '/v1/credit_notes/:id/lines', listParams, (ctx, page, { id }) => {
      const { lines = [] } = ctx.secret<{ lines: Line[] }>(noteOf(ctx, id).id);
      return listPage(lines, `/v1/credit_notes/${id}/lines`, page);
    }),
  ],
};
