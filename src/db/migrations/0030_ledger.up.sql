-- The books: double entry, append-only. Each balance transaction of Stripe's becomes one transaction here, and its postings sum to zero.
-- docs/adr/0006-ledger.md says why it is made like this.
set local lock_timeout = '5s';

create table ledger_transactions (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  -- Counts the tenant's transactions of one mode without gaps. Given by the database.
  number bigint not null,
  stripe_account_id text not null,
  -- What it is posted for: Stripe's balance transaction, or `po_…:paid` for money that arrived at a bank. Nothing is posted twice for one cause.
  cause text not null check (cause ~ '^[a-z]+_[A-Za-z0-9_]+(:[a-z0-9:]+)?$'),
  stripe_balance_transaction_id text check (stripe_balance_transaction_id = cause),
  -- Stripe's own names. https://docs.stripe.com/reports/balance-transaction-types, https://docs.stripe.com/reports/reporting-categories
  type text not null,
  category text not null,
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  amount bigint not null,
  stripe_fee bigint not null,
  application_fee bigint not null,
  net bigint not null,
  source_id text,
  stripe_charge_id text,
  stripe_payout_id text,
  description text,
  booked_at timestamptz not null,
  available_on timestamptz,
  -- Postings are accepted only by the database transaction that opened it.
  posted_in xid8 not null default pg_current_xact_id(),
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode, number),
  unique (tenant_id, livemode, cause),
  unique (tenant_id, livemode, stripe_balance_transaction_id),
  -- For the postings: one mode and one currency per transaction.
  unique (tenant_id, id, livemode, currency),
  constraint ledger_gross_is_fees_and_net check (amount = stripe_fee + application_fee + net)
);
create index ledger_transactions_by_account on ledger_transactions (tenant_id, stripe_account_id, number desc);
create index ledger_transactions_by_charge on ledger_transactions (tenant_id, stripe_charge_id, number) where stripe_charge_id is not null;
create index ledger_transactions_by_payout on ledger_transactions (tenant_id, stripe_payout_id) where stripe_payout_id is not null;

create table ledger_postings (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  transaction_id uuid not null,
  -- Counts the tenant's postings of one mode without gaps. Given by the database, as is the balance.
  number bigint not null,
  account text not null check (account in ('CUSTOMER_RECEIVABLE', 'STRIPE_BALANCE', 'STRIPE_FEES', 'APPLICATION_FEES', 'REFUNDS', 'DISPUTES',
    'PAYOUTS', 'BANK', 'SUSPENSE')),
  currency char(3) not null,
  -- Positive is a debit, negative a credit.
  amount bigint not null check (amount <> 0),
  -- Of this account in this currency, after this posting.
  balance bigint not null,
  booked_at timestamptz not null,
  stripe_charge_id text,
  created_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode, number),
  foreign key (tenant_id, transaction_id, livemode, currency) references ledger_transactions (tenant_id, id, livemode, currency)
);
create index ledger_postings_by_transaction on ledger_postings (tenant_id, transaction_id);
create index ledger_postings_by_account on ledger_postings (tenant_id, livemode, account, currency, number desc) include (balance);
create index ledger_postings_by_time on ledger_postings (tenant_id, livemode, booked_at);
create index ledger_postings_by_charge on ledger_postings (tenant_id, stripe_charge_id, number desc) where stripe_charge_id is not null;

-- One writer at a time per tenant, so that numbers have no gaps and no balance is continued twice; the unique keys would refuse it anyway.
create function ledger_number_transaction() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('ledger ' || new.tenant_id || new.livemode, 0));
  select coalesce(max(t.number), 0) + 1 into new.number from ledger_transactions t
    where t.tenant_id = new.tenant_id and t.livemode = new.livemode;
  return new;
end $$;
create trigger ledger_transactions_number before insert on ledger_transactions for each row execute function ledger_number_transaction();

create function ledger_number_posting() returns trigger language plpgsql as $$
declare
  opened xid8;
