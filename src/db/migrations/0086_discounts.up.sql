-- What is taken off a price: which discounts a subscription had when, and what each of them is.
set local lock_timeout = '5s';

-- Stripe's ids, in the order in which they are taken off.
alter table stripe_subscriptions add column discount_ids text[] not null default '{}';
alter table subscription_history add column discount_ids text[] not null default '{}';

-- A coupon as it was redeemed. What an id names never changes: whatever tells of it fills in what is not known yet, in any order.
create table stripe_discounts (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null,
  stripe_discount_id text not null,
  stripe_customer_id text,
  stripe_subscription_id text,
  stripe_coupon_id text,
  name text,
  -- Null: the coupon was deleted before anybody could tell what it took off.
  duration text check (duration in ('ONCE', 'REPEATING', 'FOREVER')),
  percent_off numeric check (percent_off > 0 and percent_off <= 100),
  amount_off bigint check (amount_off > 0),
  currency char(3) check (currency ~ '^[a-z]{3}$'),
  starts_at timestamptz,
  -- Known beforehand. Nothing needs to happen for it to end.
  ends_at timestamptz,
  -- By Stripe's stamp: taken off the subscription, or used up.
  removed_at timestamptz,
  -- Stripe's stamp of the first event that told of it. Null: none did, it was found on its subscription.
  told_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_discount_id),
  check ((amount_off is null) = (currency is null)),
  check (percent_off is null or amount_off is null)
);
create index stripe_discounts_by_subscription on stripe_discounts (tenant_id, livemode, stripe_subscription_id);
-- Which discounts nothing is known of yet is asked each hour.
create index stripe_subscriptions_discounted on stripe_subscriptions (tenant_id, livemode) where discount_ids <> '{}';
alter table stripe_discounts enable row level security;
alter table stripe_discounts force row level security;
create policy tenant_isolation on stripe_discounts to app_tenant
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean);
create policy platform_read on stripe_discounts for select to app_readonly using (true);
create trigger stripe_discounts_updated_at before update on stripe_discounts for each row execute function psa_payments_updated_at();
grant select, insert, update on stripe_discounts to app_tenant;
grant select on stripe_discounts to app_readonly;

-- When the next discount of a customer ends: its months are rolled up then, although nothing was reported.
alter table mrr_customers add column due_at timestamptz;
create index mrr_customers_due on mrr_customers (tenant_id, livemode, due_at) where due_at is not null;

-- What a price is after a discount; never less than nothing. Exact: it is rounded once, at the end.
create function psa_payments_take_off(amount numeric, price numeric, percent_off numeric, amount_off bigint)
returns numeric immutable language sql as $$
  select greatest(0, coalesce(amount, price) * (100 - coalesce(percent_off, 0)) * 0.01 - coalesce(amount_off, 0))
$$;
create aggregate psa_payments_discounted(price numeric, percent_off numeric, amount_off bigint) (
  sfunc = psa_payments_take_off, stype = numeric, parallel = safe
);

-- What so much in each period is in a month, in minor units: rounded once, halves up.
create function psa_payments_monthly(amount numeric, billing_interval text, interval_count integer)
returns bigint immutable language sql as $$
  select round(amount * case billing_interval when 'DAY' then 365 when 'WEEK' then 52 else 1 end
    / (case billing_interval when 'MONTH' then 1 when 'QUARTER' then 3 else 12 end * interval_count)::numeric)::bigint
$$;

create or replace function psa_payments_mrr(status text, pause_behavior text, unit_amount bigint, quantity integer, billing_interval text,
  interval_count integer)
returns bigint immutable language sql as $$
  select case
    when status not in ('ACTIVE', 'PAST_DUE') or pause_behavior in ('VOID', 'MARK_UNCOLLECTIBLE') then 0
    else psa_payments_monthly(unit_amount::numeric * quantity, billing_interval, interval_count)
  end
$$;

create function psa_payments_whole_state(state text, discount_ids text[]) returns text immutable language sql as $$
  select concat_ws(' ', state, nullif(array_to_string(discount_ids, ' '), ''))
$$;

-- A change of discounts alone is a change, too: what ties in one second is told apart by them as well. `state` and `mrr` are without them.
create or replace view subscription_states with (security_invoker = true) as
select distinct on (h.tenant_id, h.livemode, h.stripe_subscription_id, h.effective_at)
  h.tenant_id, h.livemode, h.stripe_subscription_id, h.effective_at, h.status, h.currency, h.state,
  psa_payments_mrr(h.status, h.pause_behavior, h.unit_amount, h.quantity, h.billing_interval, h.interval_count) as mrr,
  h.status in ('ACTIVE', 'PAST_DUE') and h.pause_behavior is distinct from 'VOID' and h.pause_behavior is distinct from 'MARK_UNCOLLECTIBLE'
    as counts,
  h.unit_amount::numeric * h.quantity as price, h.billing_interval, h.interval_count, h.discount_ids
from (
  select *, psa_payments_whole_state(state, discount_ids) as whole,
    count(*) over (partition by tenant_id, livemode, stripe_subscription_id, effective_at) as ties
  from subscription_history where kind = 'STATE'
) h
left join lateral (
  select count(*) filter (where psa_payments_whole_state(o.state, o.discount_ids) = h.whole)
      - count(*) filter (where o.replaces = h.whole) as remaining,
    count(*) filter (where o.replaces = h.whole) as replaced
  from subscription_history o
  where o.tenant_id = h.tenant_id and o.livemode = h.livemode and o.stripe_subscription_id = h.stripe_subscription_id
    and o.effective_at = h.effective_at and o.kind = 'STATE' and h.ties > 1
) tie on true
left join lateral (
  select psa_payments_whole_state(o.state, o.discount_ids) as whole from subscription_history o
  where o.tenant_id = h.tenant_id and o.livemode = h.livemode and o.stripe_subscription_id = h.stripe_subscription_id
    and o.effective_at < h.effective_at and o.kind = 'STATE' and h.ties > 1
  order by o.effective_at desc, o.rank desc, o.stripe_event_id desc limit 1
) earlier on true
order by h.tenant_id, h.livemode, h.stripe_subscription_id, h.effective_at, (h.stripe_event_id is null) desc,
  (h.status in ('CANCELED', 'INCOMPLETE_EXPIRED')) desc, tie.remaining desc, tie.replaced, (h.whole is not distinct from earlier.whole) desc,
  h.rank desc, h.stripe_event_id desc, h.id desc;
