set local lock_timeout = '5s';
drop table if exists drift_reports, stripe_sweeps;
drop view if exists webhook_events;
create view webhook_events with (security_invoker = true) as
select e.id, e.stripe_event_id, e.type, e.kind, e.stripe_account_id, e.livemode, e.attempts, e.last_error, e.payload, e.stripe_created_at,
  e.received_at, e.processed_at,
  case when q.state = 'READY' and q.lease_until > now() then 'PROCESSING' else e.status end as status,
  case when q.state = 'READY' then q.ready_at end as next_attempt_at
from stripe_webhook_events e left join stripe_webhook_queue q on q.event_id = e.id;
grant select on webhook_events to app_tenant, app_readonly;
alter table stripe_webhook_events drop column if exists awaits_handler;
