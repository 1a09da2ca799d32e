set local lock_timeout = '5s';

do $$
declare
  p record;
  subquery constant text := '( SELECT (NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid AS "nullif")';
begin
  for p in select tablename, policyname, qual from pg_policies
    where schemaname = current_schema() and policyname in ('tenant_isolation', 'psa_payments_wall', 'psa_payments_tenant') and strpos(qual, subquery) > 0
  loop
    execute format('alter policy %I on %I using (%s)', p.policyname, p.tablename,
      replace(p.qual, subquery, '(NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid'));
  end loop;
end $$;
