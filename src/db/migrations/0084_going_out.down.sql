set local lock_timeout = '5s';
drop index if exists mails_to_forget, mails_to_expire;
drop trigger if exists psa_payments_tell_insert on invoices;
drop trigger if exists psa_payments_tell on invoices;
create trigger psa_payments_tell after insert or update of payment_status on invoices for each row
  when (current_user = 'app_tenant' and new.payment_status = 'PAID') execute function psa_payments_tell_invoice();
