import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, StripeError } from '../errors.js';
import { randomText } from '../ids.js';
import { idOf } from '../objects.js';
import { type InvoiceChange } from '../resource.js';
import { behaviourOf, type MethodState } from '../resources/payment-methods.js';
import { confirmIntent, createIntent } from '../resources/payment-intents.js';
import { applicationFee, dueDate, invoiceState, settle, subscriptionOf, sumUp } from './invoice.js';
import { addPayment, cancelPayments, defaultIntent, paymentOfIntent } from './payments.js';
import { billingSettings, daySeconds } from './settings.js';

type Invoice = Stripe.Invoice;

function tell(ctx: Context, invoice: Invoice, change: InvoiceChange): void {
  ctx.sandbox.hook('invoiceChanged', ctx, invoice, change);
}

/** 400 in the words Stripe has for a document that is past changing. */
export function notEditable(message: string): StripeError {
  return invalid(message, undefined, 'invoice_not_editable');
}

const customerOf = (ctx: Context, invoice: Invoice): Stripe.Customer | undefined =>
  ctx.table('customer').get(idOf(invoice.customer) ?? '');

function setBalance(ctx: Context, customer: Stripe.Customer | undefined, balance: number): void {
  if (customer && customer.balance !== balance)
    ctx.change(customer, 'customer.updated', () => (customer.balance = balance));
}

function setDelinquent(ctx: Context, invoice: Invoice, delinquent: boolean): void {
  const customer = customerOf(ctx, invoice);
  if (customer && customer.delinquent !== delinquent)
    ctx.change(customer, 'customer.updated', () => (customer.delinquent = delinquent));
}

/**
 * Draft → open: the number, the customer's balance, the payment intent. An invoice with nothing to pay is paid at once.
 * {@link https://docs.stripe.com/invoicing/integration/workflow-transitions}
 *
 * @param options.autoAdvance collects by itself later; what was finalized by its own schedule is collected by the caller
 * @throws StripeError 400 when it is no draft, or the account cannot charge
 */
export function finalizeInvoice(ctx: Context, invoice: Invoice, options: { autoAdvance?: boolean } = {}): Invoice {
  if (invoice.status !== 'draft')
    throw notEditable("This invoice is already finalized, you can't re-finalize a non-draft invoice.");
  sumUp(ctx, invoice);
  const customer = customerOf(ctx, invoice);
  if (!customer) throw invalid('The customer of this invoice was deleted.', 'customer');
  const { due, balance } = settle(invoice);
  invoice.amount_due = invoice.amount_remaining = due;
  if (due > 0) openIntent(ctx, invoice, customer);
  const sequence = customer.next_invoice_sequence ?? 1;
  invoice.number ??= `${customer.invoice_prefix}-${String(sequence).padStart(4, '0')}`;
  customer.next_invoice_sequence = sequence + 1;
  invoice.status = 'open';
  invoice.ending_balance = balance;
  invoice.effective_at ??= ctx.now;
  invoice.status_transitions.finalized_at = ctx.now;
  invoice.automatically_finalizes_at = null;
  invoice.next_payment_attempt = null;
  invoice.due_date = dueDate(ctx, invoice);
  if (options.autoAdvance !== undefined) invoice.auto_advance = options.autoAdvance;
  const token = (invoiceState(ctx, invoice.id).token = randomText(24));
  invoice.hosted_invoice_url = `${ctx.url}/i/${ctx.account}/${token}`;
  invoice.invoice_pdf = `${invoice.hosted_invoice_url}/pdf`;
  ctx.secret<{ invoice: string }>(`invoice_page_${token}`).invoice = invoice.id;
  if (due > 0 && invoice.due_date !== null)
    ctx.schedule(invoice.due_date, 'invoice.overdue', invoice.id, idOf(invoice.test_clock));
  ctx.emit('invoice.finalized', invoice);
  setBalance(ctx, customer, balance);
  if (due === 0) settlePaid(ctx, invoice);
  return invoice;
}

