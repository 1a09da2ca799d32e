-- Receipts, reminders and alerts: from where on receipts are looked for, and what a tenant may set about them.
set local lock_timeout = '5s';

-- Since when mails go out. Payments that succeeded before that get no receipt any more.
create table notice_marks (
  livemode boolean primary key,
  since timestamptz not null
);
grant select, insert, delete on notice_marks to app_worker;

-- By Stripe's stamp: which payments have succeeded lately, and whether a tenant has any.
create index payments_succeeded on payments (tenant_id, livemode, succeeded_at, id) where succeeded_at is not null;

alter table mail_settings
  add column renewal_days integer not null default 7 check (renewal_days between 1 and 60),
  -- When something was last mailed again that had not been: what happened before is not caught up on.
  add column unmuted_at timestamptz;
