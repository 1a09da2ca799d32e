-- Stripe answers a key again with the error that it answered first, also with one of its own. A command that was answered so is sent under
-- another key, once it was looked up and was not there.
set local lock_timeout = '5s';

alter table commands
  -- How many of its keys were answered with an error of Stripe's own.
  add column key_generation integer not null default 0 check (key_generation >= 0),
  add column key_spent_at timestamptz;

-- Personal data is not kept once an account was made.
alter table commands no force row level security;
update commands set params = params - 'email' - 'businessName'
  where kind = 'onboarding.create-account' and finished_at is not null;
alter table commands force row level security;
