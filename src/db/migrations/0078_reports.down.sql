set local lock_timeout = '5s';
drop view if exists failed_payments;
drop policy if exists alarm on payment_failures;
revoke select (tenant_id, livemode, code, decline_code, failed_at) on payment_failures from app_worker;
drop index if exists payment_failures_recent;
