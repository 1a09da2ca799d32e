-- A request that Stripe refuses at once is no payment: its row, written before Stripe was asked, goes again. Only such a row can be
-- deleted, whoever asks: from the moment that Stripe has an intent for it, it stays.
set local lock_timeout = '5s';

create policy only_unborn on payments as restrictive for delete to app_tenant
  using (stripe_payment_intent_id is null and status in ('PENDING', 'PROCESSING'));
grant delete on payments to app_tenant;
