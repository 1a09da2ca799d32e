import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { mergeMetadata, type Params, p } from '../params.js';
import { planOf, priceFrom } from '../resources/prices.js';
import { priceDataParam } from './price-params.js';
import { type NewItem } from './invoice-items.js';
import { type LineSpec } from './lines.js';
import { boundary, type Period } from './periods.js';
import { cycleLine, remainingTime, unusedTime } from './prorations.js';
import { newItem, periodFrom, recurrenceOf } from './subscription.js';
import { notDone } from './unsupported.js';

type Subscription = Stripe.Subscription;
type Item = Stripe.SubscriptionItem;

/** An item as a new subscription takes it. */
export const newItemParams = {
  billing_thresholds: notDone.billing_thresholds,
  current_trial: p.any(),
  discounts: notDone.discounts,
  metadata: p.metadata(),
  plan: p.string(),
  price: p.string(),
  price_data: priceDataParam,
  quantity: p.int(),
  tax_rates: notDone.tax_rates,
};
/** An item as an update takes it: by id, or new. */
export const changedItemParams = { ...newItemParams, id: p.string(), deleted: p.boolean(), clear_usage: p.boolean() };

export type NewItemParams = Params<typeof newItemParams>;
type ChangedItem = Params<typeof changedItemParams>;

/** What a request asks to change of what is billed. */
export interface BillingChange {
  items?: ChangedItem[];
  /** Moment the prorations are computed for. */
  at: number;
  prorate: boolean;
  anchor?: 'now' | 'unchanged';
  trialEnd?: number | 'now';
}

/** What would come of it. Nothing is changed yet, so that a preview can show the same. */
export interface BillingOutcome {
  items: Item[];
  anchor: number;
  trialStart: number | null;
  trialEnd: number | null;
  trialing: boolean;
  /** Credits and debits, pending until the next invoice. */
  prorations: NewItem[];
  /** What is billed at once because a new period begins. */
  lines: LineSpec[];
  /** A new period begins now. */
  restarted: boolean;
}

/** The price of an item, checked. */
export function itemPrice(ctx: Context, given: NewItemParams, currency: string | null, param: string): Stripe.Price {
  const named = given.price ?? given.plan;
  const price = priceFrom(
    ctx,
    { ...(named !== undefined && { price: named }), ...(given.price_data && { price_data: given.price_data }) },
    param,
  );
  if (!price.recurring)
    throw invalid(
      'The price specified is set to `type=one_time` but this field only accepts prices with `type=recurring`.',
      `${param}[price]`,
    );
  if (currency !== null && price.currency !== currency)
    throw invalid(
      `The price specified is in ${price.currency} but the subscription bills in ${currency}: all items must have one currency.`,
      `${param}[price]`,
    );
  const { quantity } = given;
  if (quantity !== undefined && quantity < 0)
    throw invalid('This value must be greater than or equal to 0.', `${param}[quantity]`, 'parameter_invalid_integer');
  return price;
}

const billedAs = ({ price, quantity }: Item): string => `${price.id} ${quantity ?? 1}`;

/** The items after the change, still in their old periods. */
function changedItems(ctx: Context, subscription: Subscription, given: ChangedItem[], at: number): Item[] {
  let items = subscription.items.data.map((item) => ({ ...item }));
  given.forEach((change, i) => {
    const param = `items[${i}]`;
    if (change.id === undefined) {
      const price = itemPrice(ctx, change, subscription.currency, param);
      if (items.some((item) => item.price.id === price.id))
        throw invalid(
          `Cannot add multiple subscription items with the same price: ${price.id}. An existing Subscription Item is already using that Price.`,
          param,
        );
      const period = periodFrom(subscription, recurrenceOf({ price }), subscription.billing_cycle_anchor, at);
      const { status, trial_end: trialEnd } = subscription;
      const end = status === 'trialing' && trialEnd !== null ? trialEnd : period.end;
      const metadata = mergeMetadata({}, change.metadata);
      items.push(newItem(ctx, subscription.id, price, change.quantity ?? 1, { start: at, end }, metadata));
      return;
    }
    const item = items.find(({ id }) => id === change.id);
    if (!item) throw invalid(`No such subscription item: '${change.id}'`, `${param}[id]`, 'resource_missing');
    if (change.deleted) {
      items = items.filter(({ id }) => id !== change.id);
      return;
    }
    if (change.price !== undefined || change.plan !== undefined || change.price_data) {
      item.price = itemPrice(ctx, change, subscription.currency, param);
      item.plan = planOf(item.price);
    }
    if (change.quantity !== undefined) item.quantity = change.quantity;
    item.metadata = mergeMetadata(item.metadata, change.metadata);
  });
  if (items.length === 0)
    throw invalid(
      'A subscription must have at least one active plan. In order to cancel this subscription, please use the cancel subscription API endpoint (/v1/subscriptions/:id).',
      'items',
    );
  return items;
}

