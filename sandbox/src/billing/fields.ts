import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { idOf } from '../objects.js';
import { mergeMetadata, type Params, p } from '../params.js';
import { priceFrom } from '../resources/prices.js';
import { priceDataParam } from './price-params.js';
import { resolveMethod } from '../resources/payment-methods.js';
import { changedItemParams, newItemParams } from './changes.js';
import { discountsParam } from './discounts.js';
import { insertItem } from './invoice-items.js';
import { notDone, unsupported } from './unsupported.js';

type Subscription = Stripe.Subscription;

const behaviors = p.enum('allow_incomplete', 'default_incomplete', 'error_if_incomplete', 'pending_if_incomplete');
export const prorationBehavior = p.enum('always_invoice', 'create_prorations', 'none');
export const cancelAtParam = p.oneOf(p.timestamp(), p.enum('max_billed_until', 'max_period_end', 'min_period_end'));
export const detailsParam = p.hash({
  comment: p.string().clearable(),
  feedback: p
    .enum(
      'customer_service',
      'low_quality',
      'missing_features',
      'other',
      'switched_service',
      'too_complex',
      'too_expensive',
      'unused',
    )
    .clearable(),
  feedback_option: p.string(),
});
const addInvoiceItemParam = p.hash({
  discountable: p.boolean(),
  discounts: notDone.discounts,
  metadata: p.metadata(),
  period: p.any(),
  price: p.string(),
  price_data: priceDataParam,
  quantity: p.int(),
  tax_rates: notDone.tax_rates,
});
const common = {
  add_invoice_items: p.array(addInvoiceItemParam),
  application_fee_percent: p.number().clearable(),
  automatic_tax: notDone.automatic_tax,
  billing_thresholds: notDone.billing_thresholds,
  billing_schedules: unsupported('billing schedules'),
  cancel_at_period_end: p.boolean(),
  collection_method: p.enum('charge_automatically', 'send_invoice'),
  days_until_due: p.int(),
  default_payment_method: p.string(),
  default_source: notDone.default_source,
  default_tax_rates: notDone.default_tax_rates,
  description: p.string().clearable(),
  discounts: discountsParam,
  invoice_settings: p.hash({
    account_tax_ids: unsupported('taxes'),
    custom_fields: p.array(p.hash({ name: p.string().required(), value: p.string().required() })).clearable(),
    description: p.string().clearable(),
    footer: p.string().clearable(),
    issuer: p.any(),
  }),
  metadata: p.metadata(),
  off_session: p.boolean(),
  on_behalf_of: notDone.on_behalf_of,
  payment_behavior: behaviors,
  payment_settings: p.hash({
    payment_method_options: p.any(),
    payment_method_types: p.array(p.string()).clearable(),
    save_default_payment_method: p.enum('off', 'on_subscription'),
  }),
  pending_invoice_item_interval: unsupported('intervals of pending invoice items'),
  proration_behavior: prorationBehavior,
  transfer_data: notDone.transfer_data,
  trial_end: p.oneOf(p.timestamp(), p.enum('now')),
  trial_from_plan: p.boolean(),
  trial_settings: p.hash({
    end_behavior: p
      .hash({
        billing_cycle_anchor: p.enum('now', 'unchanged'),
        missing_payment_method: p.enum('cancel', 'create_invoice', 'pause'),
      })
      .required(),
  }),
};

/** Parameters of creation. */
export const createSubscriptionParams = {
  ...common,
  backdate_start_date: p.timestamp(),
  billing_cycle_anchor: p.timestamp(),
  billing_cycle_anchor_config: p.hash({
    day_of_month: p.int().required(),
    hour: p.int(),
    minute: p.int(),
    month: p.int(),
    second: p.int(),
  }),
  billing_mode: p.hash({
    flexible: p.hash({ proration_discounts: p.enum('included', 'itemized') }),
    type: p.enum('classic', 'flexible').required(),
  }),
  cancel_at: cancelAtParam,
  currency: p.string(),
  customer: p.string(),
  customer_account: notDone.customer_account,
  items: p.array(p.hash(newItemParams)),
  trial_period_days: p.int(),
};

/** Parameters of an update. */
export const updateSubscriptionParams = {
  ...common,
  // Before 2026-09-30 it was the bare word.
  billing_cycle_anchor: p.oneOf(p.hash({ type: p.enum('now', 'unchanged').required() }), p.enum('now', 'unchanged')),
  cancel_at: cancelAtParam.clearable(),
  cancellation_details: detailsParam,
  items: p.array(p.hash(changedItemParams)),
  pause_collection: p
    .hash({ behavior: p.enum('keep_as_draft', 'mark_uncollectible', 'void').required(), resumes_at: p.timestamp() })
    .clearable(),
  proration_date: p.timestamp(),
};

type Fields = Partial<
  Omit<Params<typeof updateSubscriptionParams>, 'items' | 'billing_cycle_anchor' | 'pause_collection'>
>;

