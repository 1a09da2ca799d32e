set local lock_timeout = '5s';

alter table payment_methods drop column stripe_mandate_id, drop column mandate_status, drop column mandate_as_of;
