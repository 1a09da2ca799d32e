import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';

/** So many customers are rolled up in one transaction. */
const batch = 2_000;

/**
 * Brings the monthly figures of a tenant up to date: of the customers whom something was reported of since, or a discount of whom has ended, and of all
 * of them when the tenant has moved to another time zone. What comes of it is what rolling up everything from the history would give.
 * @returns how many customers it were
 */
export async function rollUp(db: TenantDb): Promise<number> {
  let total = 0;
  for (;;) {
    const count = await db.transaction((em) => rollUpSome(em));
    total += count;
    if (count < batch) return total;
  }
}

async function rollUpSome(em: EntityManager): Promise<number> {
  const scope = [tenantOf(em), livemodeOf(em)];
  // The sums over all customers are changed by what differs, so that only one at a time may work on a tenant's.
  await em.execute(`select pg_advisory_xact_lock(hashtextextended('mrr ' || ? || ?, 0))`, [scope[0], String(scope[1])]);
  // With another calendar everybody's months are others. Who is held by an event that is being processed will be waiting all the same.
  await em.execute(
    `with moved as (
       insert into mrr_calendars as c (tenant_id, livemode, time_zone) select id, ?, time_zone from tenants where id = ?
       on conflict (tenant_id, livemode) do update set time_zone = excluded.time_zone where c.time_zone <> excluded.time_zone
       returning 1
     )
     update mrr_customers c set reported = c.reported + 1 from (
       select customer_id from mrr_customers where exists (select from moved) order by customer_id for update skip locked
     ) free where c.customer_id = free.customer_id`,
    [scope[1], scope[0]],
  );
  // Whose event is being processed right now is left for the next time: the event holds the row until it is committed.
  const waiting = await em.execute<{ customer_id: number }[]>(
    `select customer_id from mrr_customers where reported <> rolled_up or due_at <= now() order by customer_id limit ${batch} for update skip locked`,
  );
  if (waiting.length === 0) return 0;
  const ids = waiting.map(({ customer_id: id }) => id);
  await em.execute(rollUpCustomers, [`{${ids.join(',')}}`, ...scope, ...scope]);
  return ids.length;
}

/**
 * A customer's months from the history of its subscriptions. A subscription counts with what it brought when the month was over; it had a trial, and
 * was not paid for yet: with nothing. A customer's subscriptions are summed first, so what one gains and the other loses is no movement.
 *
 * Discounts end without anybody saying so. Until when they have is said by the clock; on a test clock, which is ahead of it, by the last that was told.
 */
