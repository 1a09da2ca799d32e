set local lock_timeout = '5s';
drop table if exists platform_ledger_imports, platform_ledger_postings, platform_ledger_transactions, ledger_checks, ledger_imports, ledger_postings,
  ledger_transactions;
drop function if exists platform_ledger_refuse_unbalanced();
drop function if exists platform_ledger_number_transaction();
drop function if exists ledger_refuse_unbalanced();
drop function if exists ledger_number_posting();
drop function if exists ledger_number_transaction();
