-- What events cost beside what is done about them. Figures: docs/adr/0004-event-queue.md.
set local lock_timeout = '5s';

-- Nobody looks for events by what is in them, but for each look at the table PostgreSQL read thirty thousand payloads back to learn what they are like.
alter table stripe_webhook_events alter column payload set statistics 0;
create or replace function webhook_events_add_month(month date) returns boolean
language plpgsql security definer as $$
declare
  first date := date_trunc('month', month)::date;
  lower_bound timestamptz := first::timestamp at time zone 'UTC';
  upper_bound timestamptz := (first + interval '1 month') at time zone 'UTC';
  partition text := 'stripe_webhook_events_' || to_char(first, 'YYYY_MM');
begin
  perform set_config('lock_timeout', '2s', true);
  perform pg_advisory_xact_lock(hashtext('stripe_webhook_events'));
  if to_regclass(format('%I.%I', current_schema(), partition)) is not null then
    return false;
  end if;
  execute format('create table %I (like stripe_webhook_events including defaults including constraints including storage including compression)
    with (toast_tuple_target = 128, fillfactor = 50)', partition);
  execute format('alter table %I alter column payload set statistics 0', partition);
  execute format('with moved as (delete from stripe_webhook_events_other where stripe_created_at >= %L and stripe_created_at < %L returning *)
    insert into %I select * from moved', lower_bound, upper_bound, partition);
  execute format('alter table stripe_webhook_events attach partition %I for values from (%L) to (%L)', partition, lower_bound, upper_bound);
  return true;
end $$;
do $$
begin
  execute format('alter function webhook_events_add_month(date) set search_path = %I, pg_temp', current_schema());
end $$;

-- Invoices that were sent together are paid at about the same time, and each changes more than once: with half of each page free, beside itself.
do $$
begin
  if exists (select from payments_mount where kind = 'table' and table_name = 'invoices') then
    alter table invoices set (fillfactor = 50);
  end if;
end $$;
