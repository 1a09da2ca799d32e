-- Webhooks out: where a tenant wants to be told what happened, and what it is to be told.
set local lock_timeout = '5s';

create table webhook_endpoints (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  url text not null check (char_length(url) <= 2048),
  description text check (char_length(description) <= 500),
  types text[] not null check (cardinality(types) between 1 and 50),
  status text not null default 'ENABLED' check (status in ('ENABLED', 'DISABLED')),
  -- Why it was switched off, when nobody of the tenant did.
  disabled_reason text,
  -- Since when nothing has arrived. Null while all is well.
  failing_since timestamptz,
  -- Secrets are derived from the installation's key, the id and this number; none is stored.
  secret_version integer not null default 1 check (secret_version > 0),
  -- Tells whether the installation's key is still the one that the secret was handed out with.
  secret_check text not null,
  -- Until then what is sent is also signed with the secret before this one.
  previous_secret_until timestamptz,
  -- Rows stay: deliveries refer to them.
  deleted_at timestamptz check (deleted_at is null or status = 'DISABLED'),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id)
);

create table webhook_deliveries (
  tenant_id uuid not null references tenants (id),
  id uuid not null default uuidv7(),
  livemode boolean not null,
  endpoint_id uuid not null,
  -- What happened, to what: each happens once.
  key text not null,
  type text not null,
  data jsonb not null,
  state text not null default 'PENDING' check (state in ('PENDING', 'DELIVERED', 'FAILED')),
  attempts integer not null default 0 check (attempts >= 0),
  next_attempt_at timestamptz default now(),
  last_attempt_at timestamptz,
  response_status integer,
  error text check (char_length(error) <= 500),
  delivered_at timestamptz,
  lease_token uuid,
  lease_until timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  primary key (tenant_id, id),
  unique (tenant_id, endpoint_id, key),
  foreign key (tenant_id, endpoint_id) references webhook_endpoints (tenant_id, id),
  check ((state = 'PENDING') = (next_attempt_at is not null))
);
create index webhook_deliveries_due on webhook_deliveries (livemode, next_attempt_at) where state = 'PENDING';
create index webhook_deliveries_newest on webhook_deliveries (tenant_id, livemode, created_at desc, id desc);
create index webhook_deliveries_by_endpoint on webhook_deliveries (tenant_id, endpoint_id, created_at desc, id desc);
create index webhook_deliveries_old on webhook_deliveries (created_at) where state <> 'PENDING';

do $$
declare
  this_table text;
begin
  foreach this_table in array array['webhook_endpoints', 'webhook_deliveries'] loop
    execute format('alter table %I enable row level security', this_table);
    execute format('alter table %I force row level security', this_table);
    execute format($policy$create policy tenant_isolation on %I to app_tenant
      using (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)
      with check (tenant_id = nullif(current_setting('app.tenant_id', true), '')::uuid
        and livemode = nullif(current_setting('app.livemode', true), '')::boolean)$policy$, this_table);
    execute format('create policy platform_read on %I for select to app_readonly using (true)', this_table);
    execute format('create trigger %I before update on %I for each row execute function psa_payments_updated_at()',
      this_table || '_updated_at', this_table);
    execute format('grant select, insert, update on %I to app_tenant', this_table);
    execute format('grant select on %I to app_readonly', this_table);
  end loop;
end $$;

-- Workers take what is due, of all tenants, and clear away what is old. Where it goes, and what it says, they read as the tenant.
create policy sending on webhook_deliveries to app_worker using (true) with check (true);
grant select (tenant_id, id, livemode, endpoint_id, state, attempts, next_attempt_at, lease_until, lease_token, created_at), delete
  on webhook_deliveries to app_worker;
grant update (attempts, lease_until, lease_token, updated_at) on webhook_deliveries to app_worker;

-- Those that there are, as they are shown.
create view active_webhook_endpoints with (security_invoker = true) as
  select tenant_id, id, livemode, url, description, to_jsonb(types) as types, status, disabled_reason, failing_since, previous_secret_until,
    created_at, updated_at
  from webhook_endpoints where deleted_at is null;
grant select on active_webhook_endpoints to app_tenant, app_readonly;

-- A tenant's admins are told by mail when an endpoint was switched off, unless they do not want to be.
alter table mail_settings drop constraint mail_settings_muted_check, add constraint mail_settings_muted_check
  check (muted <@ array['RECEIPTS', 'RENEWALS', 'CARDS', 'TRIALS', 'ACTIONS', 'DUNNING', 'BALANCE', 'DISPUTES', 'WEBHOOKS']);

-- From here on: what happened is taken down by the transaction in which it does, whoever makes it. Neither is there without the other, and what
-- does not change a row, as an event that is processed again, tells nobody anything. A tenant without endpoints pays for one look into an empty index,
-- and that only when something happened. Rows that others than this server write tell nothing.

