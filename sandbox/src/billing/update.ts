import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { idOf } from '../objects.js';
import { type Params } from '../params.js';
import { billNow } from './bill.js';
import { type BillingChange, type BillingOutcome, outcomeOf, setPeriod } from './changes.js';
import { askedDiscounts, discountsAt, netTotal, setDiscounts } from './discounts.js';
import { cancelSubscription, pauseSubscription } from './ending.js';
import { addInvoiceItems, applyFields, type updateSubscriptionParams } from './fields.js';
import { voidInvoice } from './invoice-flow.js';
import { insertItem } from './invoice-items.js';
import { remainingTime, trialLine, unusedTime } from './prorations.js';
import {
  endsWithoutMethod,
  methodFor,
  obstacle,
  periodFrom,
  planCancel,
  planCycle,
  planTrialEnd,
  quietly,
  recurrenceOf,
  setItems,
  subscriptionState,
} from './subscription.js';

type Subscription = Stripe.Subscription;
export type UpdateSubscription = Params<typeof updateSubscriptionParams>;

/** How long an update waits for its payment. {@link https://docs.stripe.com/billing/subscriptions/pending-updates} */
const patience = 23 * 3_600;

function checkStatus(subscription: Subscription, params: UpdateSubscription): void {
  const given = Object.keys(params).filter((name) => params[name as keyof UpdateSubscription] !== undefined);
  if (['canceled', 'incomplete_expired'].includes(subscription.status)) {
    const blocked = given.find((name) => !['metadata', 'cancellation_details'].includes(name));
    if (blocked !== undefined)
      throw invalid(
        'A canceled subscription can only update its cancellation_details and metadata.',
        blocked,
        'invalid_canceled_subscription_fields',
      );
  }
  if (subscription.status === 'incomplete' && (params.items || params.trial_end !== undefined))
    throw invalid(
      'A subscription whose first invoice is open cannot change its items; pay or void that invoice first.',
      'items',
    );
}

/** What of the request changes the billing; null when nothing does. @throws StripeError 400 */
export function billingChange(
  ctx: Context,
  subscription: Subscription,
  params: Pick<
    UpdateSubscription,
    'items' | 'billing_cycle_anchor' | 'trial_end' | 'trial_from_plan' | 'proration_behavior' | 'proration_date'
  >,
): BillingChange | null {
  const anchor =
    typeof params.billing_cycle_anchor === 'object' ? params.billing_cycle_anchor.type : params.billing_cycle_anchor;
  if (!params.items && anchor !== 'now' && params.trial_end === undefined) return null;
  const { trial_end: trialEnd, proration_date: date } = params;
  if (typeof trialEnd === 'number' && trialEnd <= ctx.now)
    throw invalid('Invalid timestamp: must be an integer Unix timestamp in the future.', 'trial_end');
  if (date !== undefined) {
    const start = Math.min(...subscription.items.data.map((item) => item.current_period_start));
    const end = Math.max(...subscription.items.data.map((item) => item.current_period_end));
    if (date < start || date > end)
      throw invalid('Cannot specify proration_date outside of current subscription period.', 'proration_date');
  }
  return {
    ...(params.items && { items: params.items }),
    at: date ?? ctx.now,
    prorate: params.proration_behavior !== 'none',
    ...(anchor && { anchor }),
    ...(trialEnd !== undefined && { trialEnd }),
  };
}

/** Puts an outcome into effect. Its prorations are pending from now on. */
function applyOutcome(ctx: Context, subscription: Subscription, outcome: BillingOutcome, prorations = true): void {
  if (prorations) for (const item of outcome.prorations) insertItem(ctx, item);
  setItems(subscription, outcome.items);
  subscription.billing_cycle_anchor = outcome.anchor;
  subscription.trial_start = outcome.trialStart;
  subscription.trial_end = outcome.trialEnd;
  if (outcome.trialing) subscription.status = 'trialing';
  else if (subscription.status === 'trialing') subscription.status = 'active';
}

