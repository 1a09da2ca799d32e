-- What billing a contract needs beside the subscription itself: its prices at Stripe, and the invoices that its cycles make.
set local lock_timeout = '5s';

alter table stripe_subscriptions
  add column stripe_item_id text check (stripe_item_id ~ '^si_[A-Za-z0-9]+$'),
  add column interval_count integer not null default 1 check (interval_count > 0),
  add column pause_behavior text check (pause_behavior in ('VOID', 'KEEP_AS_DRAFT', 'MARK_UNCOLLECTIBLE')),
  add column resumes_at timestamptz,
  -- By Stripe's id: news of the subscription may come before news of the method.
  add column stripe_default_payment_method_id text,
  drop column default_payment_method_id,
  drop constraint stripe_subscriptions_quantity_check,
  -- In the dashboard a subscription may be made of nothing for the time being.
  add constraint stripe_subscriptions_quantity_check check (quantity >= 0);
create index stripe_subscriptions_by_method on stripe_subscriptions (tenant_id, stripe_default_payment_method_id)
  where stripe_default_payment_method_id is not null;
grant select (interval_count) on stripe_subscriptions to app_platform;

-- A price cannot be changed at Stripe, so another amount is another line. All prices of a contract are of one product.
create table stripe_prices (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null,
  contract_id integer not null,
  unit_amount bigint not null check (unit_amount >= 0),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  billing_interval text not null check (billing_interval in ('DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR')),
  stripe_product_id text not null,
  stripe_price_id text not null check (stripe_price_id ~ '^(price|plan)_[A-Za-z0-9_]+$'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_account_id, contract_id, unit_amount, currency, billing_interval),
  foreign key (tenant_id, contract_id) references contracts (tenant_id, id)
);

-- Settled otherwise than by payments: from the customer's credit, or by credit notes. Below zero: an earlier debt is collected along.
alter table invoices add column amount_credited bigint not null default 0;

-- Credits may be more than what is billed; such a cycle's total is below zero, and goes to the customer's balance.
do $$
begin
  if exists (select from payments_mount where kind = 'table' and table_name = 'invoices') then
    alter table invoices drop constraint invoices_total_check;
    alter table invoices add constraint invoices_total_check check (total >= 0 or subscription_id is not null);
  end if;
end $$;

-- The cycle of a subscription that an invoice of the PSA's bills: what only Stripe's invoice has. One line for each of Stripe's, one
-- invoice for each line.
create table stripe_invoices (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  stripe_account_id text not null,
  stripe_invoice_id text not null check (stripe_invoice_id ~ '^in_[A-Za-z0-9]+$'),
  -- Null only within the transaction that sees it first.
  invoice_id integer,
  subscription_id uuid,
  billing_reason text,
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  subtotal bigint not null default 0,
  tax bigint not null default 0,
  credit_noted bigint not null default 0 check (credit_noted >= 0),
  attempts integer not null default 0 check (attempts >= 0),
  next_attempt_at timestamptz,
  period_start timestamptz,
  period_end timestamptz,
  hosted_url text,
  -- Set on the draft, in minor units. Null when the subscription's percentage says all.
  application_fee bigint check (application_fee > 0),
  stripe_as_of timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, stripe_invoice_id),
  unique (tenant_id, invoice_id),
  foreign key (tenant_id, invoice_id) references invoices (tenant_id, id),
  foreign key (tenant_id, subscription_id) references stripe_subscriptions (tenant_id, id)
);
create index invoices_by_subscription on invoices (tenant_id, subscription_id, created_at desc, id desc) where subscription_id is not null;

create table invoice_lines (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  invoice_id integer not null,
  position integer not null check (position >= 0),
  stripe_line_id text not null,
  description text,
  quantity integer,
  amount bigint not null,
  tax bigint not null default 0,
  currency char(3) not null,
  proration boolean not null default false,
  period_start timestamptz,
  period_end timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, invoice_id, position),
  foreign key (tenant_id, invoice_id) references invoices (tenant_id, id)
);

-- The numbers of the invoices that cycles make. Taken in the transaction that makes the invoice: none is left out.
create table invoice_numbers (
  tenant_id uuid not null references tenants (id),
  livemode boolean not null,
  prefix text not null check (length(prefix) between 1 and 20),
  next integer not null default 1 check (next > 0),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, livemode)
);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['stripe_prices', 'stripe_invoices', 'invoice_lines', 'invoice_numbers'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('create policy platform_read on %I for select to app_readonly using (true)', this_table);
    execute format('create trigger %I before update on %I for each row execute function psa_payments_updated_at()', this_table || '_updated_at', this_table);
    execute format('grant select, insert, update on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;
end $$;

-- The lines of a draft are still written and struck out; those of an invoice that was sent stay, whoever asks.
create policy only_drafts on invoice_lines as restrictive for delete to app_tenant
  using (exists (select from invoices i where i.tenant_id = invoice_lines.tenant_id and i.id = invoice_lines.invoice_id and i.status = 'DRAFT'));
grant delete on invoice_lines to app_tenant;
