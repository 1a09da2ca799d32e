import type Stripe from 'stripe';
import { atMoment } from './moment.js';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { embeddedList } from '../list.js';
import { idOf } from '../objects.js';
import { mergeMetadata, type Params } from '../params.js';
import { applicationId } from '../resources/balance.js';
import { createSetupIntent } from '../resources/setup-intents.js';
import { billNow } from './bill.js';
import { askedDiscounts, netTotal, setDiscounts } from './discounts.js';
import { itemPrice, latestAnchor, type NewItemParams } from './changes.js';
import { addInvoiceItems, applyFields, checkFeePercent, type createSubscriptionParams } from './fields.js';
import { anchorFrom, periodAt } from './periods.js';
import { cycleLine, trialLine } from './prorations.js';
import {
  methodFor,
  newItem,
  noMethod,
  obstacle,
  periodFrom,
  planCancel,
  planCycle,
  planTrialEnd,
  quietly,
  recurrenceOf,
  setItems,
} from './subscription.js';
import { daySeconds } from './settings.js';

type Subscription = Stripe.Subscription;
export type CreateSubscription = Params<typeof createSubscriptionParams>;

/** How long the first invoice waits for its payment. {@link https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses} */
const patience = 23 * 3_600;

/** End of the trial asked for, or null. */
function trialEndOf(params: CreateSubscription, prices: Stripe.Price[], now: number): number | null {
  const { trial_end: end, trial_period_days: days } = params;
  if (end !== undefined && days !== undefined)
    throw invalid(
      'You may only specify one of these parameters: trial_end, trial_period_days.',
      'trial_period_days',
      'parameters_exclusive',
    );
  if (typeof end === 'number') {
    if (end <= now) throw invalid('Invalid timestamp: must be an integer Unix timestamp in the future.', 'trial_end');
    if (end > now + 5 * 366 * daySeconds) throw invalid('Trials can be at most five years long.', 'trial_end');
    return end;
  }
  if (end === 'now') return null;
  const fromPlan = params.trial_from_plan ? (prices[0]?.recurring?.trial_period_days ?? undefined) : undefined;
  const length = days ?? fromPlan;
  if (length === undefined) return null;
  if (length < 0)
    throw invalid('This value must be greater than or equal to 1.', 'trial_period_days', 'parameter_invalid_integer');
  return length === 0 ? null : now + length * daySeconds;
}

function anchorOf(params: CreateSubscription, prices: Stripe.Price[], now: number, trialEnd: number | null): number {
  const { billing_cycle_anchor: anchor, billing_cycle_anchor_config: config } = params;
  if (anchor !== undefined && config)
    throw invalid(
      'You may only specify one of these parameters: billing_cycle_anchor, billing_cycle_anchor_config.',
      'billing_cycle_anchor',
      'parameters_exclusive',
    );
  if (config) return anchorFrom(trialEnd ?? now, config);
  if (anchor === undefined) return trialEnd ?? now;
  if (anchor < now)
    throw invalid('Invalid timestamp: must be an integer Unix timestamp in the future.', 'billing_cycle_anchor');
  const latest = Math.max(...prices.map((price) => latestAnchor(trialEnd ?? now, price)));
  if (anchor > latest)
    throw invalid(
      'billing_cycle_anchor cannot be later than next natural billing date for plan',
      'billing_cycle_anchor',
    );
  return anchor;
}

/** An account that cannot charge cannot subscribe anybody either. */
function checkAccount(ctx: Context, percent: number | null | undefined): void {
  const account = ctx.platform.table('account').get(ctx.account);
  if (account && !account.charges_enabled)
    throw invalid(
      'Your account cannot currently make charges. Visit your dashboard to learn which information is still required.',
    );
  checkFeePercent(ctx, percent);
}

