import { stripeTime } from '../shared/clock.js';
import { type Connection } from './connection.js';
import {
  type Coupon,
  type CustomerId,
  type Discount,
  type DiscountId,
  expanded,
  idOf,
  type SubscriptionId,
} from './types.js';

const durations = ['once', 'repeating', 'forever'] as const;

/** What a coupon takes off each invoice. It cannot be changed: another amount is another coupon. */
export interface CouponTerms {
  readonly name: string | null;
  readonly duration: (typeof durations)[number];
  /** Percent, above 0 and up to 100, as text; null where an amount is taken off. */
  readonly percentOff: string | null;
  /** Minor units of `currency`; null where a percentage is taken off. */
  readonly amountOff: number | null;
  readonly currency: string | null;
}

/** A coupon as it was redeemed. */
export interface DiscountReport {
  readonly id: DiscountId;
  readonly customerId: CustomerId | null;
  /** Null where it is the discount of something else: of a customer, of one invoice. */
  readonly subscriptionId: SubscriptionId | null;
  /** The item that it is of, where it is not of all of its subscription. */
  readonly itemId: string | null;
  readonly couponId: string | null;
  /** Null where Stripe sent the coupon's id alone. */
  readonly terms: CouponTerms | null;
  readonly startsAt: Date;
  /** Known from the beginning; null when it goes on, or is for one charge. */
  readonly endsAt: Date | null;
}

export function discountReport(discount: Discount): DiscountReport {
  const { source, start, end } = discount;
  const coupon = expanded<Coupon>(source.coupon);
  return {
    id: discount.id as DiscountId,
    customerId: idOf(discount.customer),
    subscriptionId: discount.subscription as SubscriptionId | null,
    itemId: discount.subscription_item,
    couponId: idOf(source.coupon),
    terms: coupon && couponTerms(coupon),
    startsAt: stripeTime(start),
    endsAt: typeof end === 'number' ? stripeTime(end) : null,
  };
}

/** @throws Error on a duration that this version does not know: to treat it as any other would be a guess about money */
export function couponTerms(coupon: Coupon): CouponTerms {
  const duration = durations.find((one) => one === coupon.duration);
  if (!duration) throw new Error(`Unknown duration of a coupon: ${coupon.duration}`);
  return {
    name: coupon.name,
    duration,
    percentOff: coupon.percent_off === null ? null : String(coupon.percent_off),
    amountOff: coupon.amount_off,
    currency: coupon.amount_off === null ? null : coupon.currency,
  };
}

/** The coupon as it is now. Once deleted it is NOT_FOUND, and the discounts that were made of it go on. */
export function retrieveCoupon(via: Connection, id: string): Promise<Coupon> {
  return via.read({ object: 'coupon', echo: { id } }, (options) => via.sdk.coupons.retrieve(id, {}, options));
}

/**
 * The discounts that a subscription has now, those of its items among them, with what they take off. They cannot be fetched by themselves.
 * https://docs.stripe.com/api/discounts
 */
export async function listDiscounts(via: Connection, subscription: SubscriptionId): Promise<DiscountReport[]> {
  const expected = { object: 'subscription', prefix: 'sub_', echo: { id: subscription } };
  const expand = ['discounts.source.coupon', 'items.data.discounts'];
  const found = await via.read(expected, (options) =>
    via.sdk.subscriptions.retrieve(subscription, { expand }, options),
  );
  const all = [...found.items.data.flatMap(({ discounts }) => discounts), ...found.discounts];
  return all.flatMap((discount) => (typeof discount === 'string' ? [] : discountReport(discount)));
}
