/**
 * What to ask a customer for after a decline that no retry mends. `METHOD`: another method. `CONFIRMATION`: the payer's consent, in person.
 */
export type Ask = 'METHOD' | 'CONFIRMATION';

/**
 * Declines that are not tried again with the same method, by Stripe's decline code, or by its error code where there is none of the bank's.
 * The first group is what Stripe's own retries leave alone (https://docs.stripe.com/billing/revenue-recovery/smart-retries); the second is
 * where its guide says that only another method, or other details of it, will do (https://docs.stripe.com/declines/codes). Networks charge
 * for retries after some of them. `do_not_honor` and all that is not listed here is a bank's mood or an empty account: soft.
 */
const hardDeclines: Readonly<Record<string, Ask>> = {
  authentication_required: 'CONFIRMATION',
  highest_risk_level: 'METHOD',
  incorrect_number: 'METHOD',
  lost_card: 'METHOD',
  pickup_card: 'METHOD',
  revocation_of_all_authorizations: 'METHOD',
  revocation_of_authorization: 'METHOD',
  stolen_card: 'METHOD',
  transaction_not_allowed: 'METHOD',

  account_closed: 'METHOD',
  bank_account_restricted: 'METHOD',
  card_not_supported: 'METHOD',
  currency_not_supported: 'METHOD',
  debit_not_authorized: 'METHOD',
  do_not_try_again: 'METHOD',
  expired_card: 'METHOD',
  fraudulent: 'METHOD',
  incorrect_cvc: 'METHOD',
  invalid_account: 'METHOD',
  invalid_cvc: 'METHOD',
  invalid_expiry_month: 'METHOD',
  invalid_expiry_year: 'METHOD',
  invalid_number: 'METHOD',
  invoice_payment_intent_requires_action: 'CONFIRMATION',
  merchant_blacklist: 'METHOD',
  no_account: 'METHOD',
  not_permitted: 'METHOD',
  restricted_card: 'METHOD',
  security_violation: 'METHOD',
  service_not_allowed: 'METHOD',
  stop_payment_order: 'METHOD',
};

/** What a decline calls for instead of a retry; null when it may be tried again. */
export function askAfter(code: string | null): Ask | null {
  return code === null ? null : (hardDeclines[code] ?? null);
}
