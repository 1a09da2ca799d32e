import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { newId } from '../ids.js';
import { idOf } from '../objects.js';
import { cancel } from '../resources/payment-intent-flow.js';

type Payment = Stripe.InvoicePayment;

/** Ties a payment intent to an invoice: the invoice's own, or one that somebody attached. */
export function addPayment(
  ctx: Context,
  invoice: Stripe.Invoice,
  intent: Stripe.PaymentIntent,
  isDefault: boolean,
): Payment {
  const payment = ctx.table('invoice_payment').insert({
    id: newId('invoice_payment'),
    object: 'invoice_payment',
    amount_paid: null,
    amount_requested: Math.min(intent.amount, invoice.amount_remaining || intent.amount),
    created: ctx.now,
    currency: invoice.currency,
    invoice: invoice.id,
    is_default: isDefault,
    livemode: false,
    payment: { payment_intent: intent.id, type: 'payment_intent' },
    status: 'open',
    status_transitions: { canceled_at: null, paid_at: null },
  });
  ctx.secret<{ invoicePayment: string }>(intent.id).invoicePayment = payment.id;
  return payment;
}

/** Newest first. */
export function paymentsOf(ctx: Context, invoice: string): Payment[] {
  return ctx.table('invoice_payment').by('invoice', invoice).reverse();
}

/** The payment that an intent makes on an invoice, if it makes one. */
export function paymentOfIntent(ctx: Context, intent: string): Payment | undefined {
  const { invoicePayment } = ctx.secret<{ invoicePayment: string }>(intent);
  return invoicePayment === undefined ? undefined : ctx.table('invoice_payment').get(invoicePayment);
}

/** The intent the invoice itself made when it was finalized. */
export function defaultIntent(ctx: Context, invoice: string): Stripe.PaymentIntent | undefined {
  const payment = ctx
    .table('invoice_payment')
    .by('invoice', invoice)
    .find(({ is_default: isDefault }) => isDefault);
  return payment && ctx.table('payment_intent').get(idOf(payment.payment.payment_intent) ?? '');
}

/** Gives up the payments still open, the invoice being paid otherwise or void. */
export function cancelPayments(ctx: Context, invoice: Stripe.Invoice): void {
  for (const payment of paymentsOf(ctx, invoice.id)) {
    if (payment.status !== 'open') continue;
    const intent = ctx.table('payment_intent').get(idOf(payment.payment.payment_intent) ?? '');
    payment.status = 'canceled';
    payment.status_transitions.canceled_at = ctx.now;
    // An intent that somebody attached is theirs.
    if (payment.is_default && intent && intent.status !== 'canceled' && intent.status !== 'succeeded')
      cancel(ctx, intent, 'void_invoice');
  }
}
