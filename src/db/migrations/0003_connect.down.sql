set local lock_timeout = '5s';
drop table if exists stripe_customers, stripe_accounts, stripe_config;
