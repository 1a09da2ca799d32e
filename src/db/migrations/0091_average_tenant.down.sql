set local lock_timeout = '2s';

do $$
declare
  p record;
  bare constant text := '(NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid';
  subquery constant text := '( SELECT ' || bare || ' AS "nullif")';
begin
  for p in select tablename, policyname, qual from pg_policies
    where schemaname = current_schema() and policyname in ('tenant_isolation', 'psa_payments_wall', 'psa_payments_tenant')
      and qual like '%app.tenant_id%' order by tablename, policyname
  loop
    execute format('alter policy %I on %I using (%s)', p.policyname, p.tablename, replace(p.qual, subquery, bare));
  end loop;
end $$;
