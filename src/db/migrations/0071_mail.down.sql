set local lock_timeout = '5s';
drop trigger if exists tenants_time_zone on tenants;
drop function if exists psa_payments_time_zone();
drop view if exists tenant_admins;
drop table if exists mail_settings;
drop table if exists mails;
