-- Commands: which are about a row of ours, and which may still be on their way to Stripe.
set local lock_timeout = '5s';

-- When Stripe was last asked and did not answer clearly. Until such a try has surely come to its end, it is not certain that Stripe has not got it.
alter table commands add column unanswered_at timestamptz;

-- Whoever changes something asks whether another change of the same is under way; dunning, how a payment was asked for. Not through all of a tenant's.
create index commands_by_subject on commands (tenant_id, subject_id) where subject_id is not null;
