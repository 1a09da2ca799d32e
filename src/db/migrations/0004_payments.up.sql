-- Ways to pay, subscriptions and payments. Statuses: https://docs.stripe.com/payments/paymentintents/lifecycle,
-- https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses, https://docs.stripe.com/api/disputes/object
set local lock_timeout = '5s';

create table payment_methods (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  customer_id integer not null,
  stripe_account_id text not null,
  stripe_payment_method_id text not null check (stripe_payment_method_id ~ '^(pm|card|src|ba)_[A-Za-z0-9_]+$'),
  type text not null check (type in ('CARD', 'US_BANK_ACCOUNT', 'SEPA_DEBIT', 'AU_BECS_DEBIT', 'BACS_DEBIT', 'ACSS_DEBIT', 'LINK', 'OTHER')),
  brand text,
  last4 text check (last4 ~ '^[0-9A-Za-z]{1,4}$'),
  exp_month smallint check (exp_month between 1 and 12),
  exp_year smallint check (exp_year between 2000 and 2100),
  bank_name text,
  is_default boolean not null default false,
  status text not null default 'ACTIVE' check (status in ('ACTIVE', 'EXPIRED', 'DETACHED')),
  stripe_as_of timestamptz,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_payment_method_id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id),
  check (not (is_default and status = 'DETACHED'))
);
create unique index payment_methods_one_default on payment_methods (tenant_id, livemode, customer_id) where is_default;
create index payment_methods_by_customer on payment_methods (tenant_id, customer_id, created_at desc, id desc);

create table stripe_subscriptions (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  customer_id integer not null,
  contract_id integer,
  default_payment_method_id uuid,
  stripe_account_id text not null,
  stripe_subscription_id text not null check (stripe_subscription_id ~ '^sub_[A-Za-z0-9]+$'),
  status text not null check (status in ('INCOMPLETE', 'INCOMPLETE_EXPIRED', 'TRIALING', 'ACTIVE', 'PAST_DUE', 'CANCELED', 'UNPAID', 'PAUSED')),
  quantity integer not null default 1 check (quantity > 0),
  unit_amount bigint not null check (unit_amount >= 0),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  billing_interval text not null check (billing_interval in ('DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR')),
  application_fee_percent numeric(5, 2) check (application_fee_percent between 0 and 100),
  current_period_start timestamptz,
  current_period_end timestamptz,
  next_charge_at timestamptz,
  trial_start timestamptz,
  trial_end timestamptz,
  cancel_at timestamptz,
  cancel_at_period_end boolean not null default false,
  canceled_at timestamptz,
  ended_at timestamptz,
  collection_paused boolean not null default false,
  stripe_as_of timestamptz,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_subscription_id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id),
  foreign key (tenant_id, contract_id) references contracts (tenant_id, id),
  foreign key (tenant_id, default_payment_method_id) references payment_methods (tenant_id, id),
  check (current_period_end >= current_period_start),
  check ((status in ('CANCELED', 'INCOMPLETE_EXPIRED')) <= (ended_at is not null))
);
-- One contract bills once; a new subscription may follow one that ended.
create unique index stripe_subscriptions_one_per_contract on stripe_subscriptions (tenant_id, livemode, contract_id)
  where status not in ('CANCELED', 'INCOMPLETE_EXPIRED');
create index stripe_subscriptions_newest on stripe_subscriptions (tenant_id, created_at desc, id desc);
create index stripe_subscriptions_by_contract on stripe_subscriptions (tenant_id, contract_id);

alter table invoices add column subscription_id uuid;
alter table invoices add foreign key (tenant_id, subscription_id) references stripe_subscriptions (tenant_id, id);