/**
 * Works out a change of what is billed, by the second. Another interval, `billing_cycle_anchor: now` and the end of a trial begin a new
 * period at once. {@link https://docs.stripe.com/billing/subscriptions/change-price}
 */
export function outcomeOf(ctx: Context, subscription: Subscription, change: BillingChange): BillingOutcome {
  const { at, prorate } = change;
  const old = subscription.items.data;
  const items = change.items ? changedItems(ctx, subscription, change.items, at) : old.map((item) => ({ ...item }));
  const wasTrialing = subscription.status === 'trialing';
  const outcome: BillingOutcome = {
    items,
    anchor: subscription.billing_cycle_anchor,
    trialStart: subscription.trial_start,
    trialEnd: subscription.trial_end,
    trialing: wasTrialing,
    prorations: [],
    lines: [],
    restarted: false,
  };
  const billable = !['incomplete', 'paused', 'trialing'].includes(subscription.status);
  const credit = (item: Item): void => {
    if (prorate && billable) outcome.prorations.push(unusedTime(ctx, subscription, item, at));
  };
  if (typeof change.trialEnd === 'number') {
    // A trial from now on: nothing of the rest of the period is owed.
    if (!wasTrialing) {
      old.forEach(credit);
      outcome.trialStart = ctx.now;
    }
    Object.assign(outcome, { trialEnd: change.trialEnd, trialing: true, anchor: change.trialEnd });
    for (const item of items)
      setPeriod(item, { start: wasTrialing ? item.current_period_start : at, end: change.trialEnd });
    return outcome;
  }
  const before = new Map(old.map((item) => [item.id, item]));
  const otherInterval = items.some((item) => {
    const was = before.get(item.id);
    return was && JSON.stringify(recurrenceOf(was)) !== JSON.stringify(recurrenceOf(item));
  });
  if ((wasTrialing && change.trialEnd === 'now') || (!wasTrialing && (otherInterval || change.anchor === 'now'))) {
    old.forEach(credit);
    Object.assign(outcome, { restarted: true, anchor: at, trialing: false });
    if (wasTrialing) outcome.trialEnd = at;
    for (const item of items) {
      setPeriod(item, periodFrom(subscription, recurrenceOf(item), at, at));
      outcome.lines.push(cycleLine(ctx, subscription, item, at));
    }
    return outcome;
  }
  if (wasTrialing || !prorate || !billable) return outcome;
  for (const item of old) {
    const now = items.find(({ id }) => id === item.id);
    if (now && billedAs(now) === billedAs(item)) continue;
    credit(item);
    if (now) outcome.prorations.push(remainingTime(ctx, subscription, now, at));
  }
  for (const item of items)
    if (!before.has(item.id)) outcome.prorations.push(remainingTime(ctx, subscription, item, at));
  return outcome;
}

export function setPeriod(item: Item, period: Period): void {
  item.current_period_start = period.start;
  item.current_period_end = period.end;
  item.billed_until = period.end;
}

/** The items as the next renewal will bill them, and when that is; null when there will be none. */
export function nextCycle(
  subscription: Subscription,
  items = subscription.items.data,
  anchor = subscription.billing_cycle_anchor,
): { at: number; items: Item[] } | null {
  if (items.length === 0) return null;
  const at = Math.min(...items.map((item) => item.current_period_end));
  if (subscription.cancel_at !== null && subscription.cancel_at <= at) return null;
  return {
    at,
    items: items
      .filter((item) => item.current_period_end === at)
      .map((item) => {
        const copy = { ...item };
        setPeriod(copy, periodFrom(subscription, recurrenceOf(item), anchor, at));
        return copy;
      }),
  };
}

/** The latest anchor a new subscription may take: one interval on. */
export function latestAnchor(now: number, price: Stripe.Price): number {
  return boundary(now, recurrenceOf({ price }), 1);
}
