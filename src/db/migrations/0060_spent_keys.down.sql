set local lock_timeout = '5s';
alter table commands drop column if exists key_spent_at, drop column if exists key_generation;
