-- The PSA's own tables: tenants, users, customers, contracts, invoices. Where they exist already they stay the PSA's: what is needed
-- is checked, what is missing and harmless is added, and nothing of theirs is changed, see docs/mounting.md.
set local lock_timeout = '5s';

-- What this migration made, and its way down may therefore unmake.
create table payments_mount (
  kind text not null check (kind in ('table', 'column', 'constraint', 'index', 'security')),
  table_name text not null,
  object_name text not null default '',
  primary key (kind, table_name, object_name)
);

insert into payments_mount (kind, table_name)
  select 'table', name from unnest(array['tenants', 'users', 'customers', 'contracts', 'invoices']) name
  where to_regclass(format('%I.%I', current_schema(), name)) is null;

-- What an existing table must have. Without a definition to add it with, the column has to be there: a made-up value would be wrong.
create temporary table needed (table_name text, name text, type text, required boolean, pattern text, definition text) on commit drop;
insert into needed values
  ('tenants', 'id', 'uuid', true, null, null),
  ('tenants', 'name', 'text', true, null, null),
  ('tenants', 'time_zone', 'text', true, null, $$text not null default 'UTC'$$),
  ('users', 'tenant_id', 'uuid', true, null, null),
  ('users', 'id', 'integer', true, null, null),
  ('customers', 'tenant_id', 'uuid', true, null, null),
  ('customers', 'id', 'integer', true, null, null),
  ('customers', 'name', 'text', true, null, null),
  ('customers', 'email', 'text', false, null, 'text'),
  ('customers', 'phone', 'text', false, null, 'text'),
  ('contracts', 'tenant_id', 'uuid', true, null, null),
  ('contracts', 'id', 'integer', true, null, null),
  ('contracts', 'customer_id', 'integer', true, null, null),
  ('contracts', 'name', 'text', true, null, null),
  ('contracts', 'status', 'text', true, '^(DRAFT|ACTIVE|PAUSED|ENDED|CANCELED)$', null),
  ('contracts', 'unit_amount', 'bigint', true, '^[0-9]', null),
  ('contracts', 'currency', 'text', true, '^[a-z]{3}$', null),
  ('contracts', 'billing_interval', 'text', true, '^(DAY|WEEK|MONTH|QUARTER|YEAR)$', $$text not null default 'MONTH'$$),
  ('contracts', 'quantity', 'integer', true, '^[1-9]', 'integer not null default 1'),
  ('contracts', 'starts_at', 'timestamp with time zone', true, null, null),
  ('contracts', 'ends_at', 'timestamp with time zone', false, null, 'timestamptz'),
  ('invoices', 'tenant_id', 'uuid', true, null, null),
  ('invoices', 'id', 'integer', true, null, null),
  ('invoices', 'customer_id', 'integer', true, null, null),
  ('invoices', 'contract_id', 'integer', false, null, 'integer'),
  ('invoices', 'number', 'text', true, null, null),
  ('invoices', 'status', 'text', true, '^(DRAFT|OPEN|PAID|VOID|UNCOLLECTIBLE)$', null),
  ('invoices', 'payment_status', 'text', true, '^(UNPAID|PENDING|PARTIALLY_PAID|PAID|FAILED|REFUNDED)$', $$text not null default 'UNPAID'$$),
  ('invoices', 'total', 'bigint', true, '^[0-9]', null),
  ('invoices', 'amount_paid', 'bigint', true, '^[0-9]', 'bigint not null default 0'),
  ('invoices', 'currency', 'text', true, '^[a-z]{3}$', null),
  ('invoices', 'due_at', 'timestamp with time zone', false, null, 'timestamptz'),
  ('invoices', 'paid_at', 'timestamp with time zone', false, null, 'timestamptz');
insert into needed
  select name, 'metadata', 'jsonb', true, null, $$jsonb not null default '{}'$$ from unnest(array['customers', 'contracts', 'invoices']) name;
insert into needed
  select name, stamp, 'timestamp with time zone', true, null, 'timestamptz not null default now()'
  from unnest(array['tenants', 'customers', 'contracts', 'invoices']) name, unnest(array['created_at', 'updated_at']) stamp;
