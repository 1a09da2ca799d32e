set local lock_timeout = '5s';
drop view if exists subscription_states;
drop function if exists psa_payments_whole_state(text, text[]);
create or replace function psa_payments_mrr(status text, pause_behavior text, unit_amount bigint, quantity integer, billing_interval text,
  interval_count integer)
returns bigint immutable language sql as $$
  select case
    when status not in ('ACTIVE', 'PAST_DUE') or pause_behavior in ('VOID', 'MARK_UNCOLLECTIBLE') then 0
    else round(unit_amount::numeric * quantity
      * case billing_interval when 'DAY' then 365 when 'WEEK' then 52 else 1 end
      / (case billing_interval when 'MONTH' then 1 when 'QUARTER' then 3 else 12 end * interval_count)::numeric)::bigint
  end
$$;
drop function if exists psa_payments_monthly(numeric, text, integer);
drop aggregate if exists psa_payments_discounted(numeric, numeric, bigint);
drop function if exists psa_payments_take_off(numeric, numeric, numeric, bigint);
drop index if exists mrr_customers_due;
alter table mrr_customers drop column if exists due_at;
drop table if exists stripe_discounts;
alter table subscription_history drop column if exists discount_ids;
drop index if exists stripe_subscriptions_discounted;
alter table stripe_subscriptions drop column if exists discount_ids;

create view subscription_states with (security_invoker = true) as
select distinct on (h.tenant_id, h.livemode, h.stripe_subscription_id, h.effective_at)
  h.tenant_id, h.livemode, h.stripe_subscription_id, h.effective_at, h.status, h.currency, h.state,
  psa_payments_mrr(h.status, h.pause_behavior, h.unit_amount, h.quantity, h.billing_interval, h.interval_count) as mrr
from (
  select *, count(*) over (partition by tenant_id, livemode, stripe_subscription_id, effective_at) as ties
  from subscription_history where kind = 'STATE'
) h
left join lateral (
  select count(*) filter (where o.state = h.state) - count(*) filter (where o.replaces = h.state) as remaining,
    count(*) filter (where o.replaces = h.state) as replaced
  from subscription_history o
  where o.tenant_id = h.tenant_id and o.livemode = h.livemode and o.stripe_subscription_id = h.stripe_subscription_id
    and o.effective_at = h.effective_at and o.kind = 'STATE' and h.ties > 1
) tie on true
left join lateral (
  select o.state from subscription_history o
  where o.tenant_id = h.tenant_id and o.livemode = h.livemode and o.stripe_subscription_id = h.stripe_subscription_id
    and o.effective_at < h.effective_at and o.kind = 'STATE' and h.ties > 1
  order by o.effective_at desc, o.rank desc, o.stripe_event_id desc limit 1
) earlier on true
order by h.tenant_id, h.livemode, h.stripe_subscription_id, h.effective_at, (h.stripe_event_id is null) desc,
  (h.status in ('CANCELED', 'INCOMPLETE_EXPIRED')) desc, tie.remaining desc, tie.replaced, (h.state is not distinct from earlier.state) desc,
  h.rank desc, h.stripe_event_id desc, h.id desc;
grant select on subscription_states to app_tenant, app_readonly;
