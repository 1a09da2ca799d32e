-- What keeps the events complete: those that no feature takes yet are found again, those that never came are looked for, and what differs from
-- Stripe is written down.
set local lock_timeout = '5s';

-- Of a type that belongs here, and that no feature handled when it came. `npm run events:replay` finds them when one does.
alter table stripe_webhook_events add column awaits_handler boolean not null default false;
create index stripe_webhook_events_awaiting on stripe_webhook_events (type, id) where awaits_handler;
grant update (awaits_handler) on stripe_webhook_events to app_worker;
grant select (awaits_handler) on stripe_webhook_events to app_platform;

create or replace view webhook_events with (security_invoker = true) as
select e.id, e.stripe_event_id, e.type, e.kind, e.stripe_account_id, e.livemode, e.attempts, e.last_error, e.payload, e.stripe_created_at,
  e.received_at, e.processed_at,
  case when q.state = 'READY' and q.lease_until > now() then 'PROCESSING' else e.status end as status,
  case when q.state = 'READY' then q.ready_at end as next_attempt_at,
  e.awaits_handler
from stripe_webhook_events e left join stripe_webhook_queue q on q.event_id = e.id;

-- Up to when Stripe's own list of events was compared with ours: a line for each account, and one for the platform's own events.
create table stripe_sweeps (
  -- `platform` for the platform itself.
  account text not null,
  livemode boolean not null,
  -- By Stripe's stamps. All events up to here are stored.
  swept_until timestamptz not null,
  due_at timestamptz not null default now(),
  drift_due_at timestamptz not null default now() + interval '1 hour',
  lease_until timestamptz,
  lease_token uuid,
  -- Sweeps in a row that failed.
  failures integer not null default 0,
  last_error text,
  -- Events that had never come, so far.
  found bigint not null default 0,
  primary key (account, livemode)
);
create index stripe_sweeps_due on stripe_sweeps (livemode, due_at);
grant select, insert, update, delete on stripe_sweeps to app_worker;
grant select on stripe_sweeps to app_readonly;

-- What differed between Stripe and us, each time somebody looked.
create table drift_reports (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null,
  actor text not null,
  dry_run boolean not null,
  -- Objects made at Stripe since then were compared, and those of ours that can still change.
  since timestamptz not null,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  examined integer not null default 0 check (examined >= 0),
  difference_count integer not null default 0 check (difference_count >= 0),
  repaired_count integer not null default 0 check (repaired_count >= 0),
  is_complete boolean not null default false,
  problem text,
  -- Ids, states and amounts; nothing personal. The first thousand.
  differences jsonb not null default '[]',
  primary key (tenant_id, id)
);
create index drift_reports_newest on drift_reports (tenant_id, livemode, id desc);
alter table drift_reports enable row level security;
alter table drift_reports force row level security;
create policy tenant_isolation on drift_reports to app_tenant
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean);
create policy platform_read on drift_reports for select to app_readonly using (true);
-- Reports stay: one a day of each tenant is little.
grant select, insert, update on drift_reports to app_tenant;
grant select on drift_reports to app_readonly;