/** The intent of an invoice books at once; it is made when the invoice is finalized. */
function openIntent(ctx: Context, invoice: Invoice, customer: Stripe.Customer): void {
  const subscription = subscriptionOf(ctx, invoice);
  const fee = applicationFee(ctx, invoice);
  const method = invoice.collection_method === 'charge_automatically' ? collectFrom(ctx, invoice) : null;
  const intent = createIntent(
    ctx,
    {
      amount: invoice.amount_due,
      currency: invoice.currency,
      customer: customer.id,
      description: subscription ? describe(invoice) : 'Payment for Invoice',
      ...(fee !== null && { application_fee_amount: fee }),
      ...(method && { payment_method: method.id }),
      ...(subscription?.collection_method === 'charge_automatically' && { setup_future_usage: 'off_session' as const }),
    },
    { internal: true },
  );
  addPayment(ctx, invoice, intent, true);
}

function describe({ billing_reason: reason }: Invoice): string {
  return reason === 'subscription_create' ? 'Subscription creation' : 'Subscription update';
}

/**
 * What an automatic attempt charges: the invoice's own method, then the subscription's, then the customer's default.
 * {@link https://docs.stripe.com/billing/subscriptions/overview#payment-methods}
 */
function collectFrom(ctx: Context, invoice: Invoice): Stripe.PaymentMethod | null {
  const customer = customerOf(ctx, invoice);
  for (const candidate of [
    invoice.default_payment_method,
    subscriptionOf(ctx, invoice)?.default_payment_method,
    customer?.invoice_settings.default_payment_method,
  ]) {
    const method = ctx.table('payment_method').get(idOf(candidate) ?? '');
    if (method && method.customer === customer?.id) return method;
  }
  return null;
}

/**
 * One attempt to pay an open invoice.
 * @returns the 402 of a declined card; null when it went through, is processing or waits for the customer
 * @throws StripeError 400 when there is nothing to charge
 */
export function attemptPayment(
  ctx: Context,
  invoice: Invoice,
  options: { method?: Stripe.PaymentMethod; automatic?: boolean; offSession?: boolean } = {},
): StripeError | null {
  const intent = defaultIntent(ctx, invoice.id);
  const method = options.method ?? collectFrom(ctx, invoice);
  const state = invoiceState(ctx, invoice.id);
  state.automatic = options.automatic ?? false;
  try {
    // The bank said never again: the schedule runs on, but the same card is not asked.
    if (options.automatic && (!intent || !method || state.refused === method.id)) {
      recordFailure(ctx, invoice);
      return null;
    }
    if (!intent || !method) {
      throw invalid(
        'There is no `default_payment_method` set on this Customer or Invoice. Please set a `default_payment_method` and try again.',
        undefined,
        'resource_missing',
      );
    }
    const { setUp = false } = ctx.secret<MethodState>(method.id);
    // A card that was prepared for this passes alone; any other that asks for its owner makes the invoice wait for them.
    const alone = behaviourOf(ctx, method.id).authentication === 'unless_set_up' && setUp;
    confirmIntent(
      ctx,
      intent,
      { payment_method: method.id, off_session: options.offSession ?? alone },
      { internal: true },
    );
    return null;
  } catch (error) {
    if (!(error instanceof StripeError)) throw error;
    if (error.status === 402) return error;
    if (!options.automatic) throw error;
    // The account may not charge any more, for instance.
    recordFailure(ctx, invoice);
    return null;
  } finally {
    delete state.automatic;
  }
}

/** When the schedule tries next; null when it is over or does not apply. */
function nextAttempt(ctx: Context, invoice: Invoice, retries: number): number | null {
  const subscription = subscriptionOf(ctx, invoice);
  if (!invoice.auto_advance || invoice.collection_method !== 'charge_automatically') return null;
  if (subscription && ['incomplete', 'incomplete_expired', 'canceled'].includes(subscription.status)) return null;
  if (!ctx.isPlatform && !ctx.sandbox.isConnected(ctx.account)) return null;
  const days = billingSettings(ctx).retry_days[retries];
  return days === undefined ? null : Math.floor(ctx.now + days * daySeconds);
}

/**
 * An attempt failed, or could not even be made. Only the schedule's own attempts count, and any attempt counts as the first.
 * {@link https://docs.stripe.com/api/invoices/object#invoice_object-attempt_count}
 */
