import type Stripe from 'stripe';
import { atMoment } from '../billing/moment.js';
import { createSubscription } from '../billing/create.js';
import { announce, endAtDate, renew } from '../billing/cycle.js';
import { cancelSubscription, expire, pauseSubscription } from '../billing/ending.js';
import {
  createSubscriptionParams,
  detailsParam,
  prorationBehavior,
  updateSubscriptionParams,
} from '../billing/fields.js';
import { dropDiscounts } from '../billing/discounts.js';
import { followInvoice } from '../billing/follow.js';
import { resumeExpires, resumeSubscription } from '../billing/resume.js';
import { changeSubscription, subscriptionState } from '../billing/subscription.js';
import { dropPendingUpdate, updateSubscription } from '../billing/update.js';
import { type Context } from '../context.js';
import { invalid, missing } from '../errors.js';
import { listPage } from '../list.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { search, searchParams } from '../search.js';

type Subscription = Stripe.Subscription;

/** At the time of its customer. */
function withSubscription<T>(ctx: Context, id: string, work: (subscription: Subscription) => T): T {
  const subscription = ctx.table('subscription').require(id, 'id');
  return atMoment(ctx, subscription, () => work(subscription));
}

/** The subscription that a piece of due work is about, with the part of the reference after the colon. */
function due(ctx: Context, ref: string): { subscription: Subscription | undefined; rest: string } {
  const [id = '', rest = ''] = ref.split(':');
  return { subscription: ctx.table('subscription').get(id), rest };
}

const details = { cancellation_details: detailsParam, invoice_now: p.boolean(), prorate: p.boolean() };

