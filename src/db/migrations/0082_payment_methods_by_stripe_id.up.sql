-- What a payment was made with, by Stripe's id: news of the payment may come before news of the method.
set local lock_timeout = '5s';

alter table payments add column stripe_payment_method_id text;

alter table payments disable trigger user, no force row level security;
alter table payment_methods no force row level security;
update payments p set stripe_payment_method_id = m.stripe_payment_method_id
  from payment_methods m where m.tenant_id = p.tenant_id and m.id = p.payment_method_id;
alter table payments enable trigger user, force row level security;
alter table payment_methods force row level security;

-- Whoever asks has the payment, and looks for its method: that has an index, by which it is unique.
alter table payments drop column payment_method_id;
