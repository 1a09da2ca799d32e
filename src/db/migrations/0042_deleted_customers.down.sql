set local lock_timeout = '5s';
alter table stripe_customers drop column if exists deleted_at, drop column if exists generation;
