set local lock_timeout = '5s';
drop trigger if exists stripe_accounts_announce on stripe_accounts;
drop function if exists announce_stripe_account();
drop function if exists webhook_events_drop_month(date);
drop function if exists webhook_events_add_month(date);
drop view if exists webhook_events;
drop table if exists stripe_webhook_queue, stripe_webhook_events;
