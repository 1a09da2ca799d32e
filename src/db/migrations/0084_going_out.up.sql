-- What goes out: once, and found without looking through what goes out of its own.
set local lock_timeout = '5s';

-- An invoice is paid when it comes to be, not whenever it is written down again: endpoints that were made later heard of old ones.
drop trigger psa_payments_tell on invoices;
create trigger psa_payments_tell_insert after insert on invoices for each row
  when (current_user = 'app_tenant' and new.payment_status = 'PAID') execute function psa_payments_tell_invoice();
create trigger psa_payments_tell after update of payment_status on invoices for each row
  when (current_user = 'app_tenant' and new.payment_status = 'PAID' and old.payment_status is distinct from 'PAID')
  execute function psa_payments_tell_invoice();

-- Each look for mails asks which are too late; while the mail server is away, there are many that wait.
create index mails_to_expire on mails (send_until) where state in ('QUEUED', 'SENDING');
-- Each night: those that still say something.
create index mails_to_forget on mails (tenant_id, livemode, created_at) where recipient is not null;
