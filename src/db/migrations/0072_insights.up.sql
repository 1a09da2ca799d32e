-- What grows, what leaves and what failed: the history of subscriptions, what is rolled up from it, and every try that failed.
set local lock_timeout = '5s';

-- When a period of a place begins. A time that the clock shows twice is meant the first time; one that it leaves out is the moment it jumps.
create function psa_payments_start(wall timestamp, zone text) returns timestamptz stable language sql as $$
  select case when ((wall at time zone zone) - interval '1 hour') at time zone zone >= wall
    then (wall at time zone zone) - interval '1 hour' else wall at time zone zone end
$$;

-- Every state of every subscription that Stripe reported, and when its trial was first paid for. The order of arrival does not show: what holds
-- when follows from Stripe's stamps.
create table subscription_history (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null,
  stripe_subscription_id text not null,
  kind text not null check (kind in ('STATE', 'PAID')),
  -- Null: no event told it. It was found on the subscription long after.
  stripe_event_id text,
  effective_at timestamptz not null,
  -- Which of those of one second is likelier to be the later: what makes, what changes, what ends.
  rank smallint not null default 1,
  status text,
  quantity integer,
  unit_amount bigint,
  currency char(3),
  billing_interval text,
  interval_count integer,
  pause_behavior text,
  state text generated always as (status || ' ' || quantity::text || ' ' || unit_amount::text || ' ' || billing_interval || ' '
    || interval_count::text || ' ' || coalesce(pause_behavior, '-')) stored,
  -- The state that this one took the place of, as far as the event says so.
  replaces text,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode, stripe_event_id),
  check ((kind = 'PAID') = (status is null)),
  check (kind = 'PAID' or (state is not null and currency is not null))
);
create index subscription_history_by_subscription on subscription_history (tenant_id, livemode, stripe_subscription_id, effective_at);
create index subscription_history_trials on subscription_history (tenant_id, livemode, effective_at) where status = 'TRIALING';
create trigger subscription_history_append_only before update or delete on subscription_history
  for each row execute function psa_payments_refuse_change();
create trigger subscription_history_stays before truncate on subscription_history
  for each statement execute function psa_payments_refuse_change();

-- What a subscription in this state brings in a month, in minor units: rounded once, here, halves up, so that all sums are exact.
create function psa_payments_mrr(status text, pause_behavior text, unit_amount bigint, quantity integer, billing_interval text, interval_count integer)
returns bigint immutable language sql as $$
  select case
    when status not in ('ACTIVE', 'PAST_DUE') or pause_behavior in ('VOID', 'MARK_UNCOLLECTIBLE') then 0
    else round(unit_amount::numeric * quantity
      * case billing_interval when 'DAY' then 365 when 'WEEK' then 52 else 1 end
      / (case billing_interval when 'MONTH' then 1 when 'QUARTER' then 3 else 12 end * interval_count)::numeric)::bigint
  end
$$;

-- The one state per subscription and second that held when the second was over: what was found later, what is final, what nothing else of this
-- second took the place of, what held before, if they went round in a circle.
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
    and o.effective_at = h.effective_at and o.kind = 'STATE'
) tie on h.ties > 1
left join lateral (
  select o.state from subscription_history o
  where o.tenant_id = h.tenant_id and o.livemode = h.livemode and o.stripe_subscription_id = h.stripe_subscription_id
    and o.effective_at < h.effective_at and o.kind = 'STATE'
  order by o.effective_at desc, o.rank desc, o.stripe_event_id desc limit 1
) earlier on h.ties > 1
order by h.tenant_id, h.livemode, h.stripe_subscription_id, h.effective_at, (h.stripe_event_id is null) desc,
  (h.status in ('CANCELED', 'INCOMPLETE_EXPIRED')) desc, tie.remaining desc, tie.replaced, (h.state is not distinct from earlier.state) desc,
  h.rank desc, h.stripe_event_id desc, h.id desc;

-- How one customer's recurring revenue in one currency changed from month to month. Only months in which it did; a row without a kind counts nothing.
create table mrr_movements (
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  customer_id integer not null,
  currency char(3) not null,
  -- Its first day, as the tenant's calendar has it.
  month date not null,
  -- The month in which the customer began.
  cohort date,
  kind text check (kind in ('NEW', 'EXPANSION', 'CONTRACTION', 'CHURN', 'REACTIVATION')),
  opening bigint not null,
  closing bigint not null,
  primary key (tenant_id, livemode, customer_id, currency, month)
);

-- The same over all customers.
create table mrr_months (
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  currency char(3) not null,
  month date not null,
  new bigint not null default 0,
  expansion bigint not null default 0,
  contraction bigint not null default 0,
  churn bigint not null default 0,
  reactivation bigint not null default 0,
  customers_new integer not null default 0,
  customers_churned integer not null default 0,
  customers_reactivated integer not null default 0,
  primary key (tenant_id, livemode, currency, month)
);

-- Of whom something was reported that is not rolled up yet: those whose counts differ.
create table mrr_customers (
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  customer_id integer not null,
  reported bigint not null default 1,
  rolled_up bigint not null default 0,
  primary key (tenant_id, livemode, customer_id)
);
create index mrr_customers_waiting on mrr_customers (tenant_id, livemode, customer_id) where reported <> rolled_up;

-- The calendar that the roll-ups were made with: another time zone has other months.
create table mrr_calendars (
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  time_zone text not null,
  primary key (tenant_id, livemode)
);

-- Every try to pay that Stripe reported as failed. A payment that succeeds later forgets them.
create table payment_failures (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  payment_id uuid not null,
  -- What tells the tries of one payment apart.
  attempt text not null,
  amount bigint not null,
  currency char(3) not null,
  code text not null,
  decline_code text,
  -- Stripe's time of it.
  failed_at timestamptz not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, payment_id, attempt),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id) on delete cascade
);
create index payment_failures_newest on payment_failures (tenant_id, livemode, failed_at desc, id desc);

-- By trigger, so that payments are processed in crowds as before. What is declined and has no charge yet is reported once more, with it.
create function psa_payments_failed() returns trigger language plpgsql as $$
begin
  if new.stripe_as_of is null or (new.stripe_charge_id is null and new.failure_code is distinct from 'payment_intent_authentication_failure') then
    return null;
  end if;
  insert into payment_failures (tenant_id, livemode, payment_id, attempt, amount, currency, code, decline_code, failed_at)
  values (new.tenant_id, new.livemode, new.id, coalesce(new.stripe_charge_id, 'without a charge'), new.amount, new.currency,
    coalesce(new.failure_code, 'unknown'), new.failure_decline_code, new.stripe_as_of)
  on conflict do nothing;
  return null;
end $$;
create trigger payments_failed_insert after insert on payments for each row when (new.status = 'FAILED') execute function psa_payments_failed();
create trigger payments_failed_update after update on payments for each row when (new.status = 'FAILED') execute function psa_payments_failed();

do $$
declare
  this_table text;
begin
  foreach this_table in array array['subscription_history', 'mrr_movements', 'mrr_months', 'mrr_customers', 'mrr_calendars', 'payment_failures'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('create policy platform_read on %I for select to app_readonly using (true)', this_table);
    execute format('grant select, insert on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;
end $$;
grant update on mrr_movements, mrr_months, mrr_customers, mrr_calendars to app_tenant;
grant select on subscription_states to app_tenant, app_readonly;
