import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { idOf } from '../objects.js';
import { exactAmount, priceAmount, priceText, roundAmount } from './amounts.js';
import { netShare } from './discounts.js';
import { type NewItem } from './invoice-items.js';
import { type LineSpec } from './lines.js';
import { dayText, type Period, periodAt } from './periods.js';
import { recurrenceOf, subscriptionState } from './subscription.js';

type Item = Stripe.SubscriptionItem;

const quantityOf = (item: Item): number => item.quantity ?? 1;

function nameOf(ctx: Context, price: Stripe.Price): string {
  return ctx.table('product').get(idOf(price.product))?.name ?? price.nickname ?? price.id;
}

/** What a whole period costs, and how much of it lies between two moments, by the second; before discounts. */
function share(item: Item, anchor: number, from: number, to: number): number {
  // A first or last period may be shorter than the interval; the price is that of a whole one.
  const whole = periodAt(anchor, recurrenceOf(item), item.current_period_start);
  return (exactAmount(item.price, quantityOf(item)) * (to - from)) / (whole.end - whole.start);
}

/** What is left of an item's price after the discounts of that moment, as a share of it. */
function netAt(ctx: Context, subscription: Stripe.Subscription, item: Item, at: number): number {
  if (subscription.discounts.length === 0) return 1;
  const items = subscription.items.data.map((own) => (own.id === item.id ? item : own));
  return netShare(ctx, subscription, items.length === 0 ? [item] : items, at);
}

/** What was paid of an item's price, as a share of it: a credit gives no more back. */
function netBilled(line: Stripe.InvoiceLineItem | undefined): number | null {
  if (!line || line.amount <= 0 || !line.discountable) return null;
  return 1 - (line.discount_amounts ?? []).reduce((sum, { amount }) => sum + amount, 0) / line.amount;
}

function proration(
  ctx: Context,
  subscription: Stripe.Subscription,
  item: Item,
  amount: number,
  period: Period,
  text: string,
  credited: NewItem['credited'] = null,
): NewItem {
  return {
    customer: idOf(subscription.customer),
    currency: subscription.currency,
    amount,
    price: item.price,
    quantity: quantityOf(item),
    description: `${text} ${quantityOf(item)} × ${nameOf(ctx, item.price)} after ${dayText(period.start)}`,
    period,
    subscription: subscription.id,
    subscriptionItem: item.id,
    proration: true,
    credited,
  };
}

/** The credit for the rest of a period that was billed. {@link https://docs.stripe.com/billing/subscriptions/prorations} */
export function unusedTime(
  ctx: Context,
  subscription: Stripe.Subscription,
  item: Item,
  from: number,
  to = item.current_period_end,
): NewItem {
  const billed = subscriptionState(ctx, subscription.id).billed?.[item.id];
  const line = billed && ctx.table('line_item').get(billed.line);
  const net = netBilled(line) ?? netAt(ctx, subscription, item, from);
  const amount = -roundAmount(share(item, subscription.billing_cycle_anchor, from, to) * net) || 0;
  const credited = billed ? { invoice: billed.invoice, invoice_line_items: [billed.line] } : null;
  return proration(ctx, subscription, item, amount, { start: from, end: to }, 'Unused time on', credited);
}

/** The debit for the rest of the period under way. */
export function remainingTime(
  ctx: Context,
  subscription: Stripe.Subscription,
  item: Item,
  from: number,
  to = item.current_period_end,
): NewItem {
  const net = netAt(ctx, subscription, item, from);
  const amount = roundAmount(share(item, subscription.billing_cycle_anchor, from, to) * net);
  return proration(ctx, subscription, item, amount, { start: from, end: to }, 'Remaining time on');
}

/** The line for an item's current period: whole, or in proportion where the period is cut short. */
export function cycleLine(
  ctx: Context,
  subscription: Stripe.Subscription,
  item: Item,
  anchor = subscription.billing_cycle_anchor,
  free = false,
): LineSpec {
  const period = { start: item.current_period_start, end: item.current_period_end };
  const whole = periodAt(anchor, recurrenceOf(item), period.start);
  const isWhole = whole.start === period.start && whole.end === period.end;
  const amount = free
    ? 0
    : isWhole
      ? priceAmount(item.price, quantityOf(item))
      : roundAmount(share(item, anchor, period.start, period.end) * netAt(ctx, subscription, item, period.start));
  return {
    amount,
    currency: item.price.currency,
    description: `${quantityOf(item)} × ${nameOf(ctx, item.price)} (at ${priceText(item.price)})`,
    period,
    price: item.price,
    quantity: quantityOf(item),
    subscription: subscription.id,
    subscriptionItem: item.id,
    proration: !isWhole,
  };
}

/** The line for an item on trial: nothing to pay. */
export function trialLine(ctx: Context, subscription: Stripe.Subscription, item: Item): LineSpec {
  return {
    amount: 0,
    currency: item.price.currency,
    description: `Trial period for ${nameOf(ctx, item.price)}`,
    period: { start: item.current_period_start, end: item.current_period_end },
    price: item.price,
    unitAmount: 0,
    quantity: quantityOf(item),
    subscription: subscription.id,
    subscriptionItem: item.id,
  };
}
