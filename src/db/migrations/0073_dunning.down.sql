set local lock_timeout = '5s';
drop index if exists invoices_open;
drop table if exists dunning_steps;
drop table if exists dunning_cases;
drop table if exists dunning_settings;
