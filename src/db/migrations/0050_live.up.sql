-- Tells those who watch that a row changed; never what it says. It goes out with the commit, so whoever then looks finds it.
set local lock_timeout = '5s';

create function psa_payments_live() returns trigger language plpgsql as $$
begin
  perform pg_notify('psa_payments_live', concat_ws(' ', tg_table_name, new.tenant_id, new.id, new.livemode::text));
  return null;
end $$;

create trigger payments_live after insert or update on payments for each row execute function psa_payments_live();
create trigger stripe_config_live after insert or update on stripe_config for each row execute function psa_payments_live();
