-- A tenant's Stripe account: its settings and state, the directory that finds the tenant of an account, and who is whom at Stripe.
set local lock_timeout = '5s';

create table stripe_config (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null check (stripe_account_id ~ '^acct_[A-Za-z0-9]+$'),
  country char(2),
  default_currency char(3),
  charges_enabled boolean not null default false,
  payouts_enabled boolean not null default false,
  details_submitted boolean not null default false,
  requirements jsonb not null default '{}',
  application_fee_percent numeric(5, 2) not null default 0 check (application_fee_percent between 0 and 100),
  application_fee_fixed bigint not null default 0 check (application_fee_fixed between 0 and 99999999),
  disconnected_at timestamptz,
  stripe_as_of timestamptz,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode)
);

-- Global: an event names an account, and this says whose it is. An account keeps its line when it is disconnected, so that
-- what still arrives for it is recognised.
create table stripe_accounts (
  stripe_account_id text primary key check (stripe_account_id ~ '^acct_[A-Za-z0-9]+$'),
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  created_at timestamptz not null default now(),
  disconnected_at timestamptz
);
create index stripe_accounts_by_tenant on stripe_accounts (tenant_id, livemode);

create table stripe_customers (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  customer_id integer not null,
  stripe_account_id text not null,
  stripe_customer_id text not null check (stripe_customer_id ~ '^cus_[A-Za-z0-9]+$'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_account_id, customer_id),
  unique (tenant_id, stripe_customer_id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id)
);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['stripe_config', 'stripe_accounts', 'stripe_customers'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    -- The mode is part of the wall: with test keys no live row exists, and the reverse.
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('create policy platform_read on %I for select to app_platform, app_readonly using (true)', this_table);
    execute format('grant select, insert, update on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;
end $$;

create policy directory on stripe_accounts for select to app_worker using (true);
grant select on stripe_accounts to app_worker, app_platform;
create trigger stripe_config_updated_at before update on stripe_config for each row execute function psa_payments_updated_at();
create trigger stripe_customers_updated_at before update on stripe_customers for each row execute function psa_payments_updated_at();
-- The platform sets what it takes; nothing else of a tenant's settings is its to change.
create policy platform_fee on stripe_config for update to app_platform using (true) with check (true);
grant select on stripe_config to app_platform;
grant update (application_fee_percent, application_fee_fixed, updated_at) on stripe_config to app_platform;
