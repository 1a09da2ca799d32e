import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { StripeError } from '../errors.js';
import { newId } from '../ids.js';
import { embeddedList } from '../list.js';
import { checkAmount } from '../money.js';
import { idOf } from '../objects.js';
import { applicationId } from '../resources/balance.js';
import { creditsOf, discountLines, discountsOf } from './discounts.js';
import { lineFrom, type LineSpec } from './lines.js';
import { daySeconds } from './settings.js';

type Invoice = Stripe.Invoice;

/** What the sandbox remembers of an invoice besides the object. */
export interface InvoiceState {
  /** Set on the draft; wins over the percentage. The object itself does not show it any more. */
  applicationFee: number | null;
  /** Percentage of the subscription it belongs to, as it was when the invoice was made. */
  feePercent: number | null;
  daysUntilDue: number | null;
  /** Failed attempts of the schedule. */
  retries: number;
  /** The attempt that runs was made by the schedule, not by somebody. */
  automatic: boolean;
  /** A method that the bank refused for good: it is not tried again. */
  refused: string | null;
  /** Of the hosted page. */
  token: string;
}

export const invoiceState = (ctx: Context, id: string): Partial<InvoiceState> => ctx.secret<InvoiceState>(id);

export interface NewInvoice {
  customer: Stripe.Customer;
  currency: string;
  reason: Stripe.Invoice.BillingReason;
  collection?: Stripe.Invoice.CollectionMethod;
  daysUntilDue?: number | null;
  /** Unix seconds; drafts that advance by themselves. */
  finalizesAt?: number | null;
  autoAdvance?: boolean;
  subscription?: Stripe.Subscription | null;
  period?: { start: number; end: number };
  /** In the order in which they are taken off. */
  discounts?: readonly Stripe.Discount[];
  description?: string | null;
  metadata?: Stripe.Metadata;
  footer?: string | null;
}

/** An invoice without lines, not yet kept: {@link insertInvoice} does that, previews never do. */
export function blankInvoice(ctx: Context, given: NewInvoice): Invoice {
  const { customer, subscription = null } = given;
  const account = ctx.platform.table('account').get(ctx.account);
  const id = newId('invoice');
  const now = ctx.now;
  const collection = given.collection ?? 'charge_automatically';
  const finalizesAt = given.finalizesAt ?? null;
  return {
    id,
    object: 'invoice',
    account_country: account?.country ?? 'US',
    account_name: account?.settings?.dashboard.display_name ?? account?.business_profile?.name ?? null,
    account_tax_ids: null,
    amount_due: 0,
    amount_overpaid: 0,
    amount_paid: 0,
    amount_remaining: 0,
    amount_shipping: 0,
    application: ctx.isPlatform ? null : applicationId,
    attempt_count: 0,
    attempted: false,
    auto_advance: given.autoAdvance ?? finalizesAt !== null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null, provider: null, status: null },
    automatically_finalizes_at: finalizesAt,
    billing_reason: given.reason,
    collection_method: collection,
    created: now,
    currency: given.currency,
    custom_fields: null,
    customer: customer.id,
    customer_account: null,
    customer_address: customer.address ?? null,
    customer_email: customer.email,
    customer_name: customer.name ?? null,
    customer_phone: customer.phone ?? null,
    customer_shipping: customer.shipping,
    customer_tax_exempt: customer.tax_exempt ?? 'none',
    customer_tax_ids: [],
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: given.description ?? null,
    discounts: (given.discounts ?? []).map((discount) => discount.id),
    due_date: null,
    effective_at: null,
    ending_balance: null,
    footer: given.footer ?? null,
    from_invoice: null,
    hosted_invoice_url: null,
    invoice_pdf: null,
    issuer: { type: 'self' },
    last_finalization_error: null,
    latest_revision: null,
    lines: embeddedList<Stripe.InvoiceLineItem>([], `/v1/invoices/${id}/lines`),
    livemode: false,
    metadata: given.metadata ?? {},
    next_payment_attempt: collection === 'charge_automatically' ? finalizesAt : null,
    number: null,
    on_behalf_of: null,
    parent: subscription && {
      quote_details: null,
      subscription_details: { metadata: { ...subscription.metadata }, subscription: subscription.id },
      type: 'subscription_details',
    },
    payment_settings: { default_mandate: null, payment_method_options: null, payment_method_types: null },
    period_end: given.period?.end ?? now,
    period_start: given.period?.start ?? now,
    post_payment_credit_notes_amount: 0,
    pre_payment_credit_notes_amount: 0,
    receipt_number: null,
    rendering: null,
    shipping_cost: null,
    shipping_details: null,
    starting_balance: customer.balance,
    statement_descriptor: null,
    status: 'draft',
    status_transitions: { finalized_at: null, marked_uncollectible_at: null, paid_at: null, voided_at: null },
    subtotal: 0,
    subtotal_excluding_tax: 0,
    test_clock: idOf(customer.test_clock),
    total: 0,
    total_discount_amounts: [],
    total_excluding_tax: 0,
    total_pretax_credit_amounts: [],
    total_taxes: [],
    webhooks_delivered_at: now,
  };
}

