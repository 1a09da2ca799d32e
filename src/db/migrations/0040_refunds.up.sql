-- Money given back. Statuses: https://docs.stripe.com/api/refunds/object#refund_object-status
set local lock_timeout = '5s';

create table refunds (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  payment_id uuid not null,
  stripe_account_id text not null,
  -- Null until Stripe answered.
  stripe_refund_id text check (stripe_refund_id ~ '^(re|pyr)_[A-Za-z0-9]+$'),
  stripe_charge_id text not null check (stripe_charge_id ~ '^(ch|py)_[A-Za-z0-9]+$'),
  stripe_balance_transaction_id text check (stripe_balance_transaction_id ~ '^txn_[A-Za-z0-9]+$'),
  amount bigint not null check (amount > 0),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  status text not null default 'PENDING' check (status in ('PENDING', 'REQUIRES_ACTION', 'SUCCEEDED', 'FAILED', 'CANCELED')),
  -- Stripe gives reasons of its own besides ours.
  reason text,
  -- Whether we asked for the platform's fee to go back, too.
  with_application_fee boolean not null default false,
  -- How much of it went back: as Stripe booked it, in the currency that it booked in.
  booked_currency char(3),
  application_fee_refunded bigint check (application_fee_refunded >= 0),
  failure_reason text,
  stripe_as_of timestamptz,
  stripe_created_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_refund_id),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id)
);
create index refunds_by_payment on refunds (tenant_id, payment_id, created_at desc, id desc);

alter table refunds enable row level security;
alter table refunds force row level security;
create policy tenant_isolation on refunds to app_tenant
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean);
create policy platform_read on refunds for select to app_readonly using (true);
create trigger refunds_updated_at before update on refunds for each row execute function psa_payments_updated_at();
grant select, insert, update on refunds to app_tenant;
grant select on refunds to app_readonly;

-- As with payments: what Stripe refuses at once never was a refund, and only such a row can be deleted.
create policy only_unborn on refunds as restrictive for delete to app_tenant
  using (stripe_refund_id is null and status = 'PENDING');
grant delete on refunds to app_tenant;
