set local lock_timeout = '5s';
alter table mail_settings drop column if exists unmuted_at, drop column if exists renewal_days;
drop index if exists payments_succeeded;
drop table if exists notice_marks;
