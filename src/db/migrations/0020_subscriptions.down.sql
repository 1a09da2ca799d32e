set local lock_timeout = '5s';

drop table invoice_numbers, invoice_lines, stripe_invoices, stripe_prices;
drop index invoices_by_subscription;

-- A total below zero fits the older check no more: what was a credit becomes nothing to pay.
do $$
begin
  if exists (select from payments_mount where kind = 'table' and table_name = 'invoices') then
    alter table invoices no force row level security;
    update invoices set total = 0 where total < 0;
    alter table invoices force row level security;
    alter table invoices drop constraint invoices_total_check;
    alter table invoices add constraint invoices_total_check check (total >= 0);
  end if;
end $$;
alter table invoices drop column amount_credited;

drop index stripe_subscriptions_by_method;
alter table stripe_subscriptions no force row level security;
update stripe_subscriptions set quantity = 1 where quantity = 0;
alter table stripe_subscriptions force row level security;
alter table stripe_subscriptions
  drop column stripe_item_id,
  drop column interval_count,
  drop column pause_behavior,
  drop column resumes_at,
  drop column stripe_default_payment_method_id,
  drop constraint stripe_subscriptions_quantity_check,
  add constraint stripe_subscriptions_quantity_check check (quantity > 0),
  add column default_payment_method_id uuid,
  add foreign key (tenant_id, default_payment_method_id) references payment_methods (tenant_id, id);
