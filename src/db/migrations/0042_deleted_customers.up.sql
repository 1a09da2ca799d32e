-- A customer can be deleted at Stripe, in the dashboard: for good. The PSA's customer stays, and gets a new one when one is needed.
set local lock_timeout = '5s';

alter table stripe_customers
  add column deleted_at timestamptz,
  -- How many were deleted before this one: tells the commands apart that make them.
  add column generation integer not null default 0 check (generation >= 0);