create table payments (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  customer_id integer,
  invoice_id integer,
  subscription_id uuid,
  payment_method_id uuid,
  stripe_account_id text not null,
  stripe_payment_intent_id text check (stripe_payment_intent_id ~ '^pi_[A-Za-z0-9]+$'),
  stripe_charge_id text check (stripe_charge_id ~ '^(ch|py)_[A-Za-z0-9]+$'),
  stripe_balance_transaction_id text check (stripe_balance_transaction_id ~ '^txn_[A-Za-z0-9]+$'),
  amount bigint not null check (amount > 0),
  amount_received bigint not null default 0 check (amount_received between 0 and amount),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  status text not null default 'PENDING'
    check (status in ('PENDING', 'ACTION_REQUIRED', 'PROCESSING', 'AUTHORIZED', 'SUCCEEDED', 'CANCELED', 'FAILED')),
  capture_later boolean not null default false,
  -- What we asked Stripe to take for the platform, and the rule it was computed with.
  requested_application_fee bigint check (requested_application_fee > 0 and requested_application_fee < amount),
  fee_rule jsonb,
  -- What Stripe booked. Null until its balance transaction says so; never computed here. A presentment currency that is
  -- settled in another one keeps these in the settlement currency.
  booked_currency char(3),
  booked_gross bigint,
  application_fee bigint check (application_fee >= 0),
  stripe_fee bigint check (stripe_fee >= 0),
  net bigint,
  failure_code text,
  failure_decline_code text,
  failure_message text,
  amount_refunded bigint not null default 0 check (amount_refunded between 0 and amount_received),
  refund_pending boolean not null default false,
  dispute_state text not null default 'NONE' check (dispute_state in ('NONE', 'WARNING_NEEDS_RESPONSE', 'WARNING_UNDER_REVIEW',
    'WARNING_CLOSED', 'NEEDS_RESPONSE', 'UNDER_REVIEW', 'WON', 'LOST', 'PREVENTED', 'APPEAL_NEEDS_RESPONSE', 'APPEAL_UNDER_REVIEW')),
  receipt_url text,
  description text,
  stripe_as_of timestamptz,
  charge_as_of timestamptz,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  succeeded_at timestamptz,
  canceled_at timestamptz,
  primary key (tenant_id, id),
  unique (tenant_id, stripe_payment_intent_id),
  unique (tenant_id, stripe_charge_id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id),
  foreign key (tenant_id, invoice_id) references invoices (tenant_id, id),
  foreign key (tenant_id, subscription_id) references stripe_subscriptions (tenant_id, id),
  foreign key (tenant_id, payment_method_id) references payment_methods (tenant_id, id),
  check ((status = 'SUCCEEDED') <= (amount_received > 0)),
  constraint payments_gross_is_fees_and_net check (net is null or booked_gross = stripe_fee + application_fee + net)
);
create index payments_newest on payments (tenant_id, livemode, created_at desc, id desc);
create index payments_by_status on payments (tenant_id, livemode, status, created_at desc, id desc);
create index payments_by_customer on payments (tenant_id, customer_id, created_at desc, id desc) where customer_id is not null;
create index payments_by_invoice on payments (tenant_id, invoice_id, created_at desc, id desc) where invoice_id is not null;
create index payments_by_subscription on payments (tenant_id, subscription_id, created_at desc, id desc) where subscription_id is not null;

do $$
declare
  this_table text;
begin
  foreach this_table in array array['payment_methods', 'stripe_subscriptions', 'payments'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('create policy platform_read on %I for select to app_platform, app_readonly using (true)', this_table);
    execute format('create trigger %I before update on %I for each row execute function psa_payments_updated_at()', this_table || '_updated_at', this_table);
    execute format('grant select, insert, update on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;
end $$;

grant select (tenant_id, id, livemode, amount, amount_received, amount_refunded, currency, status, application_fee, stripe_fee, net,
  booked_currency, booked_gross, dispute_state, created_at, succeeded_at) on payments to app_platform;
grant select (tenant_id, id, livemode, status, quantity, unit_amount, currency, billing_interval, created_at, ended_at)
  on stripe_subscriptions to app_platform;
