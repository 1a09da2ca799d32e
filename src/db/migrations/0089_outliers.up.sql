-- One case that cannot be carried on, one tenant with many mails, one worker without a mail server: none of them is to be at the others' expense.
set local lock_timeout = '5s';

alter table dunning_cases
  -- How often in a row its step could not be carried out, and since when.
  add column failures integer not null default 0 check (failures >= 0),
  add column failing_since timestamptz;
grant select (failures, failing_since) on dunning_cases to app_worker;
-- Those that need somebody to look: none, as a rule.
create index dunning_cases_failing on dunning_cases (livemode) where failures > 0;

-- What waits, tenant by tenant, so that each has its turn.
drop index mails_to_send;
create index mails_to_send on mails (livemode, tenant_id, next_attempt_at) where state in ('QUEUED', 'SENDING');

-- When somebody with a mail server last looked for receipts: who has none forgets what was marked only when nobody has one.
alter table notice_marks add column seen_at timestamptz not null default now();
grant update (seen_at) on notice_marks to app_worker;
