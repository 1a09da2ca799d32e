-- A bank account is debited by the customer's permission, and that can end. https://docs.stripe.com/api/mandates
set local lock_timeout = '5s';

alter table payment_methods
  add column stripe_mandate_id text check (stripe_mandate_id ~ '^mandate_[A-Za-z0-9]+$'),
  add column mandate_status text check (mandate_status in ('ACTIVE', 'PENDING', 'INACTIVE')),
  -- Stripe's time of the two; news of the method itself has a time of its own.
  add column mandate_as_of timestamptz,
  add constraint payment_methods_mandate_check check ((stripe_mandate_id is null) = (mandate_status is null));
