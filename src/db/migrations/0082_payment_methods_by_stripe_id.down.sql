set local lock_timeout = '5s';

alter table payments
  add column payment_method_id uuid,
  add foreign key (tenant_id, payment_method_id) references payment_methods (tenant_id, id);

alter table payments disable trigger user, no force row level security;
alter table payment_methods no force row level security;
update payments p set payment_method_id = m.id
  from payment_methods m where m.tenant_id = p.tenant_id and m.stripe_payment_method_id = p.stripe_payment_method_id;
alter table payments enable trigger user, force row level security;
alter table payment_methods force row level security;

alter table payments drop column stripe_payment_method_id;