/** The subscription before anything is billed. Not kept yet. */
export function draftSubscription(
  ctx: Context,
  params: Omit<CreateSubscription, 'customer' | 'items'> & { items: NewItemParams[] },
  customer: Stripe.Customer,
): Subscription {
  const now = ctx.now;
  const id = newId('subscription');
  if (params.items.length === 0) throw invalid('Missing required param: items.', 'items', 'parameter_missing');
  if (params.items.length > 20) throw invalid('A subscription can have at most 20 items.', 'items');
  let currency: string | null = params.currency ?? null;
  const prices = params.items.map((item, i) => {
    const price = itemPrice(ctx, item, currency, `items[${i}]`);
    currency = price.currency;
    return price;
  });
  if (new Set(prices.map((price) => price.id)).size < prices.length)
    throw invalid('Cannot add multiple subscription items with the same price.', 'items');
  if (customer.currency && customer.currency !== currency && hasActive(ctx, customer))
    throw invalid(
      `You cannot combine currencies on a single customer. This customer has an active subscription with currency ${customer.currency}.`,
      'currency',
    );
  const trialEnd = trialEndOf(params, prices, now);
  const anchor = anchorOf(params, prices, now, trialEnd);
  const { backdate_start_date: backdate, billing_mode: mode } = params;
  if (backdate !== undefined && backdate > now)
    throw invalid('The start date must lie in the past.', 'backdate_start_date');
  const subscription: Subscription = {
    id,
    object: 'subscription',
    application: ctx.isPlatform ? null : applicationId,
    application_fee_percent: null,
    automatic_tax: { disabled_reason: null, enabled: false, liability: null },
    billing_cycle_anchor: anchor,
    billing_cycle_anchor_config: params.billing_cycle_anchor_config
      ? { hour: null, minute: null, month: null, second: null, ...params.billing_cycle_anchor_config }
      : null,
    billing_mode:
      mode?.type === 'classic'
        ? { flexible: null, type: 'classic' }
        : {
            flexible: { proration_discounts: mode?.flexible?.proration_discounts ?? 'included' },
            type: 'flexible',
            updated_at: now,
          },
    billing_schedules: [],
    billing_thresholds: null,
    cancel_at: null,
    cancel_at_period_end: false,
    canceled_at: null,
    cancellation_details: { comment: null, feedback: null, feedback_option: null, reason: null },
    collection_method: 'charge_automatically',
    created: now,
    currency: currency!,
    customer: customer.id,
    customer_account: null,
    days_until_due: null,
    default_payment_method: null,
    default_source: null,
    default_tax_rates: [],
    description: null,
    discounts: [],
    ended_at: null,
    invoice_settings: {
      account_tax_ids: null,
      custom_fields: null,
      description: null,
      footer: null,
      issuer: { type: 'self' },
    },
    items: embeddedList<Stripe.SubscriptionItem>([], ''),
    latest_invoice: null,
    livemode: false,
    managed_payments: null,
    metadata: {},
    next_pending_invoice_item_invoice: null,
    on_behalf_of: null,
    pause_collection: null,
    payment_settings: {
      payment_method_options: null,
      payment_method_types: null,
      save_default_payment_method: 'off',
    },
    pending_invoice_item_interval: null,
    pending_setup_intent: null,
    pending_update: null,
    schedule: null,
    start_date: backdate ?? now,
    status: trialEnd === null ? 'active' : 'trialing',
    test_clock: idOf(customer.test_clock),
    transfer_data: null,
    trial_end: trialEnd,
    trial_settings: { end_behavior: { billing_cycle_anchor: null, missing_payment_method: 'create_invoice' } },
    trial_start: trialEnd === null ? null : now,
  };
  setItems(
    subscription,
    params.items.map((item, i) => {
      const price = prices[i]!;
      const natural = periodFrom(subscription, recurrenceOf({ price }), anchor, now);
      const period = trialEnd === null ? natural : { start: now, end: trialEnd };
      return newItem(ctx, id, price, item.quantity ?? 1, period, mergeMetadata({}, item.metadata));
    }),
  );
  applyFields(ctx, subscription, params);
  return subscription;
}

function hasActive(ctx: Context, customer: Stripe.Customer): boolean {
  return ctx
    .table('subscription')
    .by('customer', customer.id)
    .some(({ status }) => !['canceled', 'incomplete_expired'].includes(status));
}

