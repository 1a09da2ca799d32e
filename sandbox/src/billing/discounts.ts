import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { idOf } from '../objects.js';
import { type Params, p } from '../params.js';
import { exactAmount, roundAmount } from './amounts.js';
import { lineFrom, type LineSpec } from './lines.js';
import { boundary } from './periods.js';
import { unsupported } from './unsupported.js';

type Coupon = Stripe.Coupon;
type Discount = Stripe.Discount;
type Line = Stripe.InvoiceLineItem;

const discountParam = p.hash({
  coupon: p.string(),
  discount: p.string(),
  promotion_code: unsupported('promotion codes'),
});

/** `discounts` as subscriptions and previews take it; the handler sees null where `''` clears them. */
export const discountsParam = p.array(discountParam).clearable();
export type GivenDiscounts = Params<{ list: typeof discountsParam }>['list'];

/** What the sandbox remembers of a discount: its coupon as it was redeemed, also after somebody has deleted that. */
interface DiscountState {
  coupon: Coupon;
}

/** A coupon that was deleted. Discounts that were made of it still show it. */
export const couponAfterDelete = (ctx: Context, id: string): Partial<DiscountState> =>
  ctx.secret<DiscountState>(`deleted_coupon_${id}`);

/** Brings `valid` up to date. */
export function refreshCoupon(ctx: Context, coupon: Coupon): Coupon {
  const { redeem_by: until, max_redemptions: most } = coupon;
  coupon.valid = (until === null || ctx.now <= until) && (most === null || coupon.times_redeemed < most);
  return coupon;
}

/** What a coupon takes off, as it was when it was redeemed. */
function couponOf(ctx: Context, { id }: Discount): Coupon {
  return ctx.secret<DiscountState>(id).coupon!;
}

/** A discount of a coupon, not kept yet: previews never do. */
function draftDiscount(
  ctx: Context,
  couponId: string,
  { customer, subscription, currency }: { customer: string; subscription: string | null; currency: string },
  param: string,
): Discount {
  const coupon = ctx.table('coupon').get(couponId);
  if (!coupon) throw invalid(`No such coupon: '${couponId}'`, param, 'resource_missing');
  if (!refreshCoupon(ctx, coupon).valid) throw invalid(`Coupon expired: ${couponId}`, param, 'coupon_expired');
  if (coupon.currency !== null && coupon.currency !== currency)
    throw invalid(
      `The coupon ${couponId} takes off an amount in ${coupon.currency}, and what it is applied to is in ${currency}.`,
      param,
    );
  const id = newId('discount');
  ctx.secret<DiscountState>(id).coupon = JSON.parse(JSON.stringify(coupon)) as Coupon;
  const months = coupon.duration_in_months;
  return {
    id,
    object: 'discount',
    checkout_session: null,
    customer,
    customer_account: null,
    end: months === null ? null : boundary(ctx.now, { interval: 'month', interval_count: 1 }, months),
    invoice: null,
    invoice_item: null,
    promotion_code: null,
    source: { coupon: couponId, type: 'coupon' },
    start: ctx.now,
    subscription,
    subscription_item: null,
  };
}

/** The discounts that are asked for, in their order: those that are there already, and new ones. @throws StripeError 400 */
export function askedDiscounts(
  ctx: Context,
  subscription: Pick<Stripe.Subscription, 'customer' | 'currency' | 'discounts'> & { id: string | null },
  given: NonNullable<GivenDiscounts>,
): Discount[] {
  const customer = idOf(subscription.customer);
  const target = { customer, subscription: subscription.id, currency: subscription.currency };
  const found = given.map(({ coupon, discount }, i) => {
    const param = `discounts[${i}]`;
    if ((coupon === undefined) === (discount === undefined))
      throw invalid('You must pass one of `coupon`, `discount` and `promotion_code`.', param);
    if (coupon !== undefined) return draftDiscount(ctx, coupon, target, `${param}[coupon]`);
    const known = subscription.discounts.some((one) => idOf(one) === discount);
    if (!known) throw invalid(`No such discount: '${discount}'`, `${param}[discount]`, 'resource_missing');
    return ctx.table('discount').require(discount!);
  });
  const coupons = found.map(({ source }) => idOf(source.coupon));
  if (new Set(coupons).size < coupons.length)
    throw invalid('The same coupon cannot be applied more than once.', 'discounts');
  return found;
}

/**
 * Gives a subscription these discounts and no others. One coupon that takes the place of another is an update, everything else is made or removed.
 * The subscription's own event is the caller's.
 */
export function setDiscounts(ctx: Context, subscription: Stripe.Subscription, wanted: Discount[]): void {
  const kept = new Set(wanted.map(({ id }) => id));
  const removed = discountsOf(ctx, subscription).filter(({ id }) => !kept.has(id));
  const added = wanted.filter(({ id }) => !ctx.table('discount').get(id));
  const [switched] = removed.length === 1 && added.length === 1 ? removed : [];
  subscription.discounts = wanted.map(({ id }) => id);
  if (!switched) for (const discount of removed) removeDiscount(ctx, discount);
  for (const discount of added) {
    redeem(ctx, subscription, discount);
    if (switched) ctx.emit('customer.discount.updated', discount, { before: switched });
    else ctx.emit('customer.discount.created', discount);
  }
  if (switched) forget(ctx, switched);
}

