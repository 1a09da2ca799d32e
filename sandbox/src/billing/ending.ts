import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { idOf } from '../objects.js';
import { billNow } from './bill.js';
import { insertItem, pendingItems } from './invoice-items.js';
import { voidInvoice } from './invoice-flow.js';
import { unusedTime } from './prorations.js';
import { changeSubscription, planCycle, quietly, subscriptionState } from './subscription.js';

type Subscription = Stripe.Subscription;

/** Open and draft invoices are no longer collected by themselves. */
function stopCollecting(ctx: Context, subscription: Subscription): void {
  for (const invoice of ctx.table('invoice').by('customer', subscription.customer)) {
    if (idOf(invoice.parent?.subscription_details?.subscription) !== subscription.id) continue;
    if ((invoice.status !== 'open' && invoice.status !== 'draft') || !invoice.auto_advance) continue;
    ctx.change(invoice, 'invoice.updated', () => {
      invoice.auto_advance = false;
      invoice.next_payment_attempt = null;
      invoice.automatically_finalizes_at = null;
    });
  }
}

/** Ends a subscription now. {@link https://docs.stripe.com/billing/subscriptions/cancel} */
export function cancelSubscription(
  ctx: Context,
  subscription: Subscription,
  options: {
    invoiceNow?: boolean;
    prorate?: boolean;
    reason?: Stripe.Subscription.CancellationDetails.Reason | null;
    details?: Partial<Stripe.Subscription.CancellationDetails>;
  } = {},
): Subscription {
  if (['canceled', 'incomplete_expired'].includes(subscription.status))
    throw invalid(`No such subscription: '${subscription.id}'`, 'id', 'resource_missing');
  const first =
    subscription.status === 'incomplete' ? ctx.table('invoice').get(idOf(subscription.latest_invoice) ?? '') : null;
  const { status } = subscription;
  quietly(ctx, subscription, () => {
    if (options.prorate && (status === 'active' || status === 'past_due'))
      for (const item of subscription.items.data)
        if (item.current_period_end > ctx.now) insertItem(ctx, unusedTime(ctx, subscription, item, ctx.now));
    if (!options.invoiceNow && !options.prorate && subscription.cancel_at === null) dropProrations(ctx, subscription);
    if (options.invoiceNow && pendingOf(ctx, subscription).length > 0)
      billNow(ctx, subscription, 'subscription_update', [], { collect: true });
    end(ctx, subscription, 'canceled');
    subscription.cancellation_details = {
      comment: null,
      feedback: null,
      feedback_option: null,
      ...subscription.cancellation_details,
      ...options.details,
      reason: options.reason ?? subscription.cancellation_details?.reason ?? null,
    };
    stopCollecting(ctx, subscription);
    if (first?.status === 'open') voidInvoice(ctx, first);
  });
  ctx.emit('customer.subscription.deleted', subscription);
  return subscription;
}

/** What is pending of this subscription, or of none. */
function pendingOf(ctx: Context, subscription: Subscription): Stripe.InvoiceItem[] {
  return pendingItems(ctx, idOf(subscription.customer), subscription.currency, subscription.id);
}

function dropProrations(ctx: Context, subscription: Subscription): void {
  for (const item of pendingOf(ctx, subscription))
    if (item.proration && item.parent?.subscription_details?.subscription === subscription.id) {
      ctx.table('invoiceitem').delete(item.id);
      ctx.emit('invoiceitem.deleted', item);
    }
}

/** The last state of a subscription. */
function end(ctx: Context, subscription: Subscription, status: 'canceled' | 'incomplete_expired'): void {
  subscription.status = status;
  subscription.ended_at = ctx.now;
  if (status === 'canceled') subscription.canceled_at ??= ctx.now;
  subscription.pause_collection = null;
  subscription.pending_update = null;
  delete subscription.status_details;
  planCycle(ctx, subscription);
}

/** The first invoice was not paid within 23 hours, or was voided. */
export function expire(ctx: Context, subscription: Subscription): void {
  if (subscription.status !== 'incomplete') return;
  changeSubscription(ctx, subscription, () => end(ctx, subscription, 'incomplete_expired'));
  const invoice = ctx.table('invoice').get(idOf(subscription.latest_invoice) ?? '');
  if (invoice?.status === 'open') voidInvoice(ctx, invoice);
}

type PauseReason = Stripe.Subscription.StatusDetails.Paused.Subscription['type'];

/**
 * Stops a subscription: no invoices and no new periods until it is resumed.
 * {@link https://docs.stripe.com/billing/subscriptions/pause}
 */
export function pauseSubscription(
  ctx: Context,
  subscription: Subscription,
  reason: PauseReason,
  options: { creditFrom?: 'now' | 'period_start' | null; invoice?: boolean } = {},
): Subscription {
  const { creditFrom = null } = options;
  changeSubscription(ctx, subscription, () =>
    quietly(ctx, subscription, () => {
      const wasTrialing = subscription.status === 'trialing';
      if (creditFrom !== null && !wasTrialing)
        for (const item of subscription.items.data) {
          const from = creditFrom === 'now' ? ctx.now : item.current_period_start;
          if (from < item.current_period_end) insertItem(ctx, unusedTime(ctx, subscription, item, from));
        }
      if (options.invoice && pendingOf(ctx, subscription).length > 0)
        billNow(ctx, subscription, 'subscription_update', [], { collect: true });
      subscription.status = 'paused';
      subscription.status_details = {
        paused: { subscription: { type: reason }, transitioned_at: ctx.now, type: 'subscription' },
      };
      delete subscriptionState(ctx, subscription.id).resumeInvoice;
      planCycle(ctx, subscription);
    }),
  );
  ctx.emit('customer.subscription.paused', subscription);
  return subscription;
}
