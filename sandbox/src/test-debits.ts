import { type Decline, type TestMethod } from './test-methods.js';

/**
 * Stripe's test bank accounts. Their names say how a debit ends; the "delayed" ones are the same here, since every debit takes its days.
 * {@link https://docs.stripe.com/testing#non-card-payments} {@link https://docs.stripe.com/payments/ach-direct-debit/accept-a-payment#test-account-numbers}
 */
const failures = {
  account_closed: { code: 'account_closed', message: 'The bank account has been closed.' },
  no_account: { code: 'no_account', message: 'The bank account could not be located.' },
  insufficient_funds: {
    code: 'insufficient_funds',
    message: 'The customer’s account has insufficient funds to cover this payment.',
  },
  debit_not_authorized: {
    code: 'debit_not_authorized',
    message: 'The customer notified their bank that this payment was unauthorized.',
  },
  invalid_currency: { code: 'invalid_currency', message: 'The bank account does not take payments in this currency.' },
  refer_to_customer: {
    code: 'refer_to_customer',
    message: 'The customer’s bank refused the payment: refer to customer.',
  },
  charge_exceeds_source_limit: {
    code: 'charge_exceeds_source_limit',
    message: 'The payment amount exceeds the limit of the bank account for a week.',
  },
  charge_exceeds_transaction_limit: {
    code: 'charge_exceeds_transaction_limit',
    message: 'The payment amount exceeds the limit for one transaction.',
  },
} satisfies Record<string, Decline>;
const endMandate = new Set<string>(['account_closed', 'no_account', 'debit_not_authorized']);

type Ending = 'succeeds' | 'disputed' | 'never' | keyof typeof failures;

function debit(type: TestMethod['type'], number: string, ending: Ending, country?: string): TestMethod {
  const failure = ending in failures ? failures[ending as keyof typeof failures] : undefined;
  return {
    type,
    number,
    last4: number.slice(-4),
    ...(country !== undefined && { country }),
    debit: failure ? 'fails' : (ending as 'succeeds'),
    ...(failure && { debitFailure: failure }),
    ...(endMandate.has(ending) && { endsMandate: true }),
  };
}

const ach = (number: string, ending: Ending): TestMethod => debit('us_bank_account', number, ending);
const becs = (number: string, ending: Ending): TestMethod => debit('au_becs_debit', number, ending);
const bacs = (number: string, ending: Ending): TestMethod => debit('bacs_debit', number, ending);

const ibans: Record<string, Record<string, string>> = {
  de: {
    success: 'DE89370400440532013000',
    successDelayed: 'DE08370400440532013003',
    failed: 'DE62370400440532013001',
    failedDelayed: 'DE78370400440532013004',
    disputed: 'DE35370400440532013002',
    exceedsWeeklyVolumeLimit: 'DE65370400440000343434',
    exceedsWeeklyTransactionLimit: 'DE27370400440000121212',
    insufficientFunds: 'DE65370400440002222227',
  },
  at: {
    success: 'AT611904300234573201',
    successDelayed: 'AT321904300235473204',
    failed: 'AT861904300235473202',
    failedDelayed: 'AT051904300235473205',
    disputed: 'AT591904300235473203',
    exceedsWeeklyVolumeLimit: 'AT981904300000343434',
    exceedsWeeklyTransactionLimit: 'AT601904300000121212',
    insufficientFunds: 'AT981904300002222227',
  },
  fr: {
    success: 'FR1420041010050500013M02606',
    successDelayed: 'FR3020041010050500013M02609',
    failed: 'FR8420041010050500013M02607',
    failedDelayed: 'FR7920041010050500013M02600',
    disputed: 'FR5720041010050500013M02608',
    exceedsWeeklyVolumeLimit: 'FR9720041010050000000343434',
    exceedsWeeklyTransactionLimit: 'FR5920041010050000000121212',
    insufficientFunds: 'FR9720041010050000002222227',
  },
  ie: {
    success: 'IE29AIBK93115212345678',
    successDelayed: 'IE24AIBK93115212345671',
    failed: 'IE02AIBK93115212345679',
    failedDelayed: 'IE94AIBK93115212345672',
    disputed: 'IE51AIBK93115212345670',
    exceedsWeeklyVolumeLimit: 'IE10AIBK93115200343434',
    exceedsWeeklyTransactionLimit: 'IE69AIBK93115200121212',
    insufficientFunds: 'IE10AIBK93115202222227',
  },
};
const sepaEndings: Record<string, Ending> = {
  success: 'succeeds',
  successDelayed: 'succeeds',
  failed: 'debit_not_authorized',
  failedDelayed: 'debit_not_authorized',
  disputed: 'disputed',
  exceedsWeeklyVolumeLimit: 'charge_exceeds_source_limit',
  exceedsWeeklyTransactionLimit: 'charge_exceeds_source_limit',
  insufficientFunds: 'insufficient_funds',
};
const sepa = Object.fromEntries(
  Object.entries(ibans).flatMap(([country, numbers]) =>
    Object.entries(numbers).map(([scenario, iban]) => [
      `pm_sepaDebit_${scenario}_${country}`,
      debit('sepa_debit', iban, sepaEndings[scenario]!, country.toUpperCase()),
    ]),
  ),
);

