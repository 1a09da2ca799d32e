import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { type StripeError } from '../errors.js';
import { discountsAt, useUp } from './discounts.js';
import { attemptPayment, finalizeInvoice, planDraft } from './invoice-flow.js';
import { addLines, insertInvoice } from './invoice.js';
import { attachPendingItems } from './invoice-items.js';
import { type LineSpec } from './lines.js';
import { type Period } from './periods.js';
import { billingSettings } from './settings.js';
import { methodFor, ownerOf, subscriptionState } from './subscription.js';

/**
 * The draft of a subscription's invoice: what is pending, then the lines of the new period. Its event is the caller's, since it comes
 * after the subscription's own.
 */
export function draftInvoice(
  ctx: Context,
  subscription: Stripe.Subscription,
  reason: Stripe.Invoice.BillingReason,
  lines: LineSpec[],
  options: { period?: Period; waits?: boolean } = {},
): Stripe.Invoice {
  const customer = ownerOf(ctx, subscription)!;
  const invoice = insertInvoice(ctx, {
    customer,
    currency: subscription.currency,
    reason,
    collection: subscription.collection_method,
    daysUntilDue: subscription.days_until_due,
    autoAdvance: true,
    ...(options.waits && { finalizesAt: ctx.now + billingSettings(ctx).draft_seconds }),
    subscription,
    discounts: discountsAt(ctx, subscription, ctx.now),
    ...(options.period && { period: options.period }),
    description: subscription.invoice_settings.description,
    footer: subscription.invoice_settings.footer,
  });
  attachPendingItems(ctx, invoice, subscription.id);
  const added = addLines(ctx, invoice, lines);
  const state = subscriptionState(ctx, subscription.id);
  state.billed ??= {};
  for (const line of added) {
    const item = line.parent?.subscription_item_details?.subscription_item;
    if (item) state.billed[item] = { invoice: invoice.id, line: line.id };
  }
  subscription.latest_invoice = invoice.id;
  useUp(ctx, subscription, invoice);
  return invoice;
}

/**
 * Bills at once: draft, finalized and, if wanted, collected, in one go.
 * @returns the invoice, and the 402 of a declined card
 */
export function billNow(
  ctx: Context,
  subscription: Stripe.Subscription,
  reason: Stripe.Invoice.BillingReason,
  lines: LineSpec[],
  options: { collect: boolean },
): { invoice: Stripe.Invoice; error: StripeError | null } {
  const sends = subscription.collection_method === 'send_invoice';
  const invoice = draftInvoice(ctx, subscription, reason, lines, { waits: sends });
  ctx.emit('invoice.created', invoice);
  if (sends) {
    planDraft(ctx, invoice);
    return { invoice, error: null };
  }
  finalizeInvoice(ctx, invoice);
  const collects = options.collect && invoice.status === 'open' && methodFor(ctx, subscription) !== null;
  return { invoice, error: collects ? attemptPayment(ctx, invoice) : null };
}
