set local lock_timeout = '5s';

-- Group roles. The server logs in as a role of its own that owns nothing, inherits nothing and switches to one of these for the
-- length of one transaction. Roles belong to the whole cluster, so another database may have made them already.
do $$
declare wanted text;
begin
  foreach wanted in array array['app_tenant', 'app_worker', 'app_platform', 'app_readonly'] loop
    begin
      if not exists (select from pg_roles where rolname = wanted) then
        execute format('create role %I nologin nosuperuser nobypassrls nocreatedb nocreaterole', wanted);
      end if;
    exception when duplicate_object or unique_violation then
      null; -- a migration of a neighbouring database was quicker
    end;
  end loop;
end $$;

grant usage on schema public to app_tenant, app_worker, app_platform, app_readonly;

create function psa_payments_updated_at() returns trigger language plpgsql as $$
begin
  -- An update that changes nothing is not a change.
  if new is distinct from old then
    new.updated_at := now();
  end if;
  return new;
end $$;

-- For rows that are evidence: they can be added and read, never altered.
create function psa_payments_refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name using errcode = 'restrict_violation';
end $$;