/** An end within the current period shortens it, and back: the difference is a proration. */
function fitPeriods(ctx: Context, subscription: Subscription, prorate: boolean): void {
  if (subscription.status === 'trialing') return;
  for (const item of subscription.items.data) {
    const { end } = periodFrom(
      subscription,
      recurrenceOf(item),
      subscription.billing_cycle_anchor,
      item.current_period_start,
    );
    const was = item.current_period_end;
    if (end === was) continue;
    if (prorate && subscription.status === 'active')
      insertItem(
        ctx,
        end < was ? unusedTime(ctx, subscription, item, end, was) : remainingTime(ctx, subscription, item, was, end),
      );
    setPeriod(item, { start: item.current_period_start, end });
  }
}

/** Whether an outcome is billed at once, and with what. */
function bills(subscription: Subscription, outcome: BillingOutcome | null, params: UpdateSubscription): boolean {
  if (!outcome || subscription.status === 'incomplete' || outcome.trialing) return false;
  return outcome.restarted || params.proration_behavior === 'always_invoice';
}

/**
 * Changes a subscription. {@link https://docs.stripe.com/api/subscriptions/update}
 * @throws StripeError 402 with `error_if_incomplete` when the payment would not go through: nothing is changed then
 */
export function updateSubscription(ctx: Context, subscription: Subscription, params: UpdateSubscription): Subscription {
  checkStatus(subscription, params);
  if (params.trial_end === 'now' && subscription.status === 'trialing') {
    const instead = endsWithoutMethod(ctx, subscription);
    if (instead === 'pause') return pauseSubscription(ctx, subscription, 'trial_end_without_payment_method');
    if (instead === 'cancel') return cancelSubscription(ctx, subscription);
  }
  const change = billingChange(ctx, subscription, params);
  const outcome = change && outcomeOf(ctx, subscription, change);
  const collects = subscription.collection_method === 'charge_automatically';
  const billsNow = bills(subscription, outcome, params);
  const discounts = params.discounts === undefined ? null : askedDiscounts(ctx, subscription, params.discounts ?? []);
  const sum = billsNow
    ? outcome!.prorations.reduce((all, { amount = 0 }) => all + amount, 0) +
      netTotal(ctx, outcome!.lines, discounts ?? discountsAt(ctx, subscription, ctx.now))
    : 0;
  const owes = collects && sum > 0;
  const behavior = params.payment_behavior ?? 'allow_incomplete';
  const problem = owes ? obstacle(ctx, methodFor(ctx, subscription)) : null;
  // Without any method there is nothing to wait for.
  if (problem && (behavior === 'error_if_incomplete' || (problem.status === 400 && behavior !== 'default_incomplete')))
    throw problem;
  const waits = behavior === 'pending_if_incomplete' && problem !== null;
  if (waits) checkPending(params);
  const before = JSON.parse(JSON.stringify(subscription)) as object;
  // Whatever is wrong with the plain fields is found on a copy, before anything has happened.
  applyFields(ctx, JSON.parse(JSON.stringify(subscription)) as Subscription, params);
  quietly(ctx, subscription, () => {
    if (waits && outcome) holdUpdate(ctx, subscription, outcome, params);
    else {
      if (outcome) applyOutcome(ctx, subscription, outcome);
      applyFields(ctx, subscription, params);
      if (discounts) setDiscounts(ctx, subscription, discounts);
      addInvoiceItems(ctx, subscription, params.add_invoice_items ?? []);
      applyCollection(ctx, subscription, params.pause_collection);
      if (params.cancel_at !== undefined || params.cancel_at_period_end !== undefined)
        fitPeriods(ctx, subscription, params.proration_behavior !== 'none');
      if (outcome && billsNow) {
        billNow(ctx, subscription, 'subscription_update', outcome.lines, {
          collect: behavior !== 'default_incomplete',
        });
        const invoice = ctx.table('invoice').get(idOf(subscription.latest_invoice) ?? '');
        if (behavior === 'default_incomplete' && invoice?.status === 'open' && collects)
          subscription.status = 'past_due';
      } else if (
        outcome?.trialing &&
        typeof params.trial_end === 'number' &&
        params.proration_behavior === 'always_invoice'
      )
        billNow(
          ctx,
          subscription,
          'subscription_update',
          outcome.items.map((item) => trialLine(ctx, subscription, item)),
          { collect: true },
        );
    }
    planCycle(ctx, subscription);
    planCancel(ctx, subscription);
    if (params.trial_end !== undefined) planTrialEnd(ctx, subscription);
  });
  if (JSON.stringify(before) !== JSON.stringify(subscription))
    ctx.emit('customer.subscription.updated', subscription, { before });
  return subscription;
}

