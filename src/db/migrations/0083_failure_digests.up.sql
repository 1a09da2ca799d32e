-- A tenant's admins are told by mail when many payments of a day failed, unless they do not want to be.
set local lock_timeout = '5s';

alter table mail_settings drop constraint mail_settings_muted_check, add constraint mail_settings_muted_check
  check (muted <@ array['RECEIPTS', 'RENEWALS', 'CARDS', 'TRIALS', 'ACTIONS', 'DUNNING', 'BALANCE', 'DISPUTES', 'WEBHOOKS', 'FAILURES']);
