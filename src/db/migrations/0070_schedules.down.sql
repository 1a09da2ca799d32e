set local lock_timeout = '5s';
drop table if exists scheduled_job_requests, scheduled_jobs;
drop schema if exists payments_pgboss cascade;