/** @throws StripeError 400; only a platform takes a share, and only of a connected account's money */
export function checkFeePercent(ctx: Context, percent: number | null | undefined): void {
  if (percent === null || percent === undefined) return;
  if (ctx.isPlatform)
    throw invalid(
      'Can only apply an application_fee_percent when the subscription belongs to a connected account (using an OAuth key or Stripe-Account header).',
      'application_fee_percent',
    );
  if (percent < 0 || percent > 100 || Math.round(percent * 100) !== Number((percent * 100).toFixed(6)))
    throw invalid(
      'Invalid decimal: must be between 0 and 100, with at most two decimal places.',
      'application_fee_percent',
    );
}

/** When `cancel_at` means one of the ends of the periods. */
function cancelMoment(ctx: Context, subscription: Subscription, given: NonNullable<Fields['cancel_at']>): number {
  const ends = subscription.items.data.map((item) => item.current_period_end);
  if (given === 'min_period_end') return Math.min(...ends);
  if (typeof given === 'string') return Math.max(...ends);
  if (given <= ctx.now) throw invalid('The cancel_at timestamp must be in the future.', 'cancel_at');
  return given;
}

/** The date of the end, with what goes with it; undone by `''` and by `cancel_at_period_end: false`. */
function applyEnd(ctx: Context, subscription: Subscription, params: Fields): void {
  const { cancel_at: at, cancel_at_period_end: atEnd } = params;
  if (at !== undefined && at !== null && atEnd)
    throw invalid(
      'You may only specify one of these parameters: cancel_at, cancel_at_period_end.',
      'cancel_at',
      'parameters_exclusive',
    );
  const undo = at === null || (atEnd === false && subscription.cancel_at_period_end);
  if (undo) {
    subscription.cancel_at = null;
    subscription.cancel_at_period_end = false;
    subscription.canceled_at = null;
    if (subscription.cancellation_details) subscription.cancellation_details.reason = null;
  }
  if (!atEnd && (at === undefined || at === null)) return;
  subscription.cancel_at = cancelMoment(ctx, subscription, at ?? 'max_period_end');
  subscription.cancel_at_period_end = atEnd === true;
  subscription.canceled_at = ctx.now;
  if (subscription.cancellation_details) subscription.cancellation_details.reason = 'cancellation_requested';
}

/** Everything that does not touch what is billed. @throws StripeError 400 */
export function applyFields(ctx: Context, subscription: Subscription, params: Fields): void {
  checkFeePercent(ctx, params.application_fee_percent);
  if (params.application_fee_percent !== undefined)
    subscription.application_fee_percent = params.application_fee_percent;
  if (params.description !== undefined) subscription.description = params.description;
  if (params.collection_method !== undefined) subscription.collection_method = params.collection_method;
  const sends = subscription.collection_method === 'send_invoice';
  if (sends && params.days_until_due === undefined && subscription.days_until_due === null)
    throw invalid(
      'If a subscription has `collection_method` set to `send_invoice`, you must pass `days_until_due`.',
      'days_until_due',
      'parameter_missing',
    );
  if (!sends && params.days_until_due !== undefined)
    throw invalid(
      'You can only use `days_until_due` with `collection_method` set to `send_invoice`.',
      'days_until_due',
    );
  subscription.days_until_due = sends ? (params.days_until_due ?? subscription.days_until_due) : null;
  if (params.default_payment_method !== undefined) {
    const method = resolveMethod(ctx, params.default_payment_method, 'default_payment_method');
    if (method.customer !== idOf(subscription.customer))
      throw invalid(
        `The customer does not have a payment method with the ID ${params.default_payment_method}. The payment method must be attached to the customer.`,
        'default_payment_method',
        'resource_missing',
      );
    subscription.default_payment_method = method.id;
  }
  const { issuer: _issuer, account_tax_ids: _taxIds, ...settings } = params.invoice_settings ?? {};
  Object.assign(subscription.invoice_settings, settings);
  if (params.payment_settings && subscription.payment_settings)
    Object.assign(subscription.payment_settings, params.payment_settings);
  const trial = params.trial_settings?.end_behavior;
  if (trial)
    subscription.trial_settings = {
      end_behavior: {
        billing_cycle_anchor: trial.billing_cycle_anchor ?? null,
        missing_payment_method: trial.missing_payment_method ?? 'create_invoice',
      },
    };
  if (params.cancellation_details && subscription.cancellation_details)
    Object.assign(subscription.cancellation_details, params.cancellation_details);
  subscription.metadata = mergeMetadata(subscription.metadata, params.metadata);
  applyEnd(ctx, subscription, params);
}

/** `add_invoice_items`: one-time prices on the next invoice. */
export function addInvoiceItems(
  ctx: Context,
  subscription: Subscription,
  given: Params<{ item: typeof addInvoiceItemParam }>['item'][],
): void {
  given.forEach((item, i) => {
    if (!item) return;
    const param = `add_invoice_items[${i}]`;
    const price = priceFrom(
      ctx,
      {
        ...(item.price !== undefined && { price: item.price }),
        ...(item.price_data && { price_data: item.price_data }),
      },
      param,
    );
    if (price.recurring)
      throw invalid(
        'The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.',
        `${param}[price]`,
      );
    insertItem(ctx, {
      customer: idOf(subscription.customer),
      currency: subscription.currency,
      price,
      quantity: item.quantity ?? 1,
      metadata: mergeMetadata({}, item.metadata),
      subscription: subscription.id,
    });
  });
}
