import type Stripe from 'stripe';
import { atMoment } from '../billing/moment.js';
import { changedItemParams, nextCycle, outcomeOf } from '../billing/changes.js';
import { draftSubscription, firstLines } from '../billing/create.js';
import { askedDiscounts, discountsParam, lastingDiscounts } from '../billing/discounts.js';
import { applyFields, cancelAtParam, prorationBehavior } from '../billing/fields.js';
import { lineOfNew, type NewItem } from '../billing/invoice-items.js';
import { type LineSpec } from '../billing/lines.js';
import { previewOf } from '../billing/preview.js';
import { cycleLine, unusedTime } from '../billing/prorations.js';
import { billingChange } from '../billing/update.js';
import { notDone, unsupported } from '../billing/unsupported.js';
import { type Context } from '../context.js';
import { invalid, StripeError } from '../errors.js';
import { checkCurrency } from '../money.js';
import { idOf } from '../objects.js';
import { mergeMetadata, type Params, p, shapes } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { priceFrom } from './prices.js';
import { priceDataParam } from '../billing/price-params.js';

const itemParam = p.hash({
  amount: p.int(),
  currency: p.string(),
  description: p.string(),
  discountable: p.boolean(),
  discounts: notDone.discounts,
  invoiceitem: unsupported('changes of pending items in a preview'),
  metadata: p.metadata(),
  period: p.hash({ end: p.timestamp().required(), start: p.timestamp().required() }),
  price: p.string(),
  price_data: priceDataParam,
  quantity: p.int(),
  quantity_decimal: p.string(),
  tax_behavior: p.string(),
  tax_code: p.string().clearable(),
  tax_rates: notDone.tax_rates,
  unit_amount: p.int(),
  unit_amount_decimal: p.string(),
});
const previewParams = {
  automatic_tax: notDone.automatic_tax,
  currency: p.string(),
  customer: p.string(),
  customer_account: notDone.customer_account,
  customer_details: p.hash({
    address: p.hash(shapes.address).clearable(),
    shipping: p.any(),
    tax: p.any(),
    tax_exempt: p.enum('exempt', 'none', 'reverse').clearable(),
    tax_ids: p.any(),
  }),
  discounts: discountsParam,
  invoice_items: p.array(itemParam),
  issuer: p.any(),
  on_behalf_of: notDone.on_behalf_of,
  preview_mode: p.enum('next', 'recurring'),
  schedule: unsupported('subscription schedules'),
  schedule_details: unsupported('subscription schedules'),
  subscription: p.string(),
  subscription_details: p.hash({
    billing_cycle_anchor: p.oneOf(
      p.hash({ type: p.enum('now', 'timestamp', 'unchanged').required(), timestamp: p.timestamp() }),
      p.oneOf(p.timestamp(), p.enum('now', 'unchanged')),
    ),
    billing_mode: p.hash({
      flexible: p.hash({ proration_discounts: p.enum('included', 'itemized') }),
      type: p.enum('classic', 'flexible').required(),
    }),
    billing_schedules: unsupported('billing schedules'),
    cancel_at: cancelAtParam.clearable(),
    cancel_at_period_end: p.boolean(),
    cancel_now: p.boolean(),
    default_tax_rates: notDone.default_tax_rates,
    items: p.array(p.hash(changedItemParams)),
    metadata: p.metadata(),
    pause: unsupported('previews of a pause'),
    proration_behavior: prorationBehavior,
    proration_date: p.timestamp(),
    resume_at: p.enum('now'),
    start_date: p.timestamp(),
    trial_end: p.oneOf(p.timestamp(), p.enum('now')),
  }),
};
type Preview = Params<typeof previewParams>;
type Details = NonNullable<Preview['subscription_details']>;

function nothingUpcoming(): StripeError {
  return new StripeError(404, 'No upcoming invoices for customer', { code: 'invoice_upcoming_none' });
}