const rollUpCustomers = `
  with wanted as (select unnest(?::integer[]) as customer_id),
  calendar as (select time_zone as zone from tenants),
  subs as materialized (
    select s.stripe_subscription_id as sub, s.customer_id from wanted w join stripe_subscriptions s using (customer_id)
  ),
  known as materialized (
    select h.stripe_subscription_id as sub, min(h.effective_at) filter (where h.kind = 'PAID') as paid_at,
      coalesce(bool_or(h.status = 'TRIALING'), false) as had_trial, greatest(now(), max(h.effective_at)) as present
    from subscription_history h where h.stripe_subscription_id in (select sub from subs) group by 1
  ),
  states as materialized (
    select v.stripe_subscription_id as sub, v.effective_at as at, v.currency, v.counts, v.price, v.billing_interval, v.interval_count, v.discount_ids,
      row_number() over (partition by v.stripe_subscription_id order by v.effective_at) as n
    from subscription_states v where v.stripe_subscription_id = any (array(select sub from subs))
  ),
  discounts as materialized (
    select stripe_discount_id as id, removed_at, least(ends_at, removed_at) as until from stripe_discounts
    where duration <> 'ONCE' and stripe_discount_id = any (array(select distinct unnest(discount_ids) from states))
  ),
  endings as materialized (
    select distinct sub, d.until as at, coalesce(d.until = d.removed_at, false) or d.until <= k.present as has_come
    from states s cross join unnest(s.discount_ids) u (id) join discounts d using (id) join known k using (sub) where d.until is not null
  ),
  moments as (
    select sub, at, n from states
    union all select sub, at, null from endings where has_come
    union all select sub, paid_at, null from known where had_trial and paid_at is not null
  ),
  placed as (select distinct sub, at, max(n) over (partition by sub order by at) as n from moments),
  points as materialized (
    select p.sub, p.at, s.currency, s.counts and (not k.had_trial or coalesce(p.at >= k.paid_at, false)) as counts, s.price, s.billing_interval,
      s.interval_count, s.discount_ids
    from placed p join states s using (sub, n) join known k using (sub)
  ),
  valued as (
    select p.sub, p.at, p.currency,
      case when p.counts then psa_payments_monthly(coalesce(lowered.price, p.price), p.billing_interval, p.interval_count) else 0 end as mrr
    from points p left join lateral (
      -- By the index, point for point: what is known of a point beforehand is too little for PostgreSQL to join two crowds of them well.
      select psa_payments_discounted(p.price, d.percent_off, d.amount_off order by u.place) as price
      from unnest(p.discount_ids) with ordinality u (id, place) join stripe_discounts d on d.stripe_discount_id = u.id
      where d.duration <> 'ONCE' and (d.ends_at is null or p.at < d.ends_at) and (d.removed_at is null or p.at < d.removed_at)
        and (d.amount_off is null or d.currency = p.currency)
    ) lowered on p.counts and p.discount_ids <> '{}'
  ),
  ends as (
    select distinct on (sub, month) sub, currency, date_trunc('month', at at time zone zone)::date as month, mrr
    from valued, calendar order by sub, month, at desc
  ),
  changes as (
    select customer_id, currency, month, sum(change)::bigint as change
    from (select sub, currency, month, mrr - lag(mrr, 1, 0::bigint) over (partition by sub order by month) as change from ends) e
      join subs using (sub)
    group by 1, 2, 3
  ),
  running as (
    select customer_id, currency, month, change, (sum(change) over (partition by customer_id, currency order by month))::bigint as closing
    from changes
  ),
  begun as (
    select *, closing - change as opening, min(month) filter (where closing > 0) over (partition by customer_id, currency) as cohort
    from running where change <> 0
  ),
  fresh as materialized (
    select customer_id, currency, month, cohort, opening, closing,
      case when opening = 0 and month = cohort then 'NEW' when opening = 0 then 'REACTIVATION' when closing = 0 then 'CHURN'
        when closing > opening then 'EXPANSION' else 'CONTRACTION' end as kind
    from begun
  ),
  old as materialized (select m.* from wanted w join mrr_movements m using (customer_id) where m.kind is not null),
  written as (
    insert into mrr_movements as m (tenant_id, livemode, customer_id, currency, month, cohort, kind, opening, closing)
    select ?::uuid, ?::boolean, customer_id, currency, month, cohort, kind, opening, closing from fresh
    on conflict (tenant_id, livemode, customer_id, currency, month) do update
      set cohort = excluded.cohort, kind = excluded.kind, opening = excluded.opening, closing = excluded.closing
      where (m.cohort, m.kind, m.opening, m.closing) is distinct from (excluded.cohort, excluded.kind, excluded.opening, excluded.closing)
  ),
  struck as (
    update mrr_movements m set kind = null, cohort = null, opening = 0, closing = 0
    from old o where m.customer_id = o.customer_id and m.currency = o.currency and m.month = o.month
      and not exists (select from fresh f where (f.customer_id, f.currency, f.month) = (o.customer_id, o.currency, o.month))
  ),
  differences as (
    select currency, month, kind, abs(closing - opening) as amount, 1 as n from fresh
    union all select currency, month, kind, - abs(closing - opening), -1 from old
  ),
  totals as (
    insert into mrr_months as m (tenant_id, livemode, currency, month, new, expansion, contraction, churn, reactivation,
      customers_new, customers_churned, customers_reactivated)
    select ?::uuid, ?::boolean, currency, month, coalesce(sum(amount) filter (where kind = 'NEW'), 0),
      coalesce(sum(amount) filter (where kind = 'EXPANSION'), 0), coalesce(sum(amount) filter (where kind = 'CONTRACTION'), 0),
      coalesce(sum(amount) filter (where kind = 'CHURN'), 0), coalesce(sum(amount) filter (where kind = 'REACTIVATION'), 0),
      coalesce(sum(n) filter (where kind = 'NEW'), 0), coalesce(sum(n) filter (where kind = 'CHURN'), 0),
      coalesce(sum(n) filter (where kind = 'REACTIVATION'), 0)
    from differences group by currency, month
    on conflict (tenant_id, livemode, currency, month) do update set new = m.new + excluded.new, expansion = m.expansion + excluded.expansion,
      contraction = m.contraction + excluded.contraction, churn = m.churn + excluded.churn, reactivation = m.reactivation + excluded.reactivation,
      customers_new = m.customers_new + excluded.customers_new, customers_churned = m.customers_churned + excluded.customers_churned,
      customers_reactivated = m.customers_reactivated + excluded.customers_reactivated
  )
  update mrr_customers c set rolled_up = c.reported, due_at = w.due_at from (
    select customer_id, min(e.at) as due_at from wanted left join subs using (customer_id) left join endings e on e.sub = subs.sub and not e.has_come
    group by 1
  ) w where c.customer_id = w.customer_id`;

