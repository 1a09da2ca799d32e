set local lock_timeout = '5s';
revoke insert on audit_log from app_platform;
drop policy platform_fee on audit_log;