delete from needed where exists (select from payments_mount m where m.kind = 'table' and m.table_name = needed.table_name);

do $$
declare
  problems text[] := '{}';
  n record;
  have record;
  misfits text;
begin
  for n in
    select c.relname as name from pg_class c
    where c.relnamespace = current_schema()::regnamespace and c.relname in ('stripe_config', 'stripe_accounts', 'stripe_customers',
      'payment_methods', 'stripe_subscriptions', 'payments', 'commands', 'effects', 'audit_log', 'stripe_webhook_events', 'stripe_webhook_queue')
  loop
    problems := problems || format('%s exists already; a later migration creates a table of that name', n.name);
  end loop;

  for n in
    select distinct d.table_name as name, c.relkind, pg_has_role(c.relowner, 'usage') as owned
    from needed d join pg_class c on c.oid = format('%I.%I', current_schema(), d.table_name)::regclass
  loop
    if n.relkind not in ('r', 'p') then problems := problems || format('%s is not a table', n.name); end if;
    if not n.owned then problems := problems || format('%s does not belong to %s, the role that migrates', n.name, current_user); end if;
  end loop;

  for n in select * from needed order by table_name, definition is not null, name loop
    select format_type(a.atttypid, null) as type, a.attnotnull into have
      from pg_attribute a where a.attrelid = format('%I.%I', current_schema(), n.table_name)::regclass
        and a.attname = n.name and not a.attisdropped;
    if not found then
      if n.definition is null then
        problems := problems || format('%s.%s is missing; needed is %s not null%s', n.table_name, n.name, n.type,
          case when n.pattern is not null then ' matching ' || n.pattern else '' end);
      end if;
      continue;
    end if;
    if have.type <> n.type and not (n.type = 'text' and have.type in ('character varying', 'character', 'citext')) then
      problems := problems || format('%s.%s is %s; needed is %s', n.table_name, n.name, have.type, n.type);
      continue;
    end if;
    if n.required and not have.attnotnull then
      problems := problems || format('%s.%s may be null; needed is not null', n.table_name, n.name);
    end if;
    if n.pattern is not null and has_table_privilege(format('%I.%I', current_schema(), n.table_name), 'select') then
      execute format('select string_agg(v, %L order by v) from (select distinct %I::text as v from %I where %I::text !~ %L limit 5) x',
        ', ', n.name, n.table_name, n.name, n.pattern) into misfits;
      if misfits is not null then
        problems := problems || format('%s.%s has values that do not match %s: %s', n.table_name, n.name, n.pattern, misfits);
      end if;
    end if;
  end loop;

  if exists (select from needed where table_name = 'tenants') and not exists (
    select from pg_index i join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = to_regclass(format('%I.tenants', current_schema())) and i.indisunique and i.indpred is null
      and i.indnkeyatts = 1 and a.attname = 'id'
  ) then
    problems := problems || 'tenants.id is not unique'::text;
  end if;
  if exists (select from pg_attribute a where a.attrelid = to_regclass(format('%I.invoices', current_schema()))
    and a.attname = 'subscription_id' and not a.attisdropped) then
    problems := problems || 'invoices.subscription_id exists already; a later migration adds a column of that name'::text;
  end if;

  if problems <> '{}' then
    raise exception 'The tables of this database do not fit yet; nothing was changed.'
      using detail = array_to_string(problems, E'\n  '), hint = 'docs/mounting.md says how to provide each of them.';
  end if;
end $$;

-- Additions to what exists: columns with a default, and the keys that our tables refer to.
do $$
declare
  n record;
