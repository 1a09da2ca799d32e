set local lock_timeout = '5s';
revoke select on payments_migrations from app_worker;
