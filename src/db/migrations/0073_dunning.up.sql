-- Dunning: one case for each invoice that could not be collected, and the steps that are taken about it.
set local lock_timeout = '5s';

create table dunning_settings (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  retries text not null default 'OURS' check (retries in ('OURS', 'STRIPE')),
  retry_days integer[] not null default '{1,3,5,7}' check (cardinality(retry_days) between 1 and 8),
  at_end text not null default 'LEAVE' check (at_end in ('CANCEL', 'UNPAID', 'LEAVE')),
  emails boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode)
);

create table dunning_cases (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  invoice_id integer not null,
  customer_id integer not null,
  subscription_id uuid,
  stripe_account_id text not null,
  -- Null for an invoice that is no cycle of a subscription.
  stripe_invoice_id text,
  -- What was due when it began.
  amount bigint not null check (amount > 0),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  -- The schedule of the day it began: what a tenant sets later is for later cases.
  retries text not null check (retries in ('OURS', 'STRIPE')),
  retry_days integer[] not null,
  at_end text not null check (at_end in ('CANCEL', 'UNPAID', 'LEAVE')),
  state text not null default 'OPEN' check (state in ('OPEN', 'RECOVERED', 'LOST', 'STOPPED')),
  stop_reason text check (stop_reason in
    ('MANUAL', 'VOIDED', 'WRITTEN_OFF', 'CREDITED', 'SUBSCRIPTION_ENDED', 'CUSTOMER_DELETED', 'ACCOUNT_DISCONNECTED')),
  -- The bank's word on the last try.
  decline_code text,
  -- The method that must not be tried again; empty when it is not known which one it was.
  blocked_method text,
  -- Whether its last step has begun: from then on the end of the subscription is what it meant to bring about.
  ending boolean not null default false,
  opened_at timestamptz not null default now(),
  next_at timestamptz,
  closed_at timestamptz,
  visits integer not null default 0 check (visits >= 0),
  lease_token uuid,
  lease_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode, invoice_id),
  foreign key (tenant_id, invoice_id) references invoices (tenant_id, id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id),
  foreign key (tenant_id, subscription_id) references stripe_subscriptions (tenant_id, id),
  check ((state = 'OPEN') = (closed_at is null)),
  check ((state = 'STOPPED') = (stop_reason is not null))
);
create index dunning_cases_newest on dunning_cases (tenant_id, livemode, id desc);
create index dunning_cases_by_customer on dunning_cases (tenant_id, customer_id, id desc);
-- Also one that is over, until it is written down what came of the step that was under way.
create index dunning_cases_due on dunning_cases (next_at) where next_at is not null;

create table dunning_steps (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  case_id uuid not null,
  number integer not null check (number >= 0),
  kind text not null check (kind in ('NOTICE', 'RETRY', 'END')),
  -- Days after the first failure; null for what was asked for by hand.
  day integer check (day >= 0),
  at timestamptz not null,
  outcome text not null default 'PLANNED' check (outcome in
    ('PLANNED', 'RUNNING', 'PAID', 'PROCESSING', 'DECLINED', 'ACTION_REQUIRED', 'REFUSED', 'METHOD_NEEDED', 'DONE', 'FAILED', 'SKIPPED')),
  decline_code text,
  done_at timestamptz,
  mailed boolean not null default false,
  -- The client's key of a retry that was asked for by hand.
  request_key text,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, case_id, number),
  unique (tenant_id, livemode, request_key),
  foreign key (tenant_id, case_id) references dunning_cases (tenant_id, id),
  check ((outcome in ('PLANNED', 'RUNNING')) = (done_at is null))
);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['dunning_settings', 'dunning_cases', 'dunning_steps'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('create policy platform_read on %I for select to app_readonly using (true)', this_table);
    execute format('create trigger %I before update on %I for each row execute function psa_payments_updated_at()',
      this_table || '_updated_at', this_table);
    execute format('grant select, insert, update on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;
end $$;

-- Workers find what is due, of every tenant, and lease it; all else they read as the tenant.
create policy rounds on dunning_cases to app_worker using (true) with check (true);
grant select (tenant_id, id, livemode, state, next_at, amount, currency, closed_at, visits, lease_token, lease_until)
  on dunning_cases to app_worker;
grant update (visits, lease_token, lease_until, updated_at) on dunning_cases to app_worker;

-- What failed is looked for, tenant by tenant.
create index invoices_open on invoices (tenant_id, id) where status = 'OPEN';
