set local lock_timeout = '5s';
alter table mail_settings no force row level security;
update mail_settings set muted = array_remove(muted, 'FAILURES') where 'FAILURES' = any (muted);
alter table mail_settings force row level security;
alter table mail_settings drop constraint mail_settings_muted_check, add constraint mail_settings_muted_check
  check (muted <@ array['RECEIPTS', 'RENEWALS', 'CARDS', 'TRIALS', 'ACTIONS', 'DUNNING', 'BALANCE', 'DISPUTES', 'WEBHOOKS']);
