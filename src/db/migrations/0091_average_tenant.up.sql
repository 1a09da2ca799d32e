-- Whose rows a statement sees is said by a subquery from here on. What a function of a setting gives PostgreSQL works out when it plans, so that a statement
-- that is planned once was planned for the tenant that came first: for one with a single row any index seems as good as the key, and the
-- plan stayed when one came who has thousands. What a subquery will give it does not know, and reckons with an average tenant.
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
    execute format('alter policy %I on %I using (%s)', p.policyname, p.tablename, replace(p.qual, bare, subquery));
  end loop;
  for p in select tablename, policyname from pg_policies
    where schemaname = current_schema() and policyname in ('tenant_isolation', 'psa_payments_wall', 'psa_payments_tenant')
      and replace(qual, subquery, '') like '%app.tenant_id%'
  loop
    raise exception 'The policy % on % asks for the tenant in a way that this migration does not know.', p.policyname, p.tablename;
  end loop;
end $$;
