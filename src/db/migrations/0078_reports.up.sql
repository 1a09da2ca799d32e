-- What became of payments that failed, and how many fail just now.
set local lock_timeout = '5s';

-- Every try is kept by the event that tells of it: a trigger sees only what was written last.
drop trigger if exists payments_failed_insert on payments;
drop trigger if exists payments_failed_update on payments;
drop function if exists psa_payments_failed();

-- A payment that failed is recovered by itself, or by another payment of the same invoice. It is lost when nobody will try any more.
create view failed_payments with (security_invoker = true) as
select f.*, p.customer_id, p.invoice_id, coalesce('invoice ' || p.invoice_id, 'payment ' || p.id) as claim,
  case
    when p.status = 'SUCCEEDED' or i.payment_status in ('PAID', 'REFUNDED') then 'RECOVERED'
    when i.status in ('VOID', 'UNCOLLECTIBLE') or (i.id is null and p.status = 'CANCELED') then 'LOST'
    else 'OPEN'
  end as outcome
from payment_failures f
  join payments p on p.tenant_id = f.tenant_id and p.id = f.payment_id
  left join invoices i on i.tenant_id = p.tenant_id and i.id = p.invoice_id;
grant select on failed_payments to app_tenant, app_readonly;

-- Only how many, and why: for the alarm.
create index payment_failures_recent on payment_failures (failed_at);
create policy alarm on payment_failures for select to app_worker using (true);
grant select (tenant_id, livemode, code, decline_code, failed_at) on payment_failures to app_worker;