/** Pausing collection leaves the status alone. {@link https://docs.stripe.com/billing/subscriptions/pause-payment} */
function applyCollection(
  ctx: Context,
  subscription: Subscription,
  pause: UpdateSubscription['pause_collection'],
): void {
  if (pause === undefined) return;
  subscription.pause_collection = pause && { behavior: pause.behavior, resumes_at: pause.resumes_at ?? null };
  if (pause?.resumes_at !== undefined)
    ctx.schedule(pause.resumes_at, 'subscription.resume_collection', subscription.id, idOf(subscription.test_clock));
}

const pendingFields = new Set([
  'items',
  'expand',
  'payment_behavior',
  'proration_behavior',
  'proration_date',
  'billing_cycle_anchor',
  'trial_end',
  'trial_from_plan',
  'metadata',
  'add_invoice_items',
]);

function checkPending(params: UpdateSubscription): void {
  const blocked = Object.keys(params).find(
    (name) => !pendingFields.has(name) && params[name as keyof UpdateSubscription] !== undefined,
  );
  if (blocked !== undefined)
    throw invalid(
      `\`${blocked}\` cannot be part of a pending update (payment_behavior=pending_if_incomplete).`,
      blocked,
    );
}

/** The update waits until its invoice is paid; the subscription stays as it is. */
function holdUpdate(
  ctx: Context,
  subscription: Subscription,
  outcome: BillingOutcome,
  params: UpdateSubscription,
): void {
  const state = subscriptionState(ctx, subscription.id);
  if (state.pendingUpdate) dropPendingUpdate(ctx, subscription);
  for (const item of outcome.prorations) insertItem(ctx, item);
  const before = subscription.status;
  const { invoice } = billNow(ctx, subscription, 'subscription_update', outcome.lines, { collect: true });
  subscription.status = before;
  state.pendingUpdate = { params: { ...params, outcome }, invoice: invoice.id };
  const expires = ctx.now + patience;
  subscription.pending_update = {
    billing_cycle_anchor: outcome.restarted ? outcome.anchor : null,
    cancel_at_period_end: null,
    discount: null,
    discounts: null,
    expires_at: expires,
    metadata: null,
    subscription_items: outcome.items,
    trial_end: outcome.trialEnd,
    trial_from_plan: null,
  };
  ctx.schedule(
    expires,
    'subscription.pending_update_expires',
    `${subscription.id}:${invoice.id}`,
    idOf(subscription.test_clock),
  );
}

/** Its invoice was paid. */
export function applyPendingUpdate(ctx: Context, subscription: Subscription): void {
  const state = subscriptionState(ctx, subscription.id);
  const { pendingUpdate } = state;
  if (!pendingUpdate) return;
  const before = JSON.parse(JSON.stringify(subscription)) as object;
  state.pendingUpdate = null;
  subscription.pending_update = null;
  const { outcome } = pendingUpdate.params as { outcome: BillingOutcome };
  applyOutcome(ctx, subscription, outcome, false);
  planCycle(ctx, subscription);
  if (state.quiet) return;
  ctx.emit('customer.subscription.pending_update_applied', subscription);
  ctx.emit('customer.subscription.updated', subscription, { before });
}

/** Its invoice was voided, or it waited too long. */
export function dropPendingUpdate(ctx: Context, subscription: Subscription): void {
  const state = subscriptionState(ctx, subscription.id);
  const { pendingUpdate } = state;
  if (!pendingUpdate) return;
  const before = JSON.parse(JSON.stringify(subscription)) as object;
  state.pendingUpdate = null;
  subscription.pending_update = null;
  const invoice = ctx.table('invoice').get(pendingUpdate.invoice);
  if (invoice?.status === 'open') voidInvoice(ctx, invoice);
  if (state.quiet) return;
  ctx.emit('customer.subscription.pending_update_expired', subscription);
  ctx.emit('customer.subscription.updated', subscription, { before });
}