/** Keeps a new invoice. Its event is the caller's, once the lines are on it. */
export function insertInvoice(ctx: Context, given: NewInvoice): Invoice {
  const invoice = blankInvoice(ctx, given);
  const state = invoiceState(ctx, invoice.id);
  state.daysUntilDue = given.daysUntilDue ?? null;
  state.feePercent = given.subscription?.application_fee_percent ?? null;
  return ctx.table('invoice').insert(invoice);
}

/** All lines, in order; the invoice itself shows the first ten. */
export function linesOf(ctx: Context, invoice: Invoice): Stripe.InvoiceLineItem[] {
  return ctx.table('line_item').by('invoice', invoice.id);
}

/** Adds lines to a draft and sums it up. */
export function addLines(ctx: Context, invoice: Invoice, specs: LineSpec[]): Stripe.InvoiceLineItem[] {
  const lines = specs.map((spec) => ctx.table('line_item').insert(lineFrom(spec, invoice.id)));
  sumUp(ctx, invoice);
  return lines;
}

/** Totals of a draft from its lines. */
export function sumUp(ctx: Context, invoice: Invoice, lines = linesOf(ctx, invoice)): void {
  takeTotals(ctx, invoice, lines, discountsOf(ctx, { discounts: invoice.discounts.map((one) => idOf(one)) }));
  const customer = ctx.table('customer').get(idOf(invoice.customer) ?? '');
  invoice.starting_balance = customer?.balance ?? 0;
  invoice.amount_due = invoice.amount_remaining = settle(invoice).due;
}

/** Puts lines on an invoice, and the sums of them less these discounts. */
export function takeTotals(
  ctx: Context,
  invoice: Invoice,
  lines: Stripe.InvoiceLineItem[],
  discounts: readonly Stripe.Discount[],
): void {
  const taken = discountLines(ctx, lines, discounts);
  const subtotal = lines.reduce((sum, line) => sum + line.amount, 0);
  invoice.lines = embeddedList<Stripe.InvoiceLineItem>(lines, `/v1/invoices/${invoice.id}/lines`);
  invoice.subtotal = invoice.subtotal_excluding_tax = subtotal;
  invoice.total_discount_amounts = taken;
  invoice.total_pretax_credit_amounts = creditsOf(taken);
  invoice.total = invoice.total_excluding_tax = subtotal - taken.reduce((sum, { amount }) => sum + amount, 0);
}

/**
 * What is to be paid, and what the customer's balance becomes. A credit is used up first; what is too little to be charged waits on the
 * balance for the next invoice. {@link https://docs.stripe.com/billing/customer/balance}
 */
export function settle(invoice: Invoice): { due: number; balance: number } {
  const sum = invoice.total + invoice.starting_balance;
  if (sum <= 0) return { due: 0, balance: sum };
  if (isTooSmall(sum, invoice.currency)) return { due: 0, balance: sum };
  return { due: sum, balance: 0 };
}

function isTooSmall(amount: number, currency: string): boolean {
  try {
    checkAmount(amount, currency);
    return false;
  } catch (error) {
    return error instanceof StripeError && error.fields.code === 'amount_too_small';
  }
}

/** The subscription an invoice belongs to, as long as it is kept. */
export function subscriptionOf(ctx: Context, invoice: Invoice): Stripe.Subscription | undefined {
  const id = idOf(invoice.parent?.subscription_details?.subscription);
  return id === null ? undefined : ctx.table('subscription').get(id);
}

/** The platform's share of what is due: as set on the draft, otherwise the subscription's percentage. Null when there is none. */
export function applicationFee(ctx: Context, invoice: Invoice): number | null {
  const { applicationFee: fixed = null, feePercent = null } = invoiceState(ctx, invoice.id);
  const fee = fixed ?? (feePercent === null ? 0 : Math.round((invoice.amount_due * feePercent) / 100));
  // Stripe takes no more than was paid; an intent wants it below its amount.
  const capped = Math.min(fee, invoice.amount_due - 1);
  return capped > 0 ? capped : null;
}

/** When an invoice that is sent must be paid. */
export function dueDate(ctx: Context, invoice: Invoice): number | null {
  if (invoice.collection_method !== 'send_invoice') return null;
  return invoice.due_date ?? ctx.now + (invoiceState(ctx, invoice.id).daysUntilDue ?? 30) * daySeconds;
}
