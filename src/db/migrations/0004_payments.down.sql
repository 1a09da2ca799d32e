set local lock_timeout = '5s';
drop table if exists payments;
alter table invoices drop column if exists subscription_id;
drop table if exists stripe_subscriptions, payment_methods;