begin
  for n in select * from needed where definition is not null order by table_name, name loop
    continue when exists (select from pg_attribute a where a.attrelid = format('%I.%I', current_schema(), n.table_name)::regclass
      and a.attname = n.name and not a.attisdropped);
    execute format('alter table %I add column %I %s', n.table_name, n.name, n.definition);
    insert into payments_mount values ('column', n.table_name, n.name);
  end loop;

  -- An invoice that was paid before we came must not look unpaid in the columns that are new.
  if exists (select from payments_mount where kind = 'column' and table_name = 'invoices' and object_name = 'payment_status') then
    update invoices set payment_status = 'PAID' where status = 'PAID';
  end if;
  if exists (select from payments_mount where kind = 'column' and table_name = 'invoices' and object_name = 'amount_paid') then
    update invoices set amount_paid = total where status = 'PAID';
  end if;

  for n in select distinct table_name from needed where name = 'tenant_id' loop
    continue when exists (
      select from pg_index i where i.indrelid = format('%I.%I', current_schema(), n.table_name)::regclass
        and i.indisunique and i.indpred is null and i.indnkeyatts = 2
        and (select array_agg(a.attname order by a.attname) from pg_attribute a
             where a.attrelid = i.indrelid and a.attnum = any (i.indkey)) = array['id', 'tenant_id']::name[]);
    execute format('alter table %I add constraint %I unique (tenant_id, id)', n.table_name, 'psa_payments_' || n.table_name || '_key');
    insert into payments_mount values ('constraint', n.table_name, 'psa_payments_' || n.table_name || '_key');
  end loop;
end $$;

create table if not exists tenants (
  id uuid primary key default uuidv7(),
  name text not null check (name <> ''),
  time_zone text not null default 'UTC',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table if not exists users (
  tenant_id uuid not null references tenants (id),
  id integer generated by default as identity,
  email text not null,
  name text not null,
  role text not null check (role in ('admin', 'billing', 'viewer')),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, email)
);

create table if not exists customers (
  tenant_id uuid not null references tenants (id),
  id integer generated by default as identity,
  name text not null check (name <> ''),
  email text,
  phone text,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);

create table if not exists contracts (
  tenant_id uuid not null references tenants (id),
  id integer generated by default as identity,
  customer_id integer not null,
  name text not null check (name <> ''),
  status text not null default 'DRAFT' check (status in ('DRAFT', 'ACTIVE', 'PAUSED', 'ENDED', 'CANCELED')),
  unit_amount bigint not null check (unit_amount >= 0),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  billing_interval text not null default 'MONTH' check (billing_interval in ('DAY', 'WEEK', 'MONTH', 'QUARTER', 'YEAR')),
  quantity integer not null default 1 check (quantity > 0),
  starts_at timestamptz not null,
  ends_at timestamptz check (ends_at > starts_at),
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id)
);

create table if not exists invoices (
  tenant_id uuid not null references tenants (id),
  id integer generated by default as identity,
  customer_id integer not null,
  contract_id integer,
  number text not null,
  status text not null default 'OPEN' check (status in ('DRAFT', 'OPEN', 'PAID', 'VOID', 'UNCOLLECTIBLE')),
  payment_status text not null default 'UNPAID'
    check (payment_status in ('UNPAID', 'PENDING', 'PARTIALLY_PAID', 'PAID', 'FAILED', 'REFUNDED')),
  total bigint not null check (total >= 0),
  amount_paid bigint not null default 0 check (amount_paid >= 0),
  currency char(3) not null check (currency ~ '^[a-z]{3}$'),
  due_at timestamptz,
  paid_at timestamptz,
  metadata jsonb not null default '{}',
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, number),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id),
  foreign key (tenant_id, contract_id) references contracts (tenant_id, id)
);

-- An index of an existing table is noted; one of a table of ours goes with it.
do $$
declare
  n record;
begin
  for n in
    select * from (values
      ('customers', 'customers_by_name', '(tenant_id, name, id)'),
      ('contracts', 'contracts_by_customer', '(tenant_id, customer_id, id)'),
      ('invoices', 'invoices_newest', '(tenant_id, created_at desc, id desc)'),
      ('invoices', 'invoices_by_customer', '(tenant_id, customer_id, created_at desc, id desc)'),
      ('invoices', 'invoices_by_contract', '(tenant_id, contract_id) where contract_id is not null'),
      ('invoices', 'invoices_to_collect', $index$(tenant_id, due_at, id) where status = 'OPEN'$index$)
    ) as wanted (table_name, name, definition)
  loop
    continue when to_regclass(format('%I.%I', current_schema(), n.name)) is not null;
    execute format('create index %I on %I %s', n.name, n.table_name, n.definition);
    insert into payments_mount select 'index', n.table_name, n.name
      where not exists (select from payments_mount where kind = 'table' and table_name = n.table_name);
  end loop;