begin
  select t.posted_in, t.booked_at, t.stripe_charge_id into opened, new.booked_at, new.stripe_charge_id
    from ledger_transactions t where t.tenant_id = new.tenant_id and t.id = new.transaction_id;
  if opened <> pg_current_xact_id() then
    raise exception 'ledger transaction % is closed', new.transaction_id using errcode = 'restrict_violation';
  end if;
  select coalesce(max(p.number), 0) + 1 into new.number from ledger_postings p
    where p.tenant_id = new.tenant_id and p.livemode = new.livemode;
  select p.balance into new.balance from ledger_postings p
    where p.tenant_id = new.tenant_id and p.livemode = new.livemode and p.account = new.account and p.currency = new.currency
    order by p.number desc limit 1;
  new.balance := coalesce(new.balance, 0) + new.amount;
  return new;
end $$;
create trigger ledger_postings_number before insert on ledger_postings for each row execute function ledger_number_posting();

-- Asked at the end of the database transaction, when all postings are there.
create function ledger_refuse_unbalanced() returns trigger language plpgsql as $$
declare
  wanted uuid;
  total bigint;
  at_stripe bigint;
  net bigint;
begin
  if tg_table_name = 'ledger_transactions' then wanted := new.id; else wanted := new.transaction_id; end if;
  select coalesce(sum(p.amount), 0), coalesce(sum(p.amount) filter (where p.account = 'STRIPE_BALANCE'), 0) into total, at_stripe
    from ledger_postings p where p.tenant_id = new.tenant_id and p.transaction_id = wanted;
  select t.net into net from ledger_transactions t where t.tenant_id = new.tenant_id and t.id = wanted;
  if total <> 0 then
    raise exception 'ledger transaction % does not balance: its postings sum to %', wanted, total using errcode = 'check_violation';
  end if;
  if at_stripe <> net then
    raise exception 'ledger transaction % moves % at Stripe, its postings %', wanted, net, at_stripe using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger ledger_transactions_balance after insert on ledger_transactions deferrable initially deferred
  for each row execute function ledger_refuse_unbalanced();
create constraint trigger ledger_postings_balance after insert on ledger_postings deferrable initially deferred
  for each row execute function ledger_refuse_unbalanced();

-- How far the books of each account are, and whether somebody wants them brought up to date.
create table ledger_imports (
  tenant_id uuid not null references tenants (id),
  stripe_account_id text not null,
  livemode boolean not null,
  -- Set when Stripe reported something that it books; cleared when an import begins.
  wanted_at timestamptz default now(),
  -- The next import starts at the beginning: something was missing.
  from_start boolean not null default false,
  next_attempt_at timestamptz not null default now(),
  attempts integer not null default 0,
  last_error text,
  lease_token uuid,
  lease_until timestamptz,
  imported_at timestamptz,
  checked_at timestamptz,
  -- What the last check found.
  differences integer not null default 0,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, stripe_account_id)
);
create index ledger_imports_wanted on ledger_imports (next_attempt_at) where wanted_at is not null;
create trigger ledger_imports_updated_at before update on ledger_imports for each row execute function psa_payments_updated_at();

