-- Whose rows a statement sees is said by a subquery from here on. What a function of a setting gives PostgreSQL works out when it plans, so that a statement
-- that is planned once was planned for the tenant that came first: for one with a single row any index seems as good as the key, and the
-- plan stayed when one came who has thousands. What a subquery will give it does not know, and reckons with an average tenant.
set local lock_timeout = '5s';

do $$
declare
  p record;
  setting constant text := '(NULLIF(current_setting(''app.tenant_id''::text, true), ''''::text))::uuid';
begin
  for p in select tablename, policyname, qual from pg_policies
    where schemaname = current_schema() and policyname in ('tenant_isolation', 'psa_payments_wall', 'psa_payments_tenant') and strpos(qual, setting) > 0
  loop
    execute format('alter policy %I on %I using (%s)', p.policyname, p.tablename, replace(p.qual, setting, format('(select %s)', setting)));
  end loop;
end $$;
