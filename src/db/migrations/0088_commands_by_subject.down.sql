set local lock_timeout = '5s';
drop index commands_by_subject;
alter table commands drop column unanswered_at;
