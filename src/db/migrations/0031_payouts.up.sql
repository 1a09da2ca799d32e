-- What Stripe pays out to the tenants' banks, and which transactions each payout contains.
set local lock_timeout = '5s';

create table payouts (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null,
  stripe_payout_id text not null check (stripe_payout_id ~ '^po_[A-Za-z0-9_]+$'),
  -- Negative when Stripe takes money from the bank.
  amount bigint not null,
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  status text not null check (status in ('PENDING', 'IN_TRANSIT', 'PAID', 'FAILED', 'CANCELED')),
  method text not null,
  automatic boolean not null,
  reconciliation text not null,
  arrival_date timestamptz not null,
  failure_code text,
  failure_message text,
  statement_descriptor text,
  -- When all that Stripe says it contains was found in the ledger. Null: not yet, or Stripe does not say.
  explained_at timestamptz,
  stripe_created_at timestamptz not null,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_payout_id)
);
create index payouts_newest on payouts (tenant_id, livemode, stripe_created_at desc, id desc);

create table payout_transactions (
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  payout_id uuid not null,
  transaction_id uuid not null,
  created_at timestamptz not null default now(),
  -- A transaction goes out once.
  primary key (tenant_id, transaction_id),
  foreign key (tenant_id, payout_id) references payouts (tenant_id, id),
  foreign key (tenant_id, transaction_id) references ledger_transactions (tenant_id, id)
);
create index payout_transactions_by_payout on payout_transactions (tenant_id, payout_id, transaction_id);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['payouts', 'payout_transactions'] loop
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
grant update on payouts to app_tenant;
create trigger payouts_updated_at before update on payouts for each row execute function psa_payments_updated_at();
create trigger payout_transactions_append_only before update or delete on payout_transactions
  for each row execute function psa_payments_refuse_change();

-- One part of what a payout contains, the payout itself left out.
create function payout_part(of_tenant uuid, of_payout uuid, part text) returns bigint stable language sql as $$
  select coalesce(sum(case part
    when 'payments' then case when t.category in ('charge', 'charge_failure', 'partial_capture_reversal') then t.amount end
    when 'refunds' then case when t.category in ('refund', 'refund_failure') then t.amount end
    when 'disputes' then case when t.category in ('dispute', 'dispute_reversal') then t.amount end
    when 'fees' then case when t.category = 'fee' then t.net else - t.stripe_fee - t.application_fee end
    when 'adjustments' then case when t.category not in ('charge', 'charge_failure', 'partial_capture_reversal', 'refund', 'refund_failure',
      'dispute', 'dispute_reversal', 'fee') then t.amount end
    when 'total' then t.net
  end), 0)::bigint
  from payout_transactions c
    join ledger_transactions t on t.tenant_id = c.tenant_id and t.id = c.transaction_id
    join payouts p on p.tenant_id = c.tenant_id and p.id = c.payout_id
  where c.tenant_id = of_tenant and c.payout_id = of_payout
    and not (t.category = 'payout' and t.source_id = p.stripe_payout_id)
$$;

-- A payout and what it is made of. Each sum is worked out only where somebody asks for it. Null for a payout that Stripe does not explain.
create view payout_statements with (security_invoker = true) as
select p.*,
  case when p.explained_at is not null then payout_part(p.tenant_id, p.id, 'payments') end as payments,
  case when p.explained_at is not null then payout_part(p.tenant_id, p.id, 'refunds') end as refunds,
  case when p.explained_at is not null then payout_part(p.tenant_id, p.id, 'disputes') end as disputes,
  case when p.explained_at is not null then payout_part(p.tenant_id, p.id, 'fees') end as fees,
  case when p.explained_at is not null then payout_part(p.tenant_id, p.id, 'adjustments') end as adjustments,
  case when p.explained_at is not null then payout_part(p.tenant_id, p.id, 'total') end as total
from payouts p;

-- The transactions of a payout, each with its payout.
create view payout_contents with (security_invoker = true) as
select t.*, c.payout_id from payout_transactions c join ledger_transactions t on t.tenant_id = c.tenant_id and t.id = c.transaction_id
  join payouts p on p.tenant_id = c.tenant_id and p.id = c.payout_id
where not (t.category = 'payout' and t.source_id = p.stripe_payout_id);

-- The payout that brought a payment's money to the bank.
create view payment_payouts with (security_invoker = true) as
select s.*, t.stripe_charge_id as of_charge_id
from ledger_transactions t join payout_transactions c on c.tenant_id = t.tenant_id and c.transaction_id = t.id
  join payout_statements s on s.tenant_id = c.tenant_id and s.id = c.payout_id
where t.category = 'charge';

-- The payout that a transaction went out with.
create view transaction_payouts with (security_invoker = true) as
select s.*, c.transaction_id as of_transaction_id
from payout_transactions c join payout_statements s on s.tenant_id = c.tenant_id and s.id = c.payout_id;

grant select on payout_statements, payout_contents, payment_payouts, transaction_payouts to app_tenant, app_readonly;