end $$;

-- Tables of ours.
do $$
declare
  this_table text;
begin
  for this_table in select table_name from payments_mount where kind = 'table' and table_name <> 'tenants' loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid)$policy$, this_table);
    execute format('create policy platform_read on %I for select to app_platform, app_readonly using (true)', this_table);
    execute format('create trigger %I before update on %I for each row execute function psa_payments_updated_at()', this_table || '_updated_at', this_table);
    execute format('grant select, insert, update on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;

  if exists (select from payments_mount where kind = 'table' and table_name = 'tenants') then
    alter table tenants enable row level security;
    alter table tenants force row level security;
    create policy tenant_isolation on tenants for select to app_tenant
      using (id = nullif(current_setting('app.tenant_id', true), '')::uuid);
    create policy everyone_of_the_platform on tenants for select to app_worker, app_platform, app_readonly using (true);
    create trigger tenants_updated_at before update on tenants for each row execute function psa_payments_updated_at();
  end if;
end $$;

-- Tables of the PSA's. Row-level security is not forced, so that their owner goes on as before; whoever else used them keeps what
-- grants give him; and our own roles are walled in by a restrictive policy, since the PSA's policies may let everybody through.
do $$
declare
  n record;
  own text;
begin
  for n in select distinct d.table_name as name, c.relrowsecurity
    from needed d join pg_class c on c.oid = format('%I.%I', current_schema(), d.table_name)::regclass
  loop
    own := format($check$%I = nullif(current_setting('app.tenant_id', true), '')::uuid$check$,
      case n.name when 'tenants' then 'id' else 'tenant_id' end);
    if not n.relrowsecurity then
      execute format('alter table %I enable row level security', n.name);
      insert into payments_mount values ('security', n.name, '');
      execute format($policy$create policy psa_payments_others on %1$I
        using (current_user not in ('app_worker', 'app_platform', 'app_readonly') and not pg_has_role(current_user, 'app_tenant', 'member'))
        with check (current_user not in ('app_worker', 'app_platform', 'app_readonly') and not pg_has_role(current_user, 'app_tenant', 'member'))
        $policy$, n.name);
    end if;
    execute format('create policy psa_payments_wall on %I as restrictive to app_tenant using (%s) with check (%s)', n.name, own, own);
    if n.name = 'tenants' then
      execute format('create policy psa_payments_tenant on tenants for select to app_tenant using (%s)', own);
      create policy psa_payments_platform on tenants for select to app_worker, app_platform, app_readonly using (true);
    else
      execute format('create policy psa_payments_tenant on %I to app_tenant using (%s) with check (%s)', n.name, own, own);
      execute format('create policy psa_payments_platform on %I for select to app_platform, app_readonly using (true)', n.name);
      execute format('grant select on %I to app_tenant, app_readonly', n.name);
    end if;
    -- The stamp moves only with what we write: the PSA may want to set its own.
    if n.name in ('contracts', 'invoices') then
      execute format('grant update on %I to app_tenant', n.name);
      execute format($trigger$create trigger psa_payments_updated_at before update on %I for each row
        when (current_user = 'app_tenant') execute function psa_payments_updated_at()$trigger$, n.name);
    end if;
  end loop;
end $$;

grant select on tenants to app_tenant, app_worker, app_platform, app_readonly;
-- The platform sees how much, never who: no names, addresses or numbers of a tenant's customers.
grant select (tenant_id, id, created_at) on customers to app_platform;
grant select (tenant_id, id, status, payment_status, total, amount_paid, currency, due_at, paid_at, created_at) on invoices to app_platform;