/** Subscriptions. {@link https://docs.stripe.com/api/subscriptions} */
export const subscriptions: Resource = {
  expandable: ['subscription', 'pending_setup_intent'],
  hooks: {
    invoiceChanged: followInvoice,
    setupSucceeded: (ctx, intent) => {
      const { subscription: id } = ctx.secret<{ subscription: string }>(intent.id);
      const subscription = ctx.table('subscription').get(id ?? '');
      if (!subscription || subscription.pending_setup_intent !== intent.id) return;
      changeSubscription(ctx, subscription, () => {
        subscription.pending_setup_intent = null;
        const saves = subscription.payment_settings?.save_default_payment_method === 'on_subscription';
        if (saves) subscription.default_payment_method = idOf(intent.payment_method);
      });
    },
    customerDeleted: (ctx, customer) => {
      for (const subscription of ctx.table('subscription').by('customer', customer.id))
        if (!['canceled', 'incomplete_expired'].includes(subscription.status))
          atMoment(ctx, subscription, () => cancelSubscription(ctx, subscription));
    },
  },
  due: {
    'subscription.renew': (ctx, { ref, at }) => {
      const { subscription } = due(ctx, ref);
      if (subscription) renew(ctx, subscription, at);
    },
    'subscription.upcoming': (ctx, { ref }) => {
      const { subscription } = due(ctx, ref);
      if (subscription) announce(ctx, subscription);
    },
    'subscription.trial_will_end': (ctx, { ref }) => {
      const { subscription, rest } = due(ctx, ref);
      if (subscription?.status === 'trialing' && subscription.trial_end === Number(rest))
        ctx.emit('customer.subscription.trial_will_end', subscription);
    },
    'subscription.cancel': (ctx, { ref, at }) => {
      const { subscription } = due(ctx, ref);
      if (subscription?.cancel_at !== at || ['canceled', 'incomplete_expired'].includes(subscription.status)) return;
      endAtDate(ctx, subscription);
    },
    'discount.end': (ctx, { ref }) => {
      const { subscription, rest } = due(ctx, ref);
      if (!subscription || ['canceled', 'incomplete_expired'].includes(subscription.status)) return;
      changeSubscription(ctx, subscription, () => dropDiscounts(ctx, subscription, [rest]));
    },
    'subscription.expire': (ctx, { ref }) => {
      const { subscription } = due(ctx, ref);
      if (subscription) expire(ctx, subscription);
    },
    'subscription.resume_collection': (ctx, { ref, at }) => {
      const { subscription } = due(ctx, ref);
      if (subscription?.pause_collection?.resumes_at === at)
        changeSubscription(ctx, subscription, () => (subscription.pause_collection = null));
    },
    'subscription.pending_update_expires': (ctx, { ref }) => {
      const { subscription, rest } = due(ctx, ref);
      if (subscription && subscriptionState(ctx, subscription.id).pendingUpdate?.invoice === rest)
        dropPendingUpdate(ctx, subscription);
    },
    'subscription.resume_expires': (ctx, { ref }) => {
      const { subscription, rest } = due(ctx, ref);
      if (subscription) resumeExpires(ctx, subscription, rest);
    },
  },
  routes: [
    route('POST', '/v1/subscriptions', createSubscriptionParams, createSubscription),
    route(
      'GET',
      '/v1/subscriptions',
      {
        ...listParams,
        automatic_tax: p.hash({ enabled: p.boolean().required() }),
        collection_method: p.string(),
        created: p.range(),
        current_period_end: p.range(),
        current_period_start: p.range(),
        customer: p.string(),
        customer_account: p.string(),
        plan: p.string(),
        price: p.string(),
        status: p.enum(
          'active',
          'all',
          'canceled',
          'ended',
          'incomplete',
          'incomplete_expired',
          'past_due',
          'paused',
          'trialing',
          'unpaid',
        ),
        test_clock: p.string(),
      },
      (ctx, params) => {
        const { customer, status, limit, starting_after, ending_before } = params;
        const page = {
          ...(limit !== undefined && { limit }),
          ...(starting_after !== undefined && { starting_after }),
          ...(ending_before !== undefined && { ending_before }),
        };
        const table = ctx.table('subscription');
        if (starting_after !== undefined) table.require(starting_after, 'starting_after');
        const price = params.price ?? params.plan;
        return listPage(
          customer === undefined ? table : table.by('customer', customer).reverse(),
          '/v1/subscriptions',
          page,
          (row) =>
            hasStatus(row, status) &&
            inRange(row.created, params.created) &&
            (params.collection_method === undefined || row.collection_method === params.collection_method) &&
            (params.test_clock === undefined || row.test_clock === params.test_clock) &&
            (price === undefined || row.items.data.some((item) => item.price.id === price)) &&
            row.items.data.some(
              (item) =>
                inRange(item.current_period_end, params.current_period_end) &&
                inRange(item.current_period_start, params.current_period_start),
            ),
        );
      },
    ),
    route('GET', '/v1/subscriptions/search', searchParams, (ctx, params) =>
      search(ctx.table('subscription').newestFirst(), '/v1/subscriptions/search', params),
    ),
    route('GET', '/v1/subscriptions/:id', {}, (ctx, _params, { id }) => ctx.table('subscription').require(id)),
    route('POST', '/v1/subscriptions/:id', updateSubscriptionParams, (ctx, params, { id }) =>
      withSubscription(ctx, id, (subscription) => {
        if (!['canceled', 'incomplete_expired'].includes(subscription.status))
          return updateSubscription(ctx, subscription, params);
        const blocked = Object.keys(params).find((name) => !['metadata', 'cancellation_details'].includes(name));
        if (blocked !== undefined)
          throw invalid(
            'A canceled subscription can only update its cancellation_details and metadata.',
            blocked,
            'invalid_canceled_subscription_fields',
          );
        subscription.metadata = mergeMetadata(subscription.metadata, params.metadata);
        if (subscription.cancellation_details)
          Object.assign(subscription.cancellation_details, params.cancellation_details);
        return subscription;
      }),
    ),
    route('DELETE', '/v1/subscriptions/:id', details, (ctx, params, { id }) =>
      withSubscription(ctx, id, (subscription) =>
        cancelSubscription(ctx, subscription, {
          invoiceNow: params.invoice_now ?? false,
          prorate: params.prorate ?? false,
          reason: 'cancellation_requested',
          ...(params.cancellation_details && { details: params.cancellation_details }),
        }),
      ),
    ),
    route('DELETE', '/v1/subscriptions/:id/discount', {}, (ctx, _params, { id }) =>
      withSubscription(ctx, id, (subscription) => {
        const [first] = subscription.discounts.map((one) => idOf(one));
        if (first === undefined) throw missing('discount', id, 'id');
        changeSubscription(ctx, subscription, () => dropDiscounts(ctx, subscription, [first]));
        return ctx.table('discount').require(first);
      }),
    ),
    route(
      'POST',
      '/v1/subscriptions/:id/pause',
      {
        bill_for: p.hash({
          outstanding_usage_through: p.hash({ type: p.enum('none', 'now').required() }),
          unused_time_from: p.hash({ type: p.enum('item_current_period_start', 'none', 'now').required() }),
        }),
        invoicing_behavior: p.enum('invoice', 'pending_invoice_item'),
        type: p.enum('subscription'),
      },
      (ctx, params, { id }) =>
        withSubscription(ctx, id, (subscription) => {
          if (!['active', 'trialing', 'past_due'].includes(subscription.status))
            throw invalid(`You cannot pause a subscription whose status is ${subscription.status}.`);
          const from = params.bill_for?.unused_time_from?.type ?? 'now';
          return pauseSubscription(ctx, subscription, 'pause_requested', {
            creditFrom: from === 'none' ? null : from === 'now' ? 'now' : 'period_start',
            invoice: params.invoicing_behavior === 'invoice',
          });
        }),
    ),
    route(
      'POST',
      '/v1/subscriptions/:id/resume',
      {
        billing_cycle_anchor: p.oneOf(
          p.hash({ type: p.enum('now', 'unchanged').required() }),
          p.enum('now', 'unchanged'),
        ),
        payment_behavior: p.enum('resume_on_payment_attempt', 'resume_on_payment_success'),
        proration_behavior: prorationBehavior,
        proration_date: p.timestamp(),
      },
      (ctx, params, { id }) =>
        withSubscription(ctx, id, (subscription) => {
          const { billing_cycle_anchor: anchor } = params;
          return resumeSubscription(ctx, subscription, {
            unchanged: (typeof anchor === 'object' ? anchor.type : anchor) === 'unchanged',
            prorations: params.proration_behavior ?? 'create_prorations',
            onSuccess: params.payment_behavior === 'resume_on_payment_success',
            at: params.proration_date ?? ctx.now,
          });
        }),
    ),
    route(
      'POST',
      '/v1/subscriptions/:id/migrate',
      {
        billing_mode: p
          .hash({
            type: p.enum('flexible').required(),
            flexible: p.hash({ proration_discounts: p.enum('included', 'itemized') }),
          })
          .required(),
      },
      (ctx, { billing_mode: mode }, { id }) =>
        withSubscription(ctx, id, (subscription) =>
          ctx.change(subscription, 'customer.subscription.updated', () => {
            subscription.billing_mode = {
              flexible: { proration_discounts: mode.flexible?.proration_discounts ?? 'included' },
              type: 'flexible',
              updated_at: ctx.now,
            };
          }),
        ),
    ),
  ],
};

/** Without a filter a list leaves out what was canceled. */
function hasStatus({ status }: Subscription, wanted: string | undefined): boolean {
  if (wanted === 'all') return true;
  if (wanted === undefined) return status !== 'canceled' && status !== 'incomplete_expired';
  if (wanted === 'ended') return status === 'canceled' || status === 'incomplete_expired';
  return status === wanted;
}
