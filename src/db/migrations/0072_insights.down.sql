set local lock_timeout = '5s';
drop trigger if exists payments_failed_insert on payments;
drop trigger if exists payments_failed_update on payments;
drop function if exists psa_payments_failed();
drop view if exists subscription_states;
drop table if exists payment_failures, mrr_calendars, mrr_customers, mrr_months, mrr_movements, subscription_history;
drop function if exists psa_payments_mrr(text, text, bigint, integer, text, integer);
drop function if exists psa_payments_start(timestamp, text);