create function psa_payments_tell(of_tenant uuid, of_livemode boolean, what text, key text, about jsonb) returns void language sql as $$
  insert into webhook_deliveries as d (tenant_id, livemode, endpoint_id, key, type, data)
  select of_tenant, of_livemode, e.id, key, what, about from webhook_endpoints e
  where e.tenant_id = of_tenant and e.livemode = of_livemode and e.status = 'ENABLED' and what = any (e.types)
  -- The same transaction went on changing it: what it is in the end is what is told.
  on conflict (tenant_id, endpoint_id, key) do update set data = excluded.data where d.created_at = now()
$$;

create function psa_payments_iso(instant timestamptz) returns text immutable language sql as $$
  select to_char(instant at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

create function psa_payments_tell_payment() returns trigger language plpgsql as $$
declare
  about jsonb;
begin
  if not exists (select from webhook_endpoints where tenant_id = new.tenant_id and livemode = new.livemode and status = 'ENABLED') then return null; end if;
  about := jsonb_build_object('id', new.id, 'status', new.status,
    'amount', jsonb_build_object('amount', new.amount, 'currency', new.currency),
    'refunded', jsonb_build_object('amount', new.amount_refunded, 'currency', new.currency),
    'customerId', new.customer_id, 'invoiceId', new.invoice_id, 'subscriptionId', new.subscription_id,
    'stripePaymentIntentId', new.stripe_payment_intent_id, 'stripeChargeId', new.stripe_charge_id,
    'failure', case when new.failure_code is not null
      then jsonb_build_object('code', new.failure_code, 'declineCode', new.failure_decline_code) end,
    'createdAt', psa_payments_iso(new.created_at), 'succeededAt', psa_payments_iso(new.succeeded_at));
  if new.status = 'SUCCEEDED' and (tg_op = 'INSERT' or old.status <> 'SUCCEEDED') then
    perform psa_payments_tell(new.tenant_id, new.livemode, 'payment.succeeded', 'payment.succeeded:' || new.id, about);
  end if;
  -- Another card may fail, too: a payment can fail more than once.
  if new.status = 'FAILED' and (tg_op = 'INSERT' or old.status <> 'FAILED') then
    perform psa_payments_tell(new.tenant_id, new.livemode, 'payment.failed',
      concat_ws(':', 'payment.failed', new.id, pg_current_xact_id()), about);
  end if;
  if new.amount_refunded > 0 and (tg_op = 'INSERT' or new.amount_refunded > old.amount_refunded) then
    perform psa_payments_tell(new.tenant_id, new.livemode, 'payment.refunded',
      concat_ws(':', 'payment.refunded', new.id, pg_current_xact_id()), about);
  end if;
  return null;
end $$;
create trigger payments_tell_insert after insert on payments for each row
  when (current_user = 'app_tenant' and (new.status in ('SUCCEEDED', 'FAILED') or new.amount_refunded > 0))
  execute function psa_payments_tell_payment();
create trigger payments_tell after update on payments for each row
  when (current_user = 'app_tenant'
    and (old.status <> new.status and new.status in ('SUCCEEDED', 'FAILED') or new.amount_refunded > old.amount_refunded))
  execute function psa_payments_tell_payment();

create function psa_payments_tell_invoice() returns trigger language plpgsql as $$
declare
  mode boolean := nullif(current_setting('app.livemode', true), '')::boolean;
begin
  if mode is null or not exists (select from webhook_endpoints where tenant_id = new.tenant_id and livemode = mode and status = 'ENABLED') then
    return null;
  end if;
  perform psa_payments_tell(new.tenant_id, mode, 'invoice.paid', 'invoice.paid:' || new.id, jsonb_build_object(
    'id', new.id, 'number', new.number, 'customerId', new.customer_id, 'status', new.status, 'paymentStatus', new.payment_status,
    'total', jsonb_build_object('amount', new.total, 'currency', lower(new.currency)),
    'amountPaid', jsonb_build_object('amount', new.amount_paid, 'currency', lower(new.currency)),
    'paidAt', psa_payments_iso(new.paid_at)));
  return null;
end $$;
create trigger psa_payments_tell after insert or update of payment_status on invoices for each row
  when (current_user = 'app_tenant' and new.payment_status = 'PAID') execute function psa_payments_tell_invoice();

create function psa_payments_tell_subscription() returns trigger language plpgsql as $$
declare
  what text;
  is_over boolean := new.status in ('CANCELED', 'INCOMPLETE_EXPIRED');
begin
  if not exists (select from webhook_endpoints where tenant_id = new.tenant_id and livemode = new.livemode and status = 'ENABLED') then return null; end if;
  what := case when is_over and (tg_op = 'INSERT' or old.status not in ('CANCELED', 'INCOMPLETE_EXPIRED')) then 'subscription.canceled'
    when tg_op = 'INSERT' or new.created_at = now() then 'subscription.created' else 'subscription.updated' end;
  perform psa_payments_tell(new.tenant_id, new.livemode, what,
    concat_ws(':', what, new.id, case when what = 'subscription.updated' then pg_current_xact_id() end),
    jsonb_build_object('id', new.id, 'status', new.status, 'customerId', new.customer_id, 'contractId', new.contract_id,
      'stripeSubscriptionId', new.stripe_subscription_id, 'quantity', new.quantity,
      'unitAmount', jsonb_build_object('amount', new.unit_amount, 'currency', new.currency), 'billingInterval', new.billing_interval,
      'currentPeriodStart', psa_payments_iso(new.current_period_start), 'currentPeriodEnd', psa_payments_iso(new.current_period_end),
      'trialEnd', psa_payments_iso(new.trial_end), 'cancelAt', psa_payments_iso(new.cancel_at),
      'cancelAtPeriodEnd', new.cancel_at_period_end, 'endedAt', psa_payments_iso(new.ended_at)));
  return null;
end $$;
create trigger stripe_subscriptions_tell_insert after insert on stripe_subscriptions for each row
  when (current_user = 'app_tenant') execute function psa_payments_tell_subscription();
create trigger stripe_subscriptions_tell after update on stripe_subscriptions for each row
  when (current_user = 'app_tenant' and (old.status, old.quantity, old.unit_amount, old.contract_id, old.current_period_start, old.current_period_end,
      old.trial_end, old.cancel_at, old.cancel_at_period_end, old.ended_at) is distinct from
    (new.status, new.quantity, new.unit_amount, new.contract_id, new.current_period_start, new.current_period_end,
      new.trial_end, new.cancel_at, new.cancel_at_period_end, new.ended_at))
  execute function psa_payments_tell_subscription();

create function psa_payments_tell_dispute() returns trigger language plpgsql as $$
declare
  about jsonb;
begin
  if not exists (select from webhook_endpoints where tenant_id = new.tenant_id and livemode = new.livemode and status = 'ENABLED') then return null; end if;
  about := jsonb_build_object('id', new.id, 'status', new.status, 'paymentId', new.payment_id, 'stripeDisputeId', new.stripe_dispute_id,
    'amount', jsonb_build_object('amount', new.amount, 'currency', new.currency), 'reason', new.reason, 'isInquiry', new.is_inquiry,
    'evidenceDueBy', psa_payments_iso(new.evidence_due_by), 'closedAt', psa_payments_iso(new.closed_at));
  if tg_op = 'INSERT' then
    perform psa_payments_tell(new.tenant_id, new.livemode, 'dispute.created', 'dispute.created:' || new.id, about);
  end if;
  if new.closed_at is not null then
    perform psa_payments_tell(new.tenant_id, new.livemode, 'dispute.closed', 'dispute.closed:' || new.id, about);
  end if;
  return null;
end $$;
create trigger disputes_tell_insert after insert on disputes for each row
  when (current_user = 'app_tenant') execute function psa_payments_tell_dispute();
create trigger disputes_tell after update on disputes for each row
  when (current_user = 'app_tenant' and old.closed_at is null and new.closed_at is not null) execute function psa_payments_tell_dispute();

create function psa_payments_tell_payout() returns trigger language plpgsql as $$
begin
  if not exists (select from webhook_endpoints where tenant_id = new.tenant_id and livemode = new.livemode and status = 'ENABLED') then return null; end if;
  perform psa_payments_tell(new.tenant_id, new.livemode, 'payout.' || lower(new.status), concat_ws(':', 'payout', new.id, lower(new.status)),
    jsonb_build_object('id', new.id, 'status', new.status, 'stripePayoutId', new.stripe_payout_id,
      'amount', jsonb_build_object('amount', new.amount, 'currency', new.currency),
      'arrivalDate', psa_payments_iso(new.arrival_date), 'automatic', new.automatic, 'failure', new.failure_code));
  return null;
end $$;
create trigger payouts_tell_insert after insert on payouts for each row
  when (current_user = 'app_tenant' and new.status in ('PAID', 'FAILED')) execute function psa_payments_tell_payout();
create trigger payouts_tell after update on payouts for each row
  when (current_user = 'app_tenant' and old.status <> new.status and new.status in ('PAID', 'FAILED')) execute function psa_payments_tell_payout();

create function psa_payments_tell_account() returns trigger language plpgsql as $$
begin
  if not exists (select from webhook_endpoints where tenant_id = new.tenant_id and livemode = new.livemode and status = 'ENABLED') then return null; end if;
  perform psa_payments_tell(new.tenant_id, new.livemode, 'account.updated', concat_ws(':', 'account.updated', new.id, pg_current_xact_id()),
    jsonb_build_object('id', new.id, 'stripeAccountId', new.stripe_account_id, 'chargesEnabled', new.charges_enabled,
      'payoutsEnabled', new.payouts_enabled, 'detailsSubmitted', new.details_submitted,
      'disconnectedAt', psa_payments_iso(new.disconnected_at)));
  return null;
end $$;
create trigger stripe_config_tell after update on stripe_config for each row
  when (current_user = 'app_tenant' and (old.stripe_account_id, old.charges_enabled, old.payouts_enabled, old.details_submitted, old.requirements,
      old.disconnected_at) is distinct from
    (new.stripe_account_id, new.charges_enabled, new.payouts_enabled, new.details_submitted, new.requirements, new.disconnected_at))
  execute function psa_payments_tell_account();
