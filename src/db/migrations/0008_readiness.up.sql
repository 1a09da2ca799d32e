-- A server tells by these whether its tables are those it was written for.
set local lock_timeout = '5s';
grant select on payments_migrations to app_worker;
