-- Payments that a bank questions. Statuses: https://docs.stripe.com/api/disputes/object#dispute_object-status
set local lock_timeout = '5s';

create table disputes (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  payment_id uuid not null,
  stripe_account_id text not null,
  stripe_dispute_id text not null check (stripe_dispute_id ~ '^(dp|du)_[A-Za-z0-9]+$'),
  stripe_charge_id text not null check (stripe_charge_id ~ '^(ch|py)_[A-Za-z0-9]+$'),
  amount bigint not null check (amount >= 0),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  status text not null check (status in ('WARNING_NEEDS_RESPONSE', 'WARNING_UNDER_REVIEW', 'WARNING_CLOSED', 'NEEDS_RESPONSE',
    'UNDER_REVIEW', 'WON', 'LOST', 'PREVENTED', 'APPEAL_NEEDS_RESPONSE', 'APPEAL_UNDER_REVIEW')),
  reason text not null,
  network_reason_code text,
  -- Null where there is nothing to answer: a bank debit's bank is final.
  evidence_due_by timestamptz,
  has_evidence boolean not null default false,
  past_due boolean not null default false,
  submission_count integer not null default 0 check (submission_count >= 0),
  is_inquiry boolean not null,
  charge_refundable boolean not null,
  funds_withdrawn boolean not null default false,
  funds_reinstated boolean not null default false,
  stripe_as_of timestamptz,
  stripe_created_at timestamptz not null,
  closed_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_dispute_id),
  foreign key (tenant_id, payment_id) references payments (tenant_id, id)
);
create index disputes_newest on disputes (tenant_id, livemode, stripe_created_at desc, id desc);
create index disputes_by_payment on disputes (tenant_id, payment_id, stripe_created_at desc, id desc);
-- What waits for an answer, of all tenants: for the alarm.
create index disputes_to_answer on disputes (evidence_due_by)
  where status in ('WARNING_NEEDS_RESPONSE', 'NEEDS_RESPONSE', 'APPEAL_NEEDS_RESPONSE');

alter table disputes enable row level security;
alter table disputes force row level security;
create policy tenant_isolation on disputes to app_tenant
  using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
  with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
    and livemode = nullif(current_setting('app.livemode', true), '')::boolean);
create policy platform_read on disputes for select to app_readonly using (true);
-- Only how many wait, and until when.
create policy alarm on disputes for select to app_worker using (true);
create trigger disputes_updated_at before update on disputes for each row execute function psa_payments_updated_at();
grant select, insert, update on disputes to app_tenant;
grant select on disputes to app_readonly;
grant select (tenant_id, livemode, status, evidence_due_by) on disputes to app_worker;
