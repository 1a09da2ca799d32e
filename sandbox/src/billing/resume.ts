import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { idOf } from '../objects.js';
import { billNow } from './bill.js';
import { setPeriod } from './changes.js';
import { insertItem } from './invoice-items.js';
import { voidInvoice } from './invoice-flow.js';
import { defaultIntent } from './payments.js';
import { periodAt } from './periods.js';
import { cycleLine, remainingTime } from './prorations.js';
import { changeSubscription, periodFrom, planCycle, quietly, recurrenceOf, subscriptionState } from './subscription.js';

type Subscription = Stripe.Subscription;

/** How long a resumption waits for its payment. */
const patience = 23 * 3_600;

/**
 * Ends a pause: with a new period from now, or with the rest of the one under way.
 * {@link https://docs.stripe.com/billing/subscriptions/pause#resume-subscriptions}
 */
export function resumeSubscription(
  ctx: Context,
  subscription: Subscription,
  options: {
    unchanged: boolean;
    prorations: 'create_prorations' | 'always_invoice' | 'none';
    onSuccess: boolean;
    at: number;
  },
): Subscription {
  if (subscription.status !== 'paused')
    throw invalid(`You can only resume a paused subscription; this one's status is ${subscription.status}.`);
  if (subscription.collection_method !== 'charge_automatically')
    throw invalid('Only subscriptions that charge automatically can be resumed.');
  const state = subscriptionState(ctx, subscription.id);
  if (state.resumeInvoice) throw invalid('This subscription is being resumed already: its invoice waits for payment.');
  const before = JSON.parse(JSON.stringify(subscription)) as object;
  quietly(ctx, subscription, () => {
    const { items } = subscription;
    if (!options.unchanged) subscription.billing_cycle_anchor = ctx.now;
    for (const item of items.data) {
      const start = options.unchanged
        ? periodAt(subscription.billing_cycle_anchor, recurrenceOf(item), ctx.now).start
        : ctx.now;
      setPeriod(item, periodFrom(subscription, recurrenceOf(item), subscription.billing_cycle_anchor, start));
    }
    if (options.unchanged && options.prorations !== 'none')
      for (const item of items.data) insertItem(ctx, remainingTime(ctx, subscription, item, options.at));
    const bills = !options.unchanged || options.prorations === 'always_invoice';
    const lines = options.unchanged ? [] : items.data.map((item) => cycleLine(ctx, subscription, item));
    if (!bills) return finishResume(ctx, subscription, false);
    const { invoice } = billNow(ctx, subscription, 'subscription_update', lines, { collect: !options.onSuccess });
    if (invoice.status === 'paid') return finishResume(ctx, subscription, false);
    state.resumeInvoice = invoice.id;
    if (!options.onSuccess && invoice.attempted) {
      const onItsWay = defaultIntent(ctx, invoice.id)?.status === 'processing';
      finishResume(ctx, subscription, false);
      if (!onItsWay) subscription.status = 'past_due';
      return;
    }
    ctx.schedule(
      ctx.now + patience,
      'subscription.resume_expires',
      `${subscription.id}:${invoice.id}`,
      idOf(subscription.test_clock),
    );
  });
  if (JSON.stringify(before) !== JSON.stringify(subscription))
    ctx.emit('customer.subscription.updated', subscription, { before });
  if (subscription.status !== 'paused') ctx.emit('customer.subscription.resumed', subscription);
  return subscription;
}

/** It runs again. `announced` when it did not happen within the request that resumed it. */
export function finishResume(ctx: Context, subscription: Subscription, announced = true): void {
  delete subscriptionState(ctx, subscription.id).resumeInvoice;
  if (subscription.status !== 'paused') return;
  changeSubscription(ctx, subscription, () => {
    subscription.status = 'active';
    delete subscription.status_details;
    planCycle(ctx, subscription);
  });
  if (announced && !subscriptionState(ctx, subscription.id).quiet)
    ctx.emit('customer.subscription.resumed', subscription);
}

/** Nobody paid: the subscription stays paused. */
export function resumeExpires(ctx: Context, subscription: Subscription, id: string): void {
  const state = subscriptionState(ctx, subscription.id);
  const invoice = ctx.table('invoice').get(id);
  if (state.resumeInvoice === id && invoice?.status === 'open') voidInvoice(ctx, invoice);
}
