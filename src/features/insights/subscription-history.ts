import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type SubscriptionReport, subscriptionReport } from '../../stripe/billing-reports.js';
import { type AccountId, type EventId, type Subscription, type SubscriptionId } from '../../stripe/types.js';
import {
  billingIntervalOf,
  isFinalSubscription,
  pauseBehaviorOf,
  subscriptionStatusOf,
} from '../subscriptions/subscription-state.js';

// The history of subscriptions: one line for each state that Stripe reported, kept by the event that told it. Nothing is decided when a line is
// written, so the order in which events come does not show, and an event that comes twice is there once. What held when is said by the
// view `subscription_states`, from Stripe's stamps.

/** Which event a line is kept by. */
export interface ToldBy {
  readonly accountId: AccountId;
  readonly eventId: EventId;
  /** Stripe's stamp. */
  readonly at: Date;
}

/** The part of a state that a month's revenue depends on. */
function factsOf(report: SubscriptionReport) {
  const status = subscriptionStatusOf(report.status);
  const { interval, intervalCount } = billingIntervalOf(report);
  const pause = report.pauseBehavior && pauseBehaviorOf(report.pauseBehavior);
  const { quantity, unitAmount, discountIds } = report;
  return { status, quantity, unitAmount, interval, intervalCount, pause, discountIds };
}

/** As the column `state` writes it, and then the discounts. */
function stateOf(facts: ReturnType<typeof factsOf>): string {
  const { status, quantity, unitAmount, interval, intervalCount, pause, discountIds } = facts;
  return [status, quantity, unitAmount, interval, intervalCount, pause ?? '-', ...discountIds].join(' ');
}

type Hash = Readonly<Record<string, unknown>>;
const isHash = (value: unknown): value is Hash => typeof value === 'object' && value !== null && !Array.isArray(value);

/** What it was before: Stripe gives the old values of what changed, hash by hash, lists whole. */
function undone(object: Hash, previous: Hash): Hash {
  const before: Record<string, unknown> = { ...object };
  for (const [name, old] of Object.entries(previous)) {
    const now = object[name];
    before[name] = isHash(old) && isHash(now) ? undone(now, old) : old;
  }
  return before;
}

/** The state that an update took the place of; null where that cannot be told. */
function replacedState(object: Subscription, previous: unknown): string | null {
  if (!isHash(previous)) return null;
  try {
    const before = undone(object as unknown as Hash, previous) as unknown as Subscription;
    return stateOf(factsOf(subscriptionReport(before)));
  } catch {
    return null;
  }
}

/** Keeps the state that an event told. @param previous the event's `previous_attributes` */
export async function keepState(
  em: EntityManager,
  object: Subscription,
  previous: unknown,
  { accountId, eventId, at }: ToldBy,
): Promise<void> {
  const report = subscriptionReport(object);
  const facts = factsOf(report);
  const rank = isFinalSubscription(facts.status) ? 2 : +report.created === +at ? 0 : 1;
  await keep(em, {
    ...{ stripe_account_id: accountId, stripe_subscription_id: report.id, kind: 'STATE', stripe_event_id: eventId },
    ...{ effective_at: at, rank, status: facts.status, quantity: facts.quantity, unit_amount: facts.unitAmount },
    ...{ currency: report.currency, billing_interval: facts.interval, interval_count: facts.intervalCount },
    ...{
      pause_behavior: facts.pause,
      discount_ids: arrayOf(facts.discountIds),
      replaces: replacedState(object, previous),
    },
  });
}

/** Keeps that a period was paid for: a trial counts from then on. */
export async function keepPaid(
  em: EntityManager,
  id: SubscriptionId,
  { accountId, eventId, at }: ToldBy,
): Promise<void> {
  await keep(em, {
    ...{ stripe_account_id: accountId, stripe_subscription_id: id, kind: 'PAID', stripe_event_id: eventId },
    effective_at: at,
  });
}

const arrayOf = (ids: readonly string[]): string => `{${ids.map((id) => JSON.stringify(id)).join(',')}}`;

/** Has a customer's figures made anew: something became known that its lines do not say. The customer's row is held until that is committed. */
export async function keepChanged(em: EntityManager, customerId: number): Promise<void> {
  await em.execute(
    `insert into mrr_customers as c (tenant_id, livemode, customer_id) values (?, ?, ?)
     on conflict (tenant_id, livemode, customer_id) do update set reported = c.reported + 1`,
    [tenantOf(em), livemodeOf(em), customerId],
  );
}

/** One round trip: the line, and that its customer's figures are to be made anew. The customer's row is held until the line is committed. */
async function keep(em: EntityManager, line: Readonly<Record<string, unknown>>): Promise<void> {
  const row = { tenant_id: tenantOf(em), livemode: livemodeOf(em), ...line };
  const names = Object.keys(row);
  await em.execute(
    `with kept as (
       insert into subscription_history (${names.join(', ')}) values (${names.map(() => '?').join(', ')})
       on conflict (tenant_id, livemode, stripe_event_id) do nothing returning tenant_id, livemode, stripe_subscription_id
     )
     insert into mrr_customers as c (tenant_id, livemode, customer_id)
     select s.tenant_id, s.livemode, s.customer_id from kept k
       join stripe_subscriptions s on s.tenant_id = k.tenant_id and s.stripe_subscription_id = k.stripe_subscription_id
     on conflict (tenant_id, livemode, customer_id) do update set reported = c.reported + 1`,
    Object.values(row),
  );
}
