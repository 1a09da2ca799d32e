import type Stripe from 'stripe';
import { boundary } from '../billing/periods.js';
import { recurrenceOf } from '../billing/subscription.js';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { listPage } from '../list.js';
import { listParams, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';

type Clock = Stripe.TestHelpers.TestClock;

/** How long a clock is kept. {@link https://docs.stripe.com/billing/testing/test-clocks/api-advanced-usage} */
const lifetime = 30 * 86_400;
/** Milliseconds of due work between two looks at the network: whoever polls the clock meanwhile is answered. */
const slice = 40;

/** Clocks whose work is under way in this process; after a restart with `--data` none is, and the next look at one resumes it. */
const running = new WeakSet<Clock>();

/** At most two intervals of the shortest subscription at once; without one, two years. */
function furthest(ctx: Context, clock: Clock): number {
  let limit = boundary(clock.frozen_time, { interval: 'year', interval_count: 1 }, 2);
  for (const customer of ctx.table('customer').by('test_clock', clock.id))
    for (const subscription of ctx.table('subscription').by('customer', customer.id)) {
      if (['canceled', 'incomplete_expired'].includes(subscription.status)) continue;
      for (const item of subscription.items.data)
        limit = Math.min(limit, boundary(clock.frozen_time, recurrenceOf(item), 2));
    }
  return limit;
}

/** Does what is due in slices of time, until the clock has arrived. */
function run(ctx: Context, clock: Clock): void {
  const target = clock.status_details.advancing?.target_frozen_time;
  // Deleted or reset meanwhile.
  if (
    target === undefined ||
    ctx.sandbox.store.get(ctx.account)?.table('test_helpers.test_clock').get(clock.id) !== clock
  )
    return;
  running.add(clock);
  const { scheduler } = ctx.sandbox;
  const until = performance.now() + slice;
  for (let next = scheduler.next(clock.id); next !== null && next <= target; next = scheduler.next(clock.id)) {
    scheduler.runUntil(clock.id, next, (at) => (clock.frozen_time = Math.floor(at)));
    if (performance.now() > until) {
      setImmediate(() => run(ctx, clock));
      return;
    }
  }
  running.delete(clock);
  clock.frozen_time = target;
  clock.status = 'ready';
  clock.status_details = {};
  ctx.emit('test_helpers.test_clock.ready', clock);
  ctx.sandbox.onChange();
}

function find(ctx: Context, id: string): Clock {
  const clock = ctx.table('test_helpers.test_clock').require(id, 'clock');
  if (clock.status === 'advancing' && !running.has(clock)) setImmediate(() => run(ctx, clock));
  return clock;
}

function advance(ctx: Context, clock: Clock, to: number): object {
  if (clock.status !== 'ready')
    throw invalid('This test clock is still advancing: wait until its status is `ready`.', 'frozen_time');
  if (to <= clock.frozen_time)
    throw invalid(
      `Provided time must be after the clock's current time. The clock stands at ${clock.frozen_time}.`,
      'frozen_time',
    );
  const limit = furthest(ctx, clock);
  if (to > limit)
    throw invalid(
      `Invalid parameter: you can advance a test clock by at most two intervals of the shortest subscription at once. The furthest time allowed now is ${limit}.`,
      'frozen_time',
    );
  clock.status = 'advancing';
  clock.status_details = { advancing: { target_frozen_time: to } };
  ctx.emit('test_helpers.test_clock.advancing', clock);
  running.add(clock);
  // The answer says `advancing`, as Stripe's does; the work follows it.
  const later = ctx.sandbox.context(ctx.account);
  setImmediate(() => run(later, clock));
  return clock;
}

function remove(ctx: Context, clock: Clock): Stripe.TestHelpers.DeletedTestClock {
  for (const customer of ctx.table('customer').by('test_clock', clock.id)) {
    ctx.sandbox.hook('customerDeleted', ctx, customer);
    ctx.table('customer').delete(customer.id);
    ctx.secret<{ deleted: boolean }>(customer.id).deleted = true;
  }
  ctx.table('test_helpers.test_clock').delete(clock.id);
  ctx.sandbox.scheduler.drop(clock.id);
  ctx.emit('test_helpers.test_clock.deleted', clock);
  return { id: clock.id, object: 'test_helpers.test_clock', deleted: true };
}

/** Test clocks. {@link https://docs.stripe.com/billing/testing/test-clocks} */
export const testClocks: Resource = {
  routes: [
    route(
      'POST',
      '/v1/test_helpers/test_clocks',
      { frozen_time: p.timestamp().required(), customer: p.string(), name: p.string() },
      (ctx, { frozen_time: frozen, customer, name }) => {
        const clock: Clock = {
          id: newId('test_helpers.test_clock'),
          object: 'test_helpers.test_clock',
          created: ctx.now,
          deletes_after: ctx.now + lifetime,
          frozen_time: frozen,
          livemode: false,
          name: name ?? null,
          status: 'ready',
          status_details: {},
        };
        if (customer !== undefined) {
          const owner = ctx.table('customer').require(customer, 'customer');
          if (owner.test_clock !== null || ctx.table('subscription').by('customer', customer).length > 0)
            throw invalid('This customer has a test clock, or subscriptions, already.', 'customer');
          owner.test_clock = clock.id;
          ctx.table('customer').touch(owner);
        }
        ctx.table('test_helpers.test_clock').insert(clock);
        ctx.emit('test_helpers.test_clock.created', clock);
        return clock;
      },
    ),
    route('GET', '/v1/test_helpers/test_clocks', listParams, (ctx, page) =>
      listPage(ctx.table('test_helpers.test_clock'), '/v1/test_helpers/test_clocks', page),
    ),
    route('GET', '/v1/test_helpers/test_clocks/:id', {}, (ctx, _params, { id }) => find(ctx, id)),
    route('DELETE', '/v1/test_helpers/test_clocks/:id', {}, (ctx, _params, { id }) => remove(ctx, find(ctx, id))),
    route(
      'POST',
      '/v1/test_helpers/test_clocks/:id/advance',
      { frozen_time: p.timestamp().required() },
      (ctx, { frozen_time: to }, { id }) => advance(ctx, find(ctx, id), to),
    ),
  ],
};
