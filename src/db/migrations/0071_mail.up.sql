-- E-mail: an outbox, and how each tenant's mail looks. Nothing is mailed in a transaction; a row is the promise to do so once.
set local lock_timeout = '5s';

create table mails (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  -- What it is about, and which step of that: `receipt:<payment>`. The second insert of it changes nothing.
  key text not null check (length(key) between 1 and 255),
  template text not null,
  customer_id integer,
  -- Null once it was erased.
  recipient text check (recipient !~ '[[:cntrl:]]'),
  subject text,
  data jsonb not null,
  state text not null default 'QUEUED' check (state in ('QUEUED', 'SENDING', 'SENT', 'BOUNCED', 'FAILED', 'EXPIRED')),
  attempts integer not null default 0 check (attempts >= 0),
  -- Grows when somebody has it sent again: that is another message, with another Message-ID.
  generation integer not null default 0 check (generation >= 0),
  next_attempt_at timestamptz not null default now(),
  -- What was not sent by then has lost its sense.
  send_until timestamptz not null default now() + interval '3 days',
  lease_until timestamptz,
  lease_token uuid,
  message_id text,
  last_error text,
  sent_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode, key),
  foreign key (tenant_id, customer_id) references customers (tenant_id, id)
);
create index mails_newest on mails (tenant_id, livemode, id desc);
create index mails_by_customer on mails (tenant_id, customer_id, id desc) where customer_id is not null;
create index mails_to_send on mails (next_attempt_at) where state in ('QUEUED', 'SENDING');

create table mail_settings (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  sender_name text check (length(sender_name) between 1 and 100 and sender_name !~ '[[:cntrl:]]'),
  reply_to text check (length(reply_to) <= 254 and reply_to !~ '[[:cntrl:]]'),
  postal_address text check (length(postal_address) <= 500),
  logo_url text check (logo_url ~ '^https://'),
  brand_color text check (brand_color ~ '^#[0-9a-f]{6}$'),
  locale text not null default 'en',
  alert_addresses text[] not null default '{}' check (cardinality(alert_addresses) <= 20),
  muted text[] not null default '{}'
    check (muted <@ array['RECEIPTS', 'RENEWALS', 'CARDS', 'TRIALS', 'ACTIONS', 'DUNNING', 'BALANCE', 'DISPUTES']),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, livemode)
);

do $$
declare
  this_table text;
begin
  foreach this_table in array array['mails', 'mail_settings'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('create trigger %I before update on %I for each row execute function psa_payments_updated_at()',
      this_table || '_updated_at', this_table);
    execute format('grant select, insert, update on %I to app_tenant', this_table);
  end loop;
end $$;

-- Workers find what is to be sent, of every tenant, and lease it; to whom and what it says they read as the tenant.
create policy outbox on mails to app_worker using (true) with check (true);
grant select (tenant_id, id, livemode, template, state, attempts, next_attempt_at, send_until, lease_until, lease_token) on mails to app_worker;
grant update (state, attempts, next_attempt_at, lease_until, lease_token, updated_at) on mails to app_worker;

-- Who is told what concerns the tenant itself. A PSA's own table may know neither addresses nor roles; then only `alert_addresses` count.
do $$
begin
  if (select count(*) from pg_attribute where attrelid = to_regclass('users') and attname in ('email', 'role') and not attisdropped) = 2 then
    execute $view$create view tenant_admins with (security_invoker = true) as
      select tenant_id, id, email::text as email from users where role::text = 'admin' and email is not null$view$;
  else
    execute $view$create view tenant_admins with (security_invoker = true) as
      select tenant_id, id, null::text as email from users where false$view$;
  end if;
end $$;
grant select on tenant_admins to app_tenant;

-- Days and months of a tenant begin in its time zone. Where the table is ours, no other name gets into it.
do $$
begin
  if exists (select from payments_mount where kind = 'table' and table_name = 'tenants') then
    create function psa_payments_time_zone() returns trigger language plpgsql as $function$
    begin
      -- Looking through all of them takes a moment.
      if new.time_zone <> 'UTC' and not exists (select from pg_timezone_names where name = new.time_zone) then
        raise exception '% is no time zone', new.time_zone using errcode = 'check_violation', column = 'time_zone', table = 'tenants';
      end if;
      return new;
    end $function$;
    create trigger tenants_time_zone before insert or update of time_zone on tenants
      for each row execute function psa_payments_time_zone();
  end if;
end $$;