/** The lines of the first invoice. */
export function firstLines(ctx: Context, subscription: Subscription, prorate: boolean) {
  const anchor = subscription.billing_cycle_anchor;
  return subscription.items.data.flatMap((item) => {
    if (subscription.status === 'trialing') return [trialLine(ctx, subscription, item)];
    const line = cycleLine(ctx, subscription, item, anchor, !prorate && anchor > ctx.now);
    if (subscription.start_date >= ctx.now) return [line];
    // What lies between the back-dated start and today is billed in proportion.
    const whole = periodAt(anchor, recurrenceOf(item), subscription.start_date);
    const past = { ...item, current_period_start: subscription.start_date, current_period_end: ctx.now };
    return [{ ...cycleLine(ctx, subscription, past, anchor), proration: ctx.now !== whole.end }, line];
  });
}

/**
 * Makes a subscription with its first invoice. {@link https://docs.stripe.com/api/subscriptions/create}
 * @throws StripeError 402 with `error_if_incomplete` when the first payment would not go through: nothing is made then
 */
export function createSubscription(ctx: Context, params: CreateSubscription): Subscription {
  if (params.customer === undefined)
    throw invalid('Missing required param: customer.', 'customer', 'parameter_missing');
  const customer = ctx.table('customer').require(params.customer, 'customer');
  checkAccount(ctx, params.application_fee_percent);
  const behavior = params.payment_behavior ?? 'allow_incomplete';
  if (behavior === 'pending_if_incomplete')
    throw invalid(
      '`payment_behavior=pending_if_incomplete` can only be used to update a subscription.',
      'payment_behavior',
    );
  return atMoment(ctx, customer, () => {
    const subscription = draftSubscription(ctx, { ...params, items: params.items ?? [] }, customer);
    const lines = firstLines(ctx, subscription, params.proration_behavior !== 'none');
    const charges = subscription.collection_method === 'charge_automatically';
    const extra = (params.add_invoice_items ?? []).length > 0;
    const discounts = askedDiscounts(ctx, subscription, params.discounts ?? []);
    const owed = netTotal(ctx, lines, discounts) > 0 || extra;
    const method = methodFor(ctx, subscription);
    if (charges && owed && behavior !== 'default_incomplete') {
      if (!method) throw noMethod();
      const error = behavior === 'error_if_incomplete' ? obstacle(ctx, method) : null;
      if (error) throw error;
    }
    const { status } = subscription;
    if (charges && owed && status !== 'trialing') subscription.status = 'incomplete';
    ctx.table('subscription').insert(subscription);
    quietly(ctx, subscription, () => {
      setDiscounts(ctx, subscription, discounts);
      addInvoiceItems(ctx, subscription, params.add_invoice_items ?? []);
      const { invoice } = billNow(ctx, subscription, 'subscription_create', lines, {
        collect: behavior !== 'default_incomplete',
      });
      if (subscription.status === 'incomplete' && invoice.status === 'paid') subscription.status = status;
      if (charges && invoice.amount_due === 0) prepareMethod(ctx, subscription, method);
    });
    if (customer.currency !== subscription.currency)
      ctx.change(customer, 'customer.updated', () => (customer.currency = subscription.currency));
    if (subscription.status === 'incomplete')
      ctx.schedule(ctx.now + patience, 'subscription.expire', subscription.id, idOf(subscription.test_clock));
    planCycle(ctx, subscription);
    planTrialEnd(ctx, subscription);
    planCancel(ctx, subscription);
    ctx.emit('customer.subscription.created', subscription);
    return subscription;
  });
}

/** Nothing to pay yet: a setup intent collects, or authenticates, what later payments are taken from. */
function prepareMethod(ctx: Context, subscription: Subscription, method: Stripe.PaymentMethod | null): void {
  if (method && !obstacle(ctx, method)) return;
  const intent = createSetupIntent(ctx, {
    customer: idOf(subscription.customer),
    usage: 'off_session',
    ...(method && { payment_method: method.id }),
  });
  subscription.pending_setup_intent = intent.id;
  ctx.secret<{ subscription: string }>(intent.id).subscription = subscription.id;
}
