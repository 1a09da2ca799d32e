drop function if exists psa_payments_refuse_change();
drop function if exists psa_payments_updated_at();
-- The roles stay: other databases of the same cluster may use them.
revoke usage on schema public from app_tenant, app_worker, app_platform, app_readonly;
