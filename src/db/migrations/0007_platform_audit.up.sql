-- The platform sets what it takes of a tenant's payments, and that is written into the tenant's log.
set local lock_timeout = '5s';
create policy platform_fee on audit_log for insert to app_platform with check (action = 'application-fee.update');
grant insert on audit_log to app_platform;
