import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { idOf } from '../objects.js';
import { type InvoiceChange } from '../resource.js';
import { subscriptionOf } from './invoice.js';
import { cancelSubscription, expire } from './ending.js';
import { defaultIntent } from './payments.js';
import { billingSettings } from './settings.js';
import { changeSubscription, planCycle, subscriptionState } from './subscription.js';
import { applyPendingUpdate, dropPendingUpdate } from './update.js';
import { finishResume } from './resume.js';

type Subscription = Stripe.Subscription;

/** A subscription follows its invoices. {@link https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses} */
export function followInvoice(ctx: Context, invoice: Stripe.Invoice, change: InvoiceChange): void {
  const subscription = subscriptionOf(ctx, invoice);
  if (!subscription || ['canceled', 'incomplete_expired'].includes(subscription.status)) return;
  const state = subscriptionState(ctx, subscription.id);
  const isLatest = idOf(subscription.latest_invoice) === invoice.id;
  switch (change) {
    case 'paid':
    case 'processing':
      if (change === 'paid') rememberMethod(ctx, subscription, invoice);
      if (subscription.status === 'incomplete') activate(ctx, subscription);
      else if (change === 'paid' && isBehind(subscription) && (isLatest || !owes(ctx, subscription)))
        activate(ctx, subscription);
      if (change === 'paid' && state.pendingUpdate?.invoice === invoice.id) applyPendingUpdate(ctx, subscription);
      if (state.resumeInvoice === invoice.id) finishResume(ctx, subscription);
      return;
    case 'payment_failed':
    case 'requires_action':
    case 'overdue':
      // An update that waits for its payment leaves the subscription as it was.
      if (state.pendingUpdate?.invoice === invoice.id) return;
      if (subscription.status === 'active' || subscription.status === 'trialing')
        changeSubscription(ctx, subscription, () => {
          subscription.status = 'past_due';
          planCycle(ctx, subscription);
        });
      return;
    case 'given_up':
      return giveUp(ctx, subscription);
    case 'voided':
      if (state.pendingUpdate?.invoice === invoice.id) dropPendingUpdate(ctx, subscription);
      if (state.resumeInvoice === invoice.id) delete state.resumeInvoice;
      if (subscription.status === 'incomplete') expire(ctx, subscription);
      else if (isLatest && subscription.status === 'past_due') activate(ctx, subscription);
      return;
    case 'marked_uncollectible':
      if (state.resumeInvoice === invoice.id) finishResume(ctx, subscription);
      else if (isLatest && ['past_due', 'incomplete'].includes(subscription.status)) activate(ctx, subscription);
      return;
  }
}

const isBehind = ({ status }: Subscription): boolean => status === 'past_due' || status === 'unpaid';

function owes(ctx: Context, subscription: Subscription): boolean {
  return ctx
    .table('invoice')
    .by('customer', subscription.customer)
    .some(
      (invoice) =>
        invoice.status === 'open' &&
        invoice.attempted &&
        idOf(invoice.parent?.subscription_details?.subscription) === subscription.id,
    );
}

function activate(ctx: Context, subscription: Subscription): void {
  changeSubscription(ctx, subscription, () => {
    const trial = subscription.trial_end !== null && subscription.trial_end > ctx.now;
    subscription.status = trial ? 'trialing' : 'active';
    planCycle(ctx, subscription);
  });
}

/** `save_default_payment_method: on_subscription`: what paid once pays from now on. */
function rememberMethod(ctx: Context, subscription: Subscription, invoice: Stripe.Invoice): void {
  if (subscription.payment_settings?.save_default_payment_method !== 'on_subscription') return;
  const method = idOf(defaultIntent(ctx, invoice.id)?.payment_method);
  if (method === null || method === undefined || subscription.default_payment_method === method) return;
  if (ctx.table('payment_method').get(method)?.customer !== idOf(subscription.customer)) return;
  changeSubscription(ctx, subscription, () => (subscription.default_payment_method = method));
}

/** The last retry failed: what then happens is a setting. */
function giveUp(ctx: Context, subscription: Subscription): void {
  const { after_retries: outcome } = billingSettings(ctx);
  if (outcome === 'cancel') cancelSubscription(ctx, subscription, { reason: 'payment_failed' });
  else if (outcome === 'unpaid')
    changeSubscription(ctx, subscription, () => {
      subscription.status = 'unpaid';
      planCycle(ctx, subscription);
    });
}
