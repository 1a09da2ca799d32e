set local lock_timeout = '5s';
alter table notice_marks drop column seen_at;
drop index mails_to_send;
create index mails_to_send on mails (next_attempt_at) where state in ('QUEUED', 'SENDING');
drop index dunning_cases_failing;
alter table dunning_cases drop column failures, drop column failing_since;