function extraLines(ctx: Context, params: Preview, customer: Stripe.Customer, currency: string): LineSpec[] {
  return (params.invoice_items ?? []).map((given, i) => {
    const named = given.price ?? given.price_data;
    const price =
      named === undefined
        ? null
        : priceFrom(
            ctx,
            {
              ...(given.price !== undefined && { price: given.price }),
              ...(given.price_data && { price_data: given.price_data }),
            },
            `invoice_items[${i}]`,
          );
    const unit = given.unit_amount_decimal ?? given.unit_amount;
    const item: NewItem = {
      customer: customer.id,
      currency,
      price,
      quantity: given.quantity ?? 1,
      ...(given.amount !== undefined && { amount: given.amount }),
      ...(unit !== undefined && { unitAmount: Number(unit) }),
      ...(given.description !== undefined && { description: given.description }),
      ...(given.period && { period: given.period }),
      metadata: mergeMetadata({}, given.metadata),
    };
    return lineOfNew(ctx, item);
  });
}

/** An existing subscription: its next invoice, or the one a change would bring. */
function ofSubscription(ctx: Context, subscription: Stripe.Subscription, params: Preview): Stripe.Invoice {
  const customer = ctx.table('customer').require(idOf(subscription.customer), 'customer');
  if (['canceled', 'incomplete_expired'].includes(subscription.status)) throw nothingUpcoming();
  const details: Details = params.subscription_details ?? {};
  const extra = extraLines(ctx, params, customer, subscription.currency);
  const asked = params.discounts === undefined ? null : askedDiscounts(ctx, subscription, params.discounts ?? []);
  const recurring = params.preview_mode === 'recurring';
  const show = (at: number, lines: LineSpec[], withPending = true): Stripe.Invoice =>
    previewOf(ctx, {
      customer,
      ...((asked ?? recurring) && { discounts: asked ?? lastingDiscounts(ctx, subscription, at) }),
      subscription,
      at,
      lines: [...lines, ...extra],
      withPending,
      ...(params.subscription_details && { prorationDate: details.proration_date ?? ctx.now }),
    });
  const prorates = details.proration_behavior !== 'none';
  if (details.cancel_now) {
    const at = details.proration_date ?? ctx.now;
    const credits = prorates && subscription.status !== 'trialing' ? subscription.items.data : [];
    return show(
      ctx.now,
      credits.map((item) => lineOfNew(ctx, unusedTime(ctx, subscription, item, at))),
    );
  }
  const changed = JSON.parse(JSON.stringify(subscription)) as Stripe.Subscription;
  applyFields(ctx, changed, {
    ...(details.cancel_at !== undefined && { cancel_at: details.cancel_at }),
    ...(details.cancel_at_period_end !== undefined && { cancel_at_period_end: details.cancel_at_period_end }),
  });
  const anchor =
    typeof details.billing_cycle_anchor === 'object' ? details.billing_cycle_anchor.type : details.billing_cycle_anchor;
  const change = billingChange(ctx, subscription, {
    ...(details.items && { items: details.items }),
    ...((anchor === 'now' || anchor === 'unchanged') && { billing_cycle_anchor: anchor }),
    ...(details.resume_at === 'now' && { billing_cycle_anchor: 'now' as const }),
    ...(details.trial_end !== undefined && { trial_end: details.trial_end }),
    ...(details.proration_behavior && { proration_behavior: details.proration_behavior }),
    ...(details.proration_date !== undefined && { proration_date: details.proration_date }),
  });
  const outcome = change && outcomeOf(ctx, subscription, change);
  const prorations = (outcome?.prorations ?? []).map((item) => lineOfNew(ctx, item));
  if (outcome && params.preview_mode !== 'recurring') {
    if (outcome.restarted || details.proration_behavior === 'always_invoice')
      return show(ctx.now, [...prorations, ...outcome.lines]);
  }
  const next = nextCycle(changed, outcome?.items, outcome?.anchor);
  if (params.preview_mode === 'recurring') {
    if (!next) throw nothingUpcoming();
    return show(
      next.at,
      next.items.map((item) => cycleLine(ctx, subscription, item, outcome?.anchor)),
      false,
    );
  }
  const cycle = next ? next.items.map((item) => cycleLine(ctx, subscription, item, outcome?.anchor)) : [];
  const result = show(next?.at ?? changed.cancel_at ?? ctx.now, [...prorations, ...cycle]);
  if (!next && result.lines.data.length === 0) throw nothingUpcoming();
  return result;
}