function recordFailure(ctx: Context, invoice: Invoice, waits = false): void {
  const state = invoiceState(ctx, invoice.id);
  const counts = state.automatic === true || invoice.attempt_count === 0;
  const intent = defaultIntent(ctx, invoice.id);
  const error = intent?.last_payment_error;
  if (error?.advice_code === 'do_not_try_again') state.refused = idOf(error.payment_method) ?? null;
  let over = false;
  ctx.change(invoice, 'invoice.updated', () => {
    invoice.attempted = true;
    if (!counts) return;
    invoice.attempt_count++;
    const next = nextAttempt(ctx, invoice, state.retries ?? 0);
    over = next === null && (state.retries ?? 0) > 0 && invoice.auto_advance === true;
    state.retries = (state.retries ?? 0) + 1;
    invoice.next_payment_attempt = next;
    if (next !== null) ctx.schedule(next, 'invoice.attempt', invoice.id, idOf(invoice.test_clock));
  });
  if (waits) ctx.emit('invoice.payment_action_required', invoice);
  ctx.emit('invoice.payment_failed', invoice);
  setDelinquent(ctx, invoice, true);
  tell(ctx, invoice, waits ? 'requires_action' : 'payment_failed');
  if (over) tell(ctx, invoice, 'given_up');
}

/** An intent of an invoice moved on. */
export function followIntent(ctx: Context, intent: Stripe.PaymentIntent, change: string): void {
  const payment = paymentOfIntent(ctx, intent.id);
  const invoice = payment && ctx.table('invoice').get(idOf(payment.invoice) ?? '');
  if (!payment || !invoice) return;
  if (change === 'succeeded') {
    recordPayment(ctx, invoice, payment, intent.amount_received);
    return;
  }
  if (invoice.status !== 'open' && invoice.status !== 'uncollectible') return;
  if (change === 'canceled' && payment.status === 'open') {
    payment.status = 'canceled';
    payment.status_transitions.canceled_at = ctx.now;
  }
  if (!payment.is_default) return;
  if (change === 'payment_failed') recordFailure(ctx, invoice);
  if (change === 'processing') {
    ctx.change(invoice, 'invoice.updated', () => {
      invoice.attempted = true;
      if (invoice.attempt_count === 0) invoice.attempt_count = 1;
      invoice.next_payment_attempt = null;
    });
    tell(ctx, invoice, 'processing');
  }
  if (change === 'requires_action') {
    if (subscriptionOf(ctx, invoice)?.status === 'incomplete' || invoice.billing_reason === 'subscription_create') {
      // The first invoice waits for its customer; nothing has failed yet.
      ctx.emit('invoice.payment_action_required', invoice);
      tell(ctx, invoice, 'requires_action');
    } else recordFailure(ctx, invoice, true);
  }
}

/** Credits a payment to the invoice; the last one makes it paid. */
export function recordPayment(ctx: Context, invoice: Invoice, payment: Stripe.InvoicePayment, received: number): void {
  if (payment.status !== 'open') return;
  payment.status = 'paid';
  payment.amount_paid = received;
  payment.status_transitions.paid_at = ctx.now;
  ctx.emit('invoice_payment.paid', payment);
  const paid = invoice.amount_paid + received;
  if (paid < invoice.amount_due) {
    ctx.change(invoice, 'invoice.updated', () => {
      invoice.amount_paid = paid;
      invoice.amount_remaining = invoice.amount_due - paid;
    });
    const own = defaultIntent(ctx, invoice.id);
    if (own && own.status !== 'succeeded' && own.status !== 'canceled') own.amount = invoice.amount_remaining;
    return;
  }
  const over = paid - invoice.amount_due;
  settlePaid(ctx, invoice, { paid });
  if (over > 0) {
    const customer = customerOf(ctx, invoice);
    setBalance(ctx, customer, (customer?.balance ?? 0) - over);
    ctx.emit('invoice.overpaid', invoice);
  }
}