function redeem(ctx: Context, subscription: Stripe.Subscription, discount: Discount): void {
  discount.subscription = subscription.id;
  ctx.table('discount').insert(discount);
  const coupon = ctx.table('coupon').get(idOf(discount.source.coupon) ?? '');
  if (coupon) {
    coupon.times_redeemed++;
    refreshCoupon(ctx, coupon);
  }
  if (discount.end !== null)
    ctx.schedule(discount.end, 'discount.end', `${subscription.id}:${discount.id}`, idOf(subscription.test_clock));
}

/** The discounts of a subscription, in the order in which they are taken off. */
export function discountsOf(ctx: Context, { discounts }: Pick<Stripe.Subscription, 'discounts'>): Discount[] {
  return discounts.flatMap((one) => ctx.table('discount').get(idOf(one)) ?? []);
}

/** Those that an invoice of this moment gets. */
export function discountsAt(ctx: Context, subscription: Stripe.Subscription, at: number): Discount[] {
  return discountsOf(ctx, subscription).filter(({ end }) => end === null || at < end);
}

function removeDiscount(ctx: Context, discount: Discount): void {
  ctx.emit('customer.discount.deleted', discount);
  forget(ctx, discount);
}

/** What an invoice shows of a discount that is there no more. */
function forget(ctx: Context, { end: _end, ...rest }: Discount): void {
  ctx.table('discount').insert({ ...rest, deleted: true } as unknown as Discount);
}

/** Takes discounts off a subscription. The subscription's own event is the caller's. */
export function dropDiscounts(ctx: Context, subscription: Stripe.Subscription, ids: readonly string[]): void {
  const gone = discountsOf(ctx, subscription).filter(({ id }) => ids.includes(id));
  subscription.discounts = subscription.discounts.filter((one) => !ids.includes(idOf(one)));
  for (const discount of gone) removeDiscount(ctx, discount);
}

/** Those that come back with every invoice. */
export function lastingDiscounts(ctx: Context, subscription: Stripe.Subscription, at: number): Discount[] {
  return discountsAt(ctx, subscription, at).filter((discount) => couponOf(ctx, discount).duration !== 'once');
}

/** Those for one charge end with the first that they lowered. */
export function useUp(ctx: Context, subscription: Stripe.Subscription, invoice: Stripe.Invoice): void {
  const used = (invoice.total_discount_amounts ?? []).filter(({ amount }) => amount > 0);
  const ids = used.map(({ discount }) => idOf(discount));
  const once = discountsOf(ctx, subscription).filter(
    (discount) => couponOf(ctx, discount).duration === 'once' && ids.includes(discount.id),
  );
  dropDiscounts(
    ctx,
    subscription,
    once.map(({ id }) => id),
  );
}

/** What is left of an amount after discounts that go on, as a share of it. Prorations are counted net of them. */
export function netShare(
  ctx: Context,
  subscription: Stripe.Subscription,
  items: readonly Stripe.SubscriptionItem[],
  at: number,
): number {
  const gross = items.reduce((sum, { price, quantity }) => sum + exactAmount(price, quantity ?? 1), 0);
  if (gross <= 0) return 1;
  let left = gross;
  for (const discount of lastingDiscounts(ctx, subscription, at)) {
    const { percent_off: percent, amount_off: amount } = couponOf(ctx, discount);
    left = Math.max(0, percent === null ? left - (amount ?? 0) : (left * (100 - percent)) / 100);
  }
  return left / gross;
}

/**
 * Takes discounts off the lines that may have them, one after the other, and writes on each line what it was.
 * {@link https://docs.stripe.com/billing/subscriptions/coupons#stacking-coupons}
 * @returns what each of them took off
 */
export function discountLines(
  ctx: Context,
  lines: readonly Line[],
  discounts: readonly Discount[],
): { amount: number; discount: string }[] {
  const open = lines.filter(({ discountable, amount }) => discountable && amount > 0);
  const left = new Map(open.map((line) => [line, line.amount]));
  for (const line of lines) line.discount_amounts = [];
  const totals = discounts.map((discount) => {
    const { percent_off: percent, amount_off: fixed } = couponOf(ctx, discount);
    const sum = open.reduce((all, line) => all + left.get(line)!, 0);
    let rest = percent === null ? Math.min(sum, fixed ?? 0) : sum;
    const wanted = rest;
    let total = 0;
    open.forEach((line, i) => {
      const mine = left.get(line)!;
      const share = i === open.length - 1 ? rest : sum === 0 ? 0 : roundAmount((wanted * mine) / sum);
      const amount = percent === null ? Math.min(mine, rest, share) : roundAmount((mine * percent) / 100);
      rest -= amount;
      total += amount;
      left.set(line, mine - amount);
      line.discount_amounts!.push({ amount, discount: discount.id });
    });
    return { amount: total, discount: discount.id };
  });
  for (const line of lines) line.pretax_credit_amounts = creditsOf(line.discount_amounts!);
  return totals;
}

/** What an invoice with these lines would come to. */
export function netTotal(ctx: Context, lines: readonly LineSpec[], discounts: readonly Discount[]): number {
  const taken = discountLines(
    ctx,
    lines.map((line) => lineFrom(line, '', true)),
    discounts,
  );
  const gross = lines.reduce((sum, { amount }) => sum + amount, 0);
  return gross - taken.reduce((sum, { amount }) => sum + amount, 0);
}

/** The same amounts, as the list that has every kind of credit. */
export function creditsOf(
  amounts: readonly { amount: number; discount: Stripe.InvoiceLineItem.DiscountAmount['discount'] }[],
): { amount: number; discount: string; type: 'discount' }[] {
  return amounts
    .filter(({ amount }) => amount > 0)
    .map(({ amount, discount }) => ({ amount, discount: idOf(discount), type: 'discount' }));
}