/** By the name that stands for a payment method; the first of a type is the one that unknown numbers behave like. */
export const testDebits: Record<string, TestMethod> = {
  pm_usBankAccount_success: ach('000123456789', 'succeeds'),
  pm_usBankAccount: ach('000123456789', 'succeeds'),
  pm_usBankAccount_accountClosed: ach('000111111113', 'account_closed'),
  pm_usBankAccount_noAccount: ach('000111111116', 'no_account'),
  pm_usBankAccount_insufficientFunds: ach('000222222227', 'insufficient_funds'),
  pm_usBankAccount_debitNotAuthorized: ach('000333333335', 'debit_not_authorized'),
  pm_usBankAccount_invalidCurrency: ach('000444444440', 'invalid_currency'),
  pm_usBankAccount_dispute: ach('000555555559', 'disputed'),
  pm_usBankAccount_processing: ach('000000000009', 'never'),
  pm_usBankAccount_weeklyLimitExceeded: ach('000777777771', 'charge_exceeds_source_limit'),
  pm_auBecsDebit_success: becs('000123456', 'succeeds'),
  pm_auBecsDebit: becs('000123456', 'succeeds'),
  pm_auBecsDebit_successDelayed: becs('900123456', 'succeeds'),
  pm_auBecsDebit_accountClosed: becs('111111113', 'account_closed'),
  pm_auBecsDebit_noAccount: becs('111111116', 'no_account'),
  pm_auBecsDebit_referToCustomer: becs('222222227', 'refer_to_customer'),
  pm_auBecsDebit_referToCustomerDelayed: becs('922222227', 'refer_to_customer'),
  pm_auBecsDebit_debitNotAuthorized: becs('333333335', 'debit_not_authorized'),
  pm_auBecsDebit_dispute: becs('666666660', 'disputed'),
  pm_auBecsDebit_exceedsWeeklyLimit: becs('343434343', 'charge_exceeds_source_limit'),
  pm_auBecsDebit_exceedsTransactionLimit: becs('121212121', 'charge_exceeds_transaction_limit'),
  pm_bacsDebit_success: bacs('00012345', 'succeeds'),
  pm_bacsDebit_successDelayed: bacs('90012345', 'succeeds'),
  pm_bacsDebit_debitNotAuthorized: bacs('33333335', 'debit_not_authorized'),
  pm_bacsDebit_debitNotAuthorizedDelayed: bacs('93333335', 'debit_not_authorized'),
  pm_bacsDebit_insufficientFunds: bacs('22222227', 'insufficient_funds'),
  pm_bacsDebit_insufficientFundsDelayed: bacs('92222227', 'insufficient_funds'),
  pm_bacsDebit_dispute: bacs('55555559', 'disputed'),
  pm_bacsDebit_exceedsWeeklyLimit: bacs('34343434', 'charge_exceeds_source_limit'),
  pm_bacsDebit_exceedsTransactionLimit: bacs('12121212', 'charge_exceeds_transaction_limit'),
  ...sepa,
  pm_sepaDebit: debit('sepa_debit', 'DE89370400440532013000', 'succeeds', 'DE'),
};
