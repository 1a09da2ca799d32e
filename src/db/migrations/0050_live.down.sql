set local lock_timeout = '5s';
drop trigger if exists payments_live on payments;
drop trigger if exists stripe_config_live on stripe_config;
drop function if exists psa_payments_live();
