import type Stripe from 'stripe';
import { couponAfterDelete, refreshCoupon } from '../billing/discounts.js';
import { unsupported } from '../billing/unsupported.js';
import { type Context } from '../context.js';
import { invalid, StripeError } from '../errors.js';
import { randomText } from '../ids.js';
import { listPage } from '../list.js';
import { checkCurrency } from '../money.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';

const currencies = unsupported('coupons in several currencies');
const create = {
  amount_off: p.int(),
  applies_to: unsupported('coupons for certain products'),
  currency: p.string(),
  currency_options: currencies,
  duration: p.enum('forever', 'once', 'repeating'),
  duration_in_months: p.int(),
  id: p.string(),
  max_redemptions: p.int(),
  metadata: p.metadata(),
  name: p.string(),
  percent_off: p.number(),
  redeem_by: p.timestamp(),
};
const update = { currency_options: currencies, metadata: p.metadata(), name: p.string() };

/** @throws StripeError 400 */
function check(ctx: Context, params: Params<typeof create>): void {
  const { amount_off: amount, percent_off: percent, duration = 'once', duration_in_months: months } = params;
  if ((amount === undefined) === (percent === undefined))
    throw invalid('You must pass either `percent_off` or `amount_off`, and not both.', 'percent_off');
  if (percent !== undefined && (percent <= 0 || percent > 100))
    throw invalid('Invalid percent_off: must be larger than 0 and at most 100.', 'percent_off');
  if (amount !== undefined && amount <= 0)
    throw invalid('This value must be greater than or equal to 1.', 'amount_off', 'parameter_invalid_integer');
  if (amount !== undefined && params.currency === undefined)
    throw invalid('You must pass `currency` when passing `amount_off`.', 'currency', 'parameter_missing');
  if ((duration === 'repeating') !== (months !== undefined))
    throw invalid(
      '`duration_in_months` must be passed if, and only if, `duration` is `repeating`.',
      'duration_in_months',
    );
  if (months !== undefined && months < 1)
    throw invalid('This value must be greater than or equal to 1.', 'duration_in_months', 'parameter_invalid_integer');
  if (params.redeem_by !== undefined && params.redeem_by <= ctx.now)
    throw invalid('Invalid timestamp: must be an integer Unix timestamp in the future.', 'redeem_by');
}

/** Makes a coupon. Its id may be one of the caller's choosing. */
function createCoupon(ctx: Context, params: Params<typeof create>): Stripe.Coupon {
  check(ctx, params);
  const id = params.id ?? randomText(8);
  if (ctx.table('coupon').get(id))
    throw new StripeError(400, 'Coupon already exists.', { code: 'resource_already_exists', param: 'id' });
  const coupon = ctx.table('coupon').insert({
    id,
    object: 'coupon',
    amount_off: params.amount_off ?? null,
    created: ctx.now,
    currency: params.amount_off === undefined ? null : checkCurrency(params.currency!),
    duration: params.duration ?? 'once',
    duration_in_months: params.duration_in_months ?? null,
    livemode: false,
    max_redemptions: params.max_redemptions ?? null,
    metadata: mergeMetadata({}, params.metadata),
    name: params.name ?? null,
    percent_off: params.percent_off ?? null,
    redeem_by: params.redeem_by ?? null,
    times_redeemed: 0,
    valid: true,
  });
  ctx.emit('coupon.created', coupon);
  return coupon;
}

/** The coupon as it is now: whether it can still be redeemed depends on the time. */
function couponOf(ctx: Context, id: string): Stripe.Coupon {
  return refreshCoupon(ctx, ctx.table('coupon').require(id));
}

/** Coupons. {@link https://docs.stripe.com/api/coupons} */
export const coupons: Resource = {
  expandable: ['coupon', 'discounts', 'discount'],
  routes: [
    route('POST', '/v1/coupons', create, createCoupon),
    route('GET', '/v1/coupons', { ...listParams, created: p.range() }, (ctx, { created, ...page }) =>
      listPage(ctx.table('coupon'), '/v1/coupons', page, (coupon) =>
        inRange(refreshCoupon(ctx, coupon).created, created),
      ),
    ),
    route('GET', '/v1/coupons/:id', {}, (ctx, _params, { id }) => couponOf(ctx, id)),
    route('POST', '/v1/coupons/:id', update, (ctx, { metadata, name }, { id }) =>
      ctx.change(couponOf(ctx, id), 'coupon.updated', (coupon) => {
        if (name !== undefined) coupon.name = name;
        coupon.metadata = mergeMetadata(coupon.metadata ?? {}, metadata);
      }),
    ),
    route('DELETE', '/v1/coupons/:id', {}, (ctx, _params, { id }) => {
      const coupon = couponOf(ctx, id);
      couponAfterDelete(ctx, id).coupon = coupon;
      ctx.table('coupon').delete(id);
      coupon.valid = false;
      ctx.emit('coupon.deleted', coupon);
      return { id, object: 'coupon', deleted: true };
    }),
  ],
};
