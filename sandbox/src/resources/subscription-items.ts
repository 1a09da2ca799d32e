import type Stripe from 'stripe';
import { atMoment } from '../billing/moment.js';
import { changedItemParams, newItemParams } from '../billing/changes.js';
import { prorationBehavior } from '../billing/fields.js';
import { updateSubscription } from '../billing/update.js';
import { type Context } from '../context.js';
import { missing } from '../errors.js';
import { listPage } from '../list.js';
import { listParams, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';

const how = {
  payment_behavior: p.enum('allow_incomplete', 'default_incomplete', 'error_if_incomplete', 'pending_if_incomplete'),
  proration_behavior: prorationBehavior,
  proration_date: p.timestamp(),
};
const { id: _id, deleted: _deleted, clear_usage: clearUsage, ...changeable } = changedItemParams;

/** The subscription an item lives in. @throws StripeError 404 */
function homeOf(ctx: Context, id: string): { subscription: Stripe.Subscription; item: Stripe.SubscriptionItem } {
  const { subscription: home } = ctx.secret<{ subscription: string }>(id);
  const subscription = ctx.table('subscription').get(home ?? '');
  const item = subscription?.items.data.find((row) => row.id === id);
  if (!subscription || !item) throw missing('subscription_item', id, 'item');
  return { subscription, item };
}

/** A change of one item is a change of its subscription. */
function change(
  ctx: Context,
  subscription: Stripe.Subscription,
  item: Params<typeof changedItemParams>,
  options: Params<typeof how>,
): void {
  atMoment(ctx, subscription, () => updateSubscription(ctx, subscription, { ...options, items: [item] }));
}

/** Subscription items. {@link https://docs.stripe.com/api/subscription_items} */
export const subscriptionItems: Resource = {
  routes: [
    route(
      'POST',
      '/v1/subscription_items',
      { ...newItemParams, ...how, subscription: p.string().required() },
      (ctx, { subscription: id, payment_behavior, proration_behavior, proration_date, ...item }) => {
        const subscription = ctx.table('subscription').require(id, 'subscription');
        const known = new Set(subscription.items.data.map((row) => row.id));
        change(ctx, subscription, item, pick({ payment_behavior, proration_behavior, proration_date }));
        const rows = subscription.pending_update?.subscription_items ?? subscription.items.data;
        return rows.find((row) => !known.has(row.id)) ?? rows.at(-1);
      },
    ),
    route(
      'GET',
      '/v1/subscription_items',
      { ...listParams, subscription: p.string().required() },
      (ctx, { subscription, ...page }) =>
        listPage(
          ctx.table('subscription').require(subscription, 'subscription').items.data,
          '/v1/subscription_items',
          page,
        ),
    ),
    route('GET', '/v1/subscription_items/:id', {}, (ctx, _params, { id }) => homeOf(ctx, id).item),
    route(
      'POST',
      '/v1/subscription_items/:id',
      { ...changeable, ...how, off_session: p.boolean() },
      (ctx, { payment_behavior, proration_behavior, proration_date, off_session: _off, ...item }, { id }) => {
        const { subscription } = homeOf(ctx, id);
        change(ctx, subscription, { ...item, id }, pick({ payment_behavior, proration_behavior, proration_date }));
        return homeOf(ctx, id).item;
      },
    ),
    route('DELETE', '/v1/subscription_items/:id', { ...how, clear_usage: clearUsage }, (ctx, params, { id }) => {
      const { clear_usage: _usage, ...options } = params;
      change(ctx, homeOf(ctx, id).subscription, { id, deleted: true }, options);
      return { id, object: 'subscription_item', deleted: true };
    }),
  ],
};

function pick<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as never;
}
