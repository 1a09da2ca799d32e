-- What a client asked to be done at Stripe, what must happen only once, and who did what.
set local lock_timeout = '5s';

create table commands (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  kind text not null,
  -- The client's key; null for commands that Stripe itself makes safe to repeat.
  idempotency_key text check (length(idempotency_key) between 1 and 255),
  params_hash bytea not null,
  params jsonb not null,
  subject_id text,
  stripe_account_id text,
  actor text not null,
  state text not null default 'PENDING' check (state in ('PENDING', 'UNKNOWN', 'SUCCEEDED', 'FAILED')),
  outcome jsonb,
  attempts integer not null default 0,
  -- Set when the request is first sent: after a day Stripe may have forgotten the key, and sending again could double it.
  sent_at timestamptz,
  next_attempt_at timestamptz not null default now(),
  lease_until timestamptz,
  lease_token uuid,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  finished_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, livemode, idempotency_key),
  check ((state in ('SUCCEEDED', 'FAILED')) = (finished_at is not null))
);
create index commands_to_recover on commands (next_attempt_at) where state in ('PENDING', 'UNKNOWN');

-- A key names one effect: `receipt:pi_…`, `posting:txn_…`. The second insert of it changes nothing.
create table effects (
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  key text not null,
  created_at timestamptz not null default now(),
  primary key (tenant_id, livemode, key)
);

create table audit_log (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  at timestamptz not null default now(),
  actor text not null,
  action text not null,
  subject_type text not null,
  subject_id text,
  details jsonb not null default '{}',
  primary key (tenant_id, id)
);
create index audit_log_newest on audit_log (tenant_id, livemode, at desc, id desc);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['commands', 'effects', 'audit_log'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('grant select, insert on %I to app_tenant', this_table);
  end loop;
end $$;

grant update on commands to app_tenant;
create trigger commands_updated_at before update on commands for each row execute function psa_payments_updated_at();
-- Recovery finds abandoned commands of every tenant and leases them; what it then does runs as the tenant.
create policy recovery on commands to app_worker using (true) with check (true);
grant select (tenant_id, id, livemode, kind, state, attempts, next_attempt_at, lease_until, lease_token, created_at) on commands to app_worker;
grant update (attempts, next_attempt_at, lease_until, lease_token, updated_at) on commands to app_worker;

create policy platform_read on audit_log for select to app_readonly using (true);
grant select on audit_log to app_readonly;
create trigger audit_log_append_only before update or delete on audit_log for each row execute function psa_payments_refuse_change();
create trigger effects_append_only before update or delete on effects for each row execute function psa_payments_refuse_change();