-- What a comparison of the books with Stripe found.
create table ledger_checks (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null,
  checked_at timestamptz not null default now(),
  transactions bigint not null,
  -- One object per difference: what, currency, expected, found.
  differences jsonb not null default '[]',
  primary key (tenant_id, id)
);
create index ledger_checks_newest on ledger_checks (tenant_id, livemode, checked_at desc, id desc);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['ledger_transactions', 'ledger_postings', 'ledger_imports', 'ledger_checks'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('grant select, insert on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
    if this_table <> 'ledger_imports' then
      execute format('create trigger %I before update or delete on %I for each row execute function psa_payments_refuse_change()',
        this_table || '_append_only', this_table);
      execute format('create trigger %I before truncate on %I for each statement execute function psa_payments_refuse_change()',
        this_table || '_stays', this_table);
      execute format('create policy platform_read on %I for select to app_platform, app_readonly using (true)', this_table);
    else
      execute format('create policy platform_read on %I for select to app_readonly using (true)', this_table);
    end if;
  end loop;
end $$;

grant update (wanted_at, from_start, next_attempt_at, attempts, last_error, lease_token, lease_until, imported_at, checked_at, differences, updated_at)
  on ledger_imports to app_tenant;
-- Whoever keeps the books finds the accounts of every tenant and leases them; what it then does runs as the tenant.
create policy bookkeeping on ledger_imports to app_worker using (true) with check (true);
grant select, insert on ledger_imports to app_worker;
grant update (wanted_at, next_attempt_at, attempts, lease_token, lease_until, updated_at) on ledger_imports to app_worker;
grant select (tenant_id, livemode, currency, amount, stripe_fee, application_fee, net, type, category, booked_at) on ledger_transactions to app_platform;
grant select (tenant_id, livemode, account, currency, amount, booked_at) on ledger_postings to app_platform;
grant select (tenant_id, id, livemode, stripe_account_id, checked_at, transactions, differences) on ledger_checks to app_platform;

-- The platform's own balance at Stripe: the application fees it earned. No tenant's, so no tenant can read it.
create table platform_ledger_transactions (
  id uuid primary key default uuidv7(),
  livemode boolean not null,
  number bigint not null,
  cause text not null,
  type text not null,
  category text not null,
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  amount bigint not null,
  stripe_fee bigint not null,
  application_fee bigint not null,
  net bigint not null,
  source_id text,
  description text,
  booked_at timestamptz not null,
  available_on timestamptz,
  created_at timestamptz not null default now(),
  unique (livemode, number),
  unique (livemode, cause),
  unique (id, livemode, currency),
  check (amount = stripe_fee + application_fee + net)
);

create table platform_ledger_postings (
  id uuid primary key default uuidv7(),
  livemode boolean not null,
  transaction_id uuid not null,
  account text not null check (account in ('STRIPE_BALANCE', 'STRIPE_FEES', 'APPLICATION_FEES', 'CUSTOMER_RECEIVABLE', 'REFUNDS', 'DISPUTES',
    'PAYOUTS', 'BANK', 'SUSPENSE')),
  currency char(3) not null,
  amount bigint not null check (amount <> 0),
  created_at timestamptz not null default now(),
  foreign key (transaction_id, livemode, currency) references platform_ledger_transactions (id, livemode, currency)
);
create index platform_ledger_postings_by_transaction on platform_ledger_postings (transaction_id);
create index platform_ledger_postings_by_account on platform_ledger_postings (livemode, account, currency) include (amount);

create function platform_ledger_number_transaction() returns trigger language plpgsql as $$
begin
  perform pg_advisory_xact_lock(hashtextextended('platform ledger ' || new.livemode, 0));
  select coalesce(max(t.number), 0) + 1 into new.number from platform_ledger_transactions t where t.livemode = new.livemode;
  return new;
end $$;
create trigger platform_ledger_transactions_number before insert on platform_ledger_transactions
  for each row execute function platform_ledger_number_transaction();

create function platform_ledger_refuse_unbalanced() returns trigger language plpgsql as $$
declare
  wanted uuid;
  total bigint;
  at_stripe bigint;
  net bigint;
begin
  if tg_table_name = 'platform_ledger_transactions' then wanted := new.id; else wanted := new.transaction_id; end if;
  select coalesce(sum(p.amount), 0), coalesce(sum(p.amount) filter (where p.account = 'STRIPE_BALANCE'), 0) into total, at_stripe
    from platform_ledger_postings p where p.transaction_id = wanted;
  select t.net into net from platform_ledger_transactions t where t.id = wanted;
  if total <> 0 or at_stripe <> net then
    raise exception 'ledger transaction % does not balance', wanted using errcode = 'check_violation';
  end if;
  return null;
end $$;
create constraint trigger platform_ledger_transactions_balance after insert on platform_ledger_transactions deferrable initially deferred
  for each row execute function platform_ledger_refuse_unbalanced();
create constraint trigger platform_ledger_postings_balance after insert on platform_ledger_postings deferrable initially deferred
  for each row execute function platform_ledger_refuse_unbalanced();

create table platform_ledger_imports (
  livemode boolean primary key,
  lease_token uuid,
  lease_until timestamptz,
  imported_at timestamptz
);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['platform_ledger_transactions', 'platform_ledger_postings'] loop
    execute format('create trigger %I before update or delete on %I for each row execute function psa_payments_refuse_change()',
      this_table || '_append_only', this_table);
    execute format('create trigger %I before truncate on %I for each statement execute function psa_payments_refuse_change()',
      this_table || '_stays', this_table);
    execute format('grant select, insert on %I to app_worker', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;
end $$;
-- Not its description: that of a fee names the tenant's charge.
grant select (id, livemode, cause, type, category, currency, amount, stripe_fee, application_fee, net, source_id, booked_at, available_on)
  on platform_ledger_transactions to app_platform;
grant select on platform_ledger_postings to app_platform;
grant select, insert, update on platform_ledger_imports to app_worker;
