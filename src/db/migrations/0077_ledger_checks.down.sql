set local lock_timeout = '5s';

alter table platform_ledger_imports
  drop column checked_at,
  drop column differences;
