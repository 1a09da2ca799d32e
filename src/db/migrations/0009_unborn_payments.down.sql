set local lock_timeout = '5s';
revoke delete on payments from app_tenant;
drop policy if exists only_unborn on payments;
