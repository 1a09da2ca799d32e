-- What Stripe told us. Written for one thing first: an insert that is cheap at thousands a second. So there are few indexes, the payload lies
-- out of line, and what is still to do stands in a small table of its own: claiming an event there rewrites a hundred bytes and not four
-- thousand, and marking it as done touches no index of the big table.
set local lock_timeout = '5s';

create table stripe_webhook_events (
  id uuid not null default uuidv7(),
  stripe_event_id text not null check (length(stripe_event_id) between 1 and 255),
  type text not null,
  kind text not null check (kind in ('SNAPSHOT', 'THIN')),
  -- While it is being worked on the queue knows it, see below; here it then still has the status before.
  status text not null check (status in ('RECEIVED', 'PROCESSED', 'FAILED', 'IGNORED', 'PARKED', 'DEAD')),
  -- As the signed envelope says. Null for the platform's own; need not be an account that we know.
  stripe_account_id text,
  -- The object whose events are kept in order: pi_…, sub_…, acct_….
  object_key text not null,
  livemode boolean not null,
  attempts integer not null default 0,
  last_error text,
  payload jsonb not null,
  -- Stripe's stamp. All copies of one event share it; the time of arrival they do not, so it could not be part of what makes them unique.
  stripe_created_at timestamptz not null,
  received_at timestamptz not null default now(),
  processed_at timestamptz,
  primary key (id, stripe_created_at),
  unique (stripe_event_id, stripe_created_at)
) partition by range (stripe_created_at);
create index stripe_webhook_events_by_account on stripe_webhook_events (stripe_account_id, id);

do $$
begin
  alter table stripe_webhook_events alter column payload set compression lz4;
exception when feature_not_supported or invalid_parameter_value then
  null; -- a server built without lz4 compresses in its own, slower way
end $$;

-- One line per event that is not settled: to do, parked or dead.
create table stripe_webhook_queue (
  event_id uuid not null primary key,
  stripe_created_at timestamptz not null,
  stripe_account_id text,
  livemode boolean not null,
  object_key text not null,
  state text not null check (state in ('READY', 'PARKED', 'DEAD')),
  ready_at timestamptz not null default now(),
  lease_until timestamptz,
  -- Fences: who lost its lease can no longer mark the event, nor therefore commit what it did about it.
  lease_token uuid,
  -- How often a worker vanished while it held this. What kills its worker is tried alone, and not for ever.
  crashes smallint not null default 0
) with (
  -- Half of each page stays free, so that taking a lease finds room beside the line and touches no index.
  fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 5000,
  autovacuum_vacuum_cost_delay = 0
);
create index stripe_webhook_queue_ready on stripe_webhook_queue (ready_at, event_id) where state = 'READY';
create index stripe_webhook_queue_by_object on stripe_webhook_queue (object_key);
create index stripe_webhook_queue_parked on stripe_webhook_queue (stripe_account_id) where state = 'PARKED';
create index stripe_webhook_queue_dead on stripe_webhook_queue (event_id) where state = 'DEAD';

-- Catches what no month was made for. Should stay empty.
create table stripe_webhook_events_other partition of stripe_webhook_events default;

-- Makes the partition of a month, and moves there what was caught by the default one. Harmless to repeat. Runs with the owner's rights,
-- because a server may not make tables.
create function webhook_events_add_month(month date) returns boolean
language plpgsql security definer as $$
declare
  first date := date_trunc('month', month)::date;
  lower_bound timestamptz := first::timestamp at time zone 'UTC';
  upper_bound timestamptz := (first + interval '1 month') at time zone 'UTC';
  partition text := 'stripe_webhook_events_' || to_char(first, 'YYYY_MM');