/** Open → paid, whoever paid. */
export function settlePaid(ctx: Context, invoice: Invoice, how: { paid?: number; outside?: boolean } = {}): void {
  const { automatic } = invoiceState(ctx, invoice.id);
  ctx.change(invoice, 'invoice.updated', () => {
    const paid = how.paid ?? invoice.amount_due;
    invoice.status = 'paid';
    invoice.attempted = true;
    if (invoice.amount_due > 0 && !how.outside && (automatic === true || invoice.attempt_count === 0))
      invoice.attempt_count++;
    invoice.auto_advance = false;
    invoice.next_payment_attempt = null;
    invoice.amount_paid = paid;
    invoice.amount_overpaid = Math.max(0, paid - invoice.amount_due);
    invoice.amount_remaining = 0;
    if (how.outside) invoice.amount_paid_off_stripe = invoice.amount_due;
    invoice.status_transitions.paid_at = ctx.now;
  });
  cancelPayments(ctx, invoice);
  ctx.emit('invoice.paid', invoice);
  ctx.emit('invoice.payment_succeeded', invoice);
  if (invoice.amount_due > 0) setDelinquent(ctx, invoice, false);
  tell(ctx, invoice, 'paid');
}

/** @throws StripeError 400 unless it is open or uncollectible, or while a payment is on its way */
export function voidInvoice(ctx: Context, invoice: Invoice): Invoice {
  if (invoice.status !== 'open' && invoice.status !== 'uncollectible')
    throw notEditable(`You can only pass in open invoices. This invoice isn't open: its status is ${invoice.status}.`);
  if (defaultIntent(ctx, invoice.id)?.status === 'processing')
    throw notEditable('You cannot void this invoice: a payment of it is being processed.');
  cancelPayments(ctx, invoice);
  const customer = customerOf(ctx, invoice);
  // What was taken from a credit, or put on it, is given back.
  if (customer && invoice.ending_balance !== null)
    setBalance(ctx, customer, customer.balance + invoice.starting_balance - invoice.ending_balance);
  ctx.change(invoice, 'invoice.updated', () => {
    invoice.status = 'void';
    invoice.auto_advance = false;
    invoice.next_payment_attempt = null;
    invoice.status_transitions.voided_at = ctx.now;
  });
  ctx.emit('invoice.voided', invoice);
  tell(ctx, invoice, 'voided');
  return invoice;
}

/** @throws StripeError 400 unless it is open, or the draft of a paused collection */
export function markUncollectible(
  ctx: Context,
  invoice: Invoice,
  reason: Stripe.Invoice.StatusDetails.Uncollectible['reason'] = 'user_forgiven',
): Invoice {
  if (invoice.status !== 'open' && invoice.status !== 'draft')
    throw notEditable(`You can only mark open invoices as uncollectible; this one's status is ${invoice.status}.`);
  ctx.change(invoice, 'invoice.updated', () => {
    invoice.status = 'uncollectible';
    invoice.status_details = { uncollectible: { reason } };
    invoice.auto_advance = false;
    invoice.next_payment_attempt = null;
    invoice.automatically_finalizes_at = null;
    invoice.status_transitions.marked_uncollectible_at = ctx.now;
  });
  ctx.emit('invoice.marked_uncollectible', invoice);
  tell(ctx, invoice, 'marked_uncollectible');
  return invoice;
}

/** The draft's hour is over: it is finalized, and then collected or sent. */
export function advanceDraft(ctx: Context, invoice: Invoice): void {
  try {
    finalizeInvoice(ctx, invoice);
  } catch (error) {
    if (!(error instanceof StripeError)) throw error;
    ctx.change(invoice, 'invoice.updated', () => {
      invoice.automatically_finalizes_at = null;
      invoice.next_payment_attempt = null;
      invoice.last_finalization_error = {
        message: error.message,
        ...(error.fields.code && { code: error.fields.code }),
        ...(error.fields.param && { param: error.fields.param }),
        type: error.fields.type ?? 'invalid_request_error',
      };
    });
    ctx.emit('invoice.finalization_failed', invoice);
    return;
  }
  if (invoice.status !== 'open') return;
  if (invoice.collection_method === 'send_invoice') ctx.emit('invoice.sent', invoice);
  else attemptPayment(ctx, invoice, { automatic: true });
}

/** Plans the end of a draft's hour. */
export function planDraft(ctx: Context, invoice: Invoice): void {
  if (invoice.automatically_finalizes_at !== null && invoice.auto_advance)
    ctx.schedule(invoice.automatically_finalizes_at, 'invoice.finalize', invoice.id, idOf(invoice.test_clock));
}
