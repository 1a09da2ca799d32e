-- The same states. Whether there is a tie is asked before what ties, not after: nearly never is there one.
set local lock_timeout = '5s';

create or replace view subscription_states with (security_invoker = true) as
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