begin
  perform set_config('lock_timeout', '2s', true);
  perform pg_advisory_xact_lock(hashtext('stripe_webhook_events'));
  if to_regclass(format('%I.%I', current_schema(), partition)) is not null then
    return false;
  end if;
  -- Little stays inline, so that marking an event copies little; and pages keep room for that copy.
  execute format('create table %I (like stripe_webhook_events including defaults including constraints including storage including compression)
    with (toast_tuple_target = 128, fillfactor = 75)', partition);
  execute format('with moved as (delete from stripe_webhook_events_other where stripe_created_at >= %L and stripe_created_at < %L returning *)
    insert into %I select * from moved', lower_bound, upper_bound, partition);
  execute format('alter table stripe_webhook_events attach partition %I for values from (%L) to (%L)', partition, lower_bound, upper_bound);
  return true;
end $$;

-- Deletes a month with all its events. A month that is not yet past for 30 days is refused: Stripe may still be asked to repeat those.
create function webhook_events_drop_month(month date) returns boolean
language plpgsql security definer as $$
declare
  first date := date_trunc('month', month)::date;
  partition text := 'stripe_webhook_events_' || to_char(first, 'YYYY_MM');
begin
  if (first + interval '1 month') at time zone 'UTC' > now() - interval '30 days' then
    raise exception 'The events of % are too young to be deleted.', to_char(first, 'YYYY-MM') using errcode = 'restrict_violation';
  end if;
  perform set_config('lock_timeout', '2s', true);
  if to_regclass(format('%I.%I', current_schema(), partition)) is null then
    return false;
  end if;
  execute format('drop table %I', partition);
  return true;
end $$;

-- They run with the owner's rights, so names must mean the owner's tables and nothing else: unless it is named last, PostgreSQL looks into the
-- caller's own temporary schema first. https://www.postgresql.org/docs/current/sql-createfunction.html#SQL-CREATEFUNCTION-SECURITY
do $$
begin
  execute format('alter function webhook_events_add_month(date) set search_path = %I, pg_temp', current_schema());
  execute format('alter function webhook_events_drop_month(date) set search_path = %I, pg_temp', current_schema());
end $$;
revoke execute on function webhook_events_add_month(date), webhook_events_drop_month(date) from public;
grant execute on function webhook_events_add_month(date), webhook_events_drop_month(date) to app_worker;

select webhook_events_add_month((date_trunc('month', now() at time zone 'UTC') + make_interval(months => n))::date)
from generate_series(-1, 2) n;

-- Whose event it is follows from its account; which accounts are the tenant's, the directory's own policy says.
do $$
declare
  this_table text;
begin
  foreach this_table in array array['stripe_webhook_events', 'stripe_webhook_queue'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I for select to app_tenant
      using (livemode = nullif(current_setting('app.livemode', true), '')::boolean
        and stripe_account_id in (select a.stripe_account_id from stripe_accounts a))$policy$, this_table);
    execute format('create policy work on %I to app_worker using (true) with check (true)', this_table);
    execute format('create policy platform_read on %I for select to app_platform, app_readonly using (true)', this_table);
  end loop;
end $$;

grant select on stripe_webhook_events to app_tenant, app_worker, app_readonly;
-- How many of which kind and how they fared; what is in them is the tenants' own.
grant select (id, stripe_event_id, type, kind, status, stripe_account_id, livemode, attempts, stripe_created_at, received_at, processed_at)
  on stripe_webhook_events to app_platform;
grant insert on stripe_webhook_events to app_worker;
grant update (status, attempts, last_error, processed_at, payload) on stripe_webhook_events to app_worker;
grant select, insert, update, delete on stripe_webhook_queue to app_worker;
grant select (event_id, stripe_account_id, livemode, state, ready_at, lease_until) on stripe_webhook_queue to app_tenant;
grant select on stripe_webhook_queue to app_platform, app_readonly;

-- An event together with what the queue knows of it. With the rights and the policies of whoever asks.
create view webhook_events with (security_invoker = true) as
select e.id, e.stripe_event_id, e.type, e.kind, e.stripe_account_id, e.livemode, e.attempts, e.last_error, e.payload, e.stripe_created_at,
  e.received_at, e.processed_at,
  case when q.state = 'READY' and q.lease_until > now() then 'PROCESSING' else e.status end as status,
  case when q.state = 'READY' then q.ready_at end as next_attempt_at
from stripe_webhook_events e left join stripe_webhook_queue q on q.event_id = e.id;
grant select on webhook_events to app_tenant, app_readonly;

-- Events can be quicker than the answer that tells us of their account: they are parked, and this wakes who releases them.
create function announce_stripe_account() returns trigger language plpgsql as $$
begin
  perform pg_notify('stripe_accounts', new.stripe_account_id);
  return null;
end $$;
create trigger stripe_accounts_announce after insert on stripe_accounts for each row execute function announce_stripe_account();
