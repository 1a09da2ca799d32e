import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { newId } from '../ids.js';
import { embeddedList } from '../list.js';
import { idOf } from '../objects.js';
import { behaviourOf, type MethodState } from '../resources/payment-methods.js';
import { planOf } from '../resources/prices.js';
import { cardError, invalid, type StripeError } from '../errors.js';
import { type Period, periodAt, type Recurrence } from './periods.js';
import { billingSettings, daySeconds } from './settings.js';

type Subscription = Stripe.Subscription;
type Item = Stripe.SubscriptionItem;

/** What the sandbox remembers of a subscription besides the object. */
export interface SubscriptionState {
  /** A request is changing it and will say so itself, once. */
  quiet: boolean;
  /** When the next period of some item begins; work planned for another moment is stale. */
  renewAt: number | null;
  /** The line that last billed an item: what a proration gives back. */
  billed: Record<string, { invoice: string; line: string }>;
  /** Parameters of an update that waits for its payment, and the invoice it waits for. */
  pendingUpdate: { params: Record<string, unknown>; invoice: string } | null;
  /** The invoice whose payment ends a pause. */
  resumeInvoice: string | null;
}

export function subscriptionState(ctx: Context, id: string): Partial<SubscriptionState> {
  return ctx.secret<SubscriptionState>(id);
}

/** Changes a subscription; `customer.subscription.updated` unless the request under way emits an event of its own. */
export function changeSubscription(ctx: Context, subscription: Subscription, work: () => void): void {
  if (subscriptionState(ctx, subscription.id).quiet) work();
  else ctx.change(subscription, 'customer.subscription.updated', work);
}

/** Runs a request's work with the subscription's own events held back. */
export function quietly<T>(ctx: Context, subscription: Subscription, work: () => T): T {
  const state = subscriptionState(ctx, subscription.id);
  const before = state.quiet ?? false;
  state.quiet = true;
  try {
    return work();
  } finally {
    state.quiet = before;
  }
}

export function recurrenceOf(item: { price: Stripe.Price }): Recurrence {
  const { recurring } = item.price;
  return { interval: recurring?.interval ?? 'month', interval_count: recurring?.interval_count ?? 1 };
}

/** The customer as long as there is one. */
export function ownerOf(ctx: Context, subscription: Subscription): Stripe.Customer | undefined {
  return ctx.table('customer').get(idOf(subscription.customer));
}

/** What would be charged: the subscription's own method, otherwise the customer's default. */
export function methodFor(ctx: Context, subscription: Subscription): Stripe.PaymentMethod | null {
  const owner = ownerOf(ctx, subscription);
  for (const candidate of [subscription.default_payment_method, owner?.invoice_settings.default_payment_method]) {
    const method = ctx.table('payment_method').get(idOf(candidate) ?? '');
    if (method && method.customer === owner?.id) return method;
  }
  return null;
}

/** What the end of a trial does when there is nothing to charge; null when it bills as usual. */
export function endsWithoutMethod(ctx: Context, subscription: Subscription): 'cancel' | 'pause' | null {
  if (subscription.collection_method !== 'charge_automatically' || methodFor(ctx, subscription)) return null;
  const behavior = subscription.trial_settings?.end_behavior.missing_payment_method;
  return behavior === 'cancel' ? 'cancel' : behavior === 'pause' ? 'pause' : null;
}

/** What an attempt would run into, or null: known beforehand, since test methods do always the same. */
export function obstacle(ctx: Context, method: Stripe.PaymentMethod | null): StripeError | null {
  if (!method) return noMethod();
  const { decline, authentication } = behaviourOf(ctx, method.id);
  const { setUp = false } = ctx.secret<MethodState>(method.id);
  if (authentication === 'always' || (authentication === 'unless_set_up' && !setUp)) {
    return cardError(
      'Payment for this subscription requires additional user action before it can be completed successfully. Payment can be completed using the PaymentIntent associated with `subscription.latest_invoice`.',
      { code: 'subscription_payment_intent_requires_action' },
    );
  }
  return decline
    ? cardError(decline.message, {
        code: decline.code,
        ...(decline.decline_code && { decline_code: decline.decline_code }),
      })
    : null;
}

export function noMethod(): StripeError {
  return invalid(
    'This customer has no attached payment source or default payment method. Please consider adding a default payment method. For more information, visit https://stripe.com/docs/billing/subscriptions/payment-methods-setting#payment-method-priority.',
    undefined,
    'resource_missing',
  );
}

/** A new item; which subscription it belongs to is remembered, since items live in their subscription. */
export function newItem(
  ctx: Context,
  subscription: string,
  price: Stripe.Price,
  quantity: number,
  period: Period,
  metadata: Stripe.Metadata = {},
): Item {
  const id = `si_${newId('subscription_item').slice(3, 17)}`;
  ctx.secret<{ subscription: string }>(id).subscription = subscription;
  return {
    id,
    object: 'subscription_item',
    billed_until: period.end,
    billing_thresholds: null,
    created: ctx.now,
    current_period_end: period.end,
    current_period_start: period.start,
    current_trial: null,
    discounts: [],
    metadata,
    plan: planOf(price),
    price,
    quantity,
    subscription,
    tax_rates: [],
  };
}

export function setItems(subscription: Subscription, items: Item[]): void {
  subscription.items = embeddedList<Item>(items, `/v1/subscription_items?subscription=${subscription.id}`, Infinity);
}

/** From `start` to the next boundary of the cycle, or to the day the subscription ends. */
export function periodFrom(subscription: Subscription, recurrence: Recurrence, anchor: number, start: number): Period {
  const { end } = periodAt(anchor, recurrence, start);
  const { cancel_at: cancelAt } = subscription;
  return { start, end: cancelAt !== null && cancelAt > start && cancelAt < end ? cancelAt : end };
}

/** Plans the next renewal and its announcement. Whatever was planned before is stale from now on. */
export function planCycle(ctx: Context, subscription: Subscription): void {
  const state = subscriptionState(ctx, subscription.id);
  const running = ['active', 'trialing', 'past_due', 'unpaid'].includes(subscription.status);
  const ends = subscription.items.data.map((item) => item.current_period_end);
  const at = running && ends.length > 0 ? Math.min(...ends) : null;
  if (at === state.renewAt) return;
  state.renewAt = at;
  if (at === null) return;
  const clock = idOf(subscription.test_clock);
  ctx.schedule(at, 'subscription.renew', subscription.id, clock);
  const announce = at - billingSettings(ctx).upcoming_days * daySeconds;
  if (announce > ctx.now) ctx.schedule(announce, 'subscription.upcoming', subscription.id, clock);
}

/** Plans `trial_will_end`: three days ahead, at once when there is less. {@link https://docs.stripe.com/billing/subscriptions/trials} */
export function planTrialEnd(ctx: Context, subscription: Subscription): void {
  const { trial_end: end } = subscription;
  if (end === null || end <= ctx.now) return;
  ctx.schedule(
    Math.max(ctx.now, end - 3 * daySeconds),
    'subscription.trial_will_end',
    `${subscription.id}:${end}`,
    idOf(subscription.test_clock),
  );
}

/** Plans the end at `cancel_at`. */
export function planCancel(ctx: Context, subscription: Subscription): void {
  if (subscription.cancel_at !== null)
    ctx.schedule(subscription.cancel_at, 'subscription.cancel', subscription.id, idOf(subscription.test_clock));
}
