set local lock_timeout = '5s';

-- Unmakes what the way up made, and nothing else: a table that was there before keeps its own columns, keys, policies and rows.
do $$
declare
  n record;
  p record;
begin
  for n in
    select name from unnest(array['tenants', 'users', 'customers', 'contracts', 'invoices']) name
    where not exists (select from payments_mount m where m.kind = 'table' and m.table_name = name)
  loop
    for p in
      select polname as name from pg_policy
      where polrelid = format('%I.%I', current_schema(), n.name)::regclass and polname ^@ 'psa_payments_'
    loop
      execute format('drop policy %I on %I', p.name, n.name);
    end loop;
    execute format('drop trigger if exists psa_payments_updated_at on %I', n.name);
    execute format('revoke all on %I from app_tenant, app_worker, app_platform, app_readonly', n.name);
    if exists (select from payments_mount where kind = 'security' and table_name = n.name) then
      execute format('alter table %I disable row level security', n.name);
    end if;
  end loop;

  for n in
    select m.table_name from payments_mount m
    where m.kind = 'table' order by array_position(array['invoices', 'contracts', 'customers', 'users', 'tenants'], m.table_name)
  loop
    execute format('drop table if exists %I', n.table_name);
  end loop;
  for n in select * from payments_mount where kind = 'index' loop
    execute format('drop index if exists %I', n.object_name);
  end loop;
  for n in select * from payments_mount where kind in ('constraint', 'column') order by kind desc loop
    execute format('alter table %I drop %s if exists %I', n.table_name, n.kind, n.object_name);
  end loop;
end $$;

drop table payments_mount;
