set local lock_timeout = '5s';

-- What the last comparison of the platform's own books found: one object per difference, as in ledger_checks.
alter table platform_ledger_imports
  add column checked_at timestamptz,
  add column differences jsonb not null default '[]';
