set local lock_timeout = '5s';
drop view if exists transaction_payouts, payment_payouts, payout_contents, payout_statements;
drop function if exists payout_part(uuid, uuid, text);
drop table if exists payout_transactions, payouts;
