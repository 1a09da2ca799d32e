set local lock_timeout = '5s';
drop trigger if exists stripe_config_tell on stripe_config;
drop trigger if exists payouts_tell on payouts;
drop trigger if exists payouts_tell_insert on payouts;
drop trigger if exists disputes_tell on disputes;
drop trigger if exists disputes_tell_insert on disputes;
drop trigger if exists stripe_subscriptions_tell on stripe_subscriptions;
drop trigger if exists stripe_subscriptions_tell_insert on stripe_subscriptions;
drop trigger if exists psa_payments_tell on invoices;
drop trigger if exists payments_tell on payments;
drop trigger if exists payments_tell_insert on payments;
drop function if exists psa_payments_tell_account(), psa_payments_tell_payout(), psa_payments_tell_dispute(), psa_payments_tell_subscription(),
  psa_payments_tell_invoice(), psa_payments_tell_payment(), psa_payments_iso(timestamptz),
  psa_payments_tell(uuid, boolean, text, text, jsonb);
drop view if exists active_webhook_endpoints;
drop table if exists webhook_deliveries, webhook_endpoints;
alter table mail_settings no force row level security;
update mail_settings set muted = array_remove(muted, 'WEBHOOKS') where 'WEBHOOKS' = any (muted);
alter table mail_settings force row level security;
alter table mail_settings drop constraint mail_settings_muted_check, add constraint mail_settings_muted_check
  check (muted <@ array['RECEIPTS', 'RENEWALS', 'CARDS', 'TRIALS', 'ACTIONS', 'DUNNING', 'BALANCE', 'DISPUTES']);