/**
 * Takes into the history what no event told: a subscription that was there before its history began, or that drift repair put right. An event that
 * is late only says it again, at its own time.
 * @param settledMs for how long a subscription must not have changed, since its events may still be on their way: an hour
 * @returns how many subscriptions it were
 */
export async function takeOverUntold(db: TenantDb, settledMs = 3_600_000): Promise<number> {
  return db.transaction(async (em) => {
    await em.execute(`select pg_advisory_xact_lock(hashtextextended('mrr ' || ? || ?, 0))`, [
      tenantOf(em),
      String(livemodeOf(em)),
    ]);
    const rows = await em.execute<unknown[]>(
      `with untold as (
         select s.*, last.effective_at as known_until from stripe_subscriptions s
         left join lateral (
           select v.state, v.discount_ids, v.effective_at from subscription_states v where v.stripe_subscription_id = s.stripe_subscription_id
           order by v.effective_at desc limit 1
         ) last on true
         where s.updated_at <= now() - ? * interval '1 millisecond' and s.stripe_as_of is not null
           and (last.discount_ids is distinct from s.discount_ids or last.state is distinct from concat_ws(' ', s.status, s.quantity, s.unit_amount,
             s.billing_interval, s.interval_count, coalesce(s.pause_behavior, '-')))
       ), kept as (
         insert into subscription_history (tenant_id, livemode, stripe_account_id, stripe_subscription_id, kind, effective_at, rank, status, quantity,
           unit_amount, currency, billing_interval, interval_count, pause_behavior, discount_ids)
         select tenant_id, livemode, stripe_account_id, stripe_subscription_id, 'STATE',
           greatest(known_until, case when ended_at is not null then ended_at when known_until is null then
             least(updated_at, coalesce(trial_start, current_period_start, created_at)) else updated_at end),
           1, status, quantity, unit_amount, currency, billing_interval, interval_count, pause_behavior, discount_ids
         from untold returning stripe_subscription_id
       )
       insert into mrr_customers as c (tenant_id, livemode, customer_id)
       select distinct s.tenant_id, s.livemode, s.customer_id from stripe_subscriptions s
       where s.stripe_subscription_id in (select stripe_subscription_id from kept)
         or not exists (select from mrr_customers known where known.customer_id = s.customer_id)
       on conflict (tenant_id, livemode, customer_id) do update set reported = c.reported + 1 returning customer_id`,
      [settledMs],
    );
    return rows.length;
  });
}