/** A subscription that does not exist yet: its first invoice. */
function ofNew(ctx: Context, customer: Stripe.Customer, params: Preview, details: Details): Stripe.Invoice {
  const anchor =
    typeof details.billing_cycle_anchor === 'object'
      ? details.billing_cycle_anchor.timestamp
      : typeof details.billing_cycle_anchor === 'number'
        ? details.billing_cycle_anchor
        : undefined;
  const subscription = draftSubscription(
    ctx,
    {
      items: details.items ?? [],
      ...(details.trial_end !== undefined && { trial_end: details.trial_end }),
      ...(anchor !== undefined && { billing_cycle_anchor: anchor }),
      ...(details.start_date !== undefined &&
        details.start_date < ctx.now && { backdate_start_date: details.start_date }),
    },
    customer,
  );
  const lines = firstLines(ctx, subscription, details.proration_behavior !== 'none').map((line) => ({
    ...line,
    subscription: null,
  }));
  return previewOf(ctx, {
    customer,
    subscription: null,
    discounts: askedDiscounts(ctx, { ...subscription, id: null }, params.discounts ?? []),
    currency: subscription.currency,
    at: ctx.now,
    lines: [...lines, ...extraLines(ctx, params, customer, subscription.currency)],
    withPending: params.preview_mode !== 'recurring',
  });
}

/** Somebody who is no customer yet. */
function nobody(params: Preview): Stripe.Customer {
  return {
    id: '',
    object: 'customer',
    address: (params.customer_details?.address ?? null) as Stripe.Address | null,
    balance: 0,
    created: 0,
    customer_account: null,
    default_source: null,
    description: null,
    email: null,
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: false,
    metadata: {},
    shipping: null,
    tax_exempt: params.customer_details?.tax_exempt ?? 'none',
    test_clock: null,
  };
}

function createPreview(ctx: Context, params: Preview): Stripe.Invoice {
  if (params.subscription !== undefined) {
    const subscription = ctx.table('subscription').require(params.subscription, 'subscription');
    if (params.customer !== undefined && params.customer !== idOf(subscription.customer))
      throw invalid(
        `The subscription ${subscription.id} does not belong to customer ${params.customer}.`,
        'subscription',
      );
    return atMoment(ctx, subscription, () => ofSubscription(ctx, subscription, params));
  }
  if (params.customer === undefined && !params.customer_details)
    throw invalid(
      'You must specify one of `customer`, `customer_details` or `subscription`.',
      'customer',
      'parameter_missing',
    );
  const customer =
    params.customer === undefined ? nobody(params) : ctx.table('customer').require(params.customer, 'customer');
  return atMoment(ctx, customer, () => {
    const { subscription_details: details } = params;
    const preview = details?.items ? ofNew(ctx, customer, params, details) : ofPending(ctx, customer, params);
    if (customer.id === '') preview.customer = null;
    return preview;
  });
}

/** No subscription is named: what the customer's only one will bill next, or what is pending. */
function ofPending(ctx: Context, customer: Stripe.Customer, params: Preview): Stripe.Invoice {
  const running = ctx
    .table('subscription')
    .by('customer', customer.id)
    .filter(({ status }) => ['active', 'trialing', 'past_due'].includes(status));
  if (running.length > 0) return ofSubscription(ctx, running[0]!, params);
  const given = params.currency ?? params.invoice_items?.find((item) => item.currency)?.currency;
  const currency = checkCurrency(given ?? customer.currency ?? 'usd');
  const lines = extraLines(ctx, params, customer, currency);
  const discounts = askedDiscounts(
    ctx,
    { id: null, customer: customer.id, currency, discounts: [] },
    params.discounts ?? [],
  );
  const what = { customer, subscription: null, discounts, currency, at: ctx.now, lines, withPending: true };
  const preview = previewOf(ctx, what);
  if (preview.lines.data.length === 0) throw nothingUpcoming();
  return preview;
}

/** Previews of invoices. Nothing is kept. {@link https://docs.stripe.com/api/invoices/create_preview} */
export const invoicePreviews: Resource = {
  routes: [route('POST', '/v1/invoices/create_preview', previewParams, createPreview)],
};
