import { testDebits } from './test-debits.js';

/**
 * Stripe's test payment methods and what each does. {@link https://docs.stripe.com/testing}
 */

export interface Decline {
  code: string;
  decline_code?: string;
  message: string;
  advice_code?: string;
}

export interface TestMethod {
  type: 'card' | 'us_bank_account' | 'sepa_debit' | 'au_becs_debit' | 'bacs_debit';
  brand?: string;
  last4: string;
  funding?: 'credit' | 'debit' | 'prepaid';
  country?: string;
  /** Card number, for those who send one. */
  number?: string;
  decline?: Decline;
  /** The decline comes only with a charge; attaching and setting up succeed. */
  declinesOnlyCharges?: boolean;
  /** Needs the customer: on every payment, or unless it was set up for later use. */
  authentication?: 'always' | 'unless_set_up';
  /** A dispute follows the success. */
  dispute?: 'fraudulent' | 'product_not_received' | 'inquiry';
  /** `refund` stays pending for a while, or fails after success. */
  refund?: 'pending' | 'fails';
  /** Funds are available at once. */
  bypassPending?: boolean;
  /** Bank debits end so, days later; `never` stays in processing. */
  debit?: 'succeeds' | 'fails' | 'disputed' | 'never';
  debitFailure?: Decline;
  /** The failure also ends the mandate: there is no such account, or the customer says that they never agreed. */
  endsMandate?: boolean;
}

const declined = (
  decline_code: string,
  message = 'Your card was declined.',
  code = 'card_declined',
  advice = 'try_again_later',
): Decline => ({
  code,
  ...(code === 'card_declined' && { decline_code }),
  message,
  advice_code: advice,
});
const generic = declined('generic_decline');
const insufficient = declined('insufficient_funds', 'Your card has insufficient funds.');
const lost = declined('lost_card', 'Your card was declined.', 'card_declined', 'do_not_try_again');
const stolen = declined('stolen_card', 'Your card was declined.', 'card_declined', 'do_not_try_again');
const fraudulent = declined('fraudulent', 'Your card was declined.', 'card_declined', 'do_not_try_again');
const expired: Decline = {
  code: 'expired_card',
  decline_code: 'expired_card',
  message: 'Your card has expired.',
  advice_code: 'confirm_card_data',
};
const badCvc: Decline = {
  code: 'incorrect_cvc',
  decline_code: 'incorrect_cvc',
  message: "Your card's security code is incorrect.",
  advice_code: 'confirm_card_data',
};
const processing: Decline = {
  code: 'processing_error',
  decline_code: 'processing_error',
  message: 'An error occurred while processing your card. Try again in a little bit.',
  advice_code: 'try_again_later',
};

/** What a bank may come to say of a card that it let through before. {@link https://docs.stripe.com/declines/codes} */
export const declineCodes = [
  'card_velocity_exceeded',
  'do_not_honor',
  'expired_card',
  'fraudulent',
  'generic_decline',
  'incorrect_cvc',
  'insufficient_funds',
  'lost_card',
  'pickup_card',
  'processing_error',
  'restricted_card',
  'revocation_of_all_authorizations',
  'stolen_card',
  'transaction_not_allowed',
] as const;

const ownDeclines: Partial<Record<(typeof declineCodes)[number], Decline>> = {
  expired_card: expired,
  fraudulent,
  generic_decline: generic,
  incorrect_cvc: badCvc,
  insufficient_funds: insufficient,
  lost_card: lost,
  pickup_card: declined('pickup_card', 'Your card was declined.', 'card_declined', 'do_not_try_again'),
  processing_error: processing,
  revocation_of_all_authorizations: declined(
    'revocation_of_all_authorizations',
    'Your card was declined.',
    'card_declined',
    'do_not_try_again',
  ),
  stolen_card: stolen,
};

/** The decline with this code. */
export function declineOf(code: (typeof declineCodes)[number]): Decline {
  return ownDeclines[code] ?? declined(code);
}

const card = (last4: string, more: Partial<TestMethod> = {}): TestMethod => ({
  type: 'card',
  brand: 'visa',
  funding: 'credit',
  country: 'US',
  last4,
  ...more,
});

const methods: Record<string, TestMethod> = {
  pm_card_visa: card('4242', { number: '4242424242424242' }),
  pm_card_visa_debit: card('5556', { number: '4000056655665556', funding: 'debit' }),
  pm_card_mastercard: card('4444', { brand: 'mastercard', number: '5555555555554444' }),
  pm_card_mastercard_debit: card('8210', { brand: 'mastercard', funding: 'debit', number: '5200828282828210' }),
  pm_card_mastercard_prepaid: card('5100', { brand: 'mastercard', funding: 'prepaid', number: '5105105105105100' }),
  pm_card_amex: card('0005', { brand: 'amex', number: '378282246310005' }),
  pm_card_discover: card('1117', { brand: 'discover', number: '6011111111111117' }),
  pm_card_diners: card('0004', { brand: 'diners', number: '3056930009020004' }),
  pm_card_jcb: card('0505', { brand: 'jcb', number: '3566002020360505' }),
  pm_card_unionpay: card('0005', { brand: 'unionpay', number: '6200000000000005' }),
  pm_card_us: card('4242'),
  pm_card_gb: card('0000', { country: 'GB', number: '4000008260000000' }),
  pm_card_de: card('0016', { country: 'DE', number: '4000002760000016' }),
  pm_card_au: card('0006', { country: 'AU', number: '4000000360000006' }),
  pm_card_jp: card('0003', { country: 'JP', number: '4000003920000003' }),
  pm_card_chargeDeclined: card('0002', { decline: generic, number: '4000000000000002' }),
  pm_card_visa_chargeDeclined: card('0002', { decline: generic }),
  pm_card_chargeDeclinedInsufficientFunds: card('9995', { decline: insufficient, number: '4000000000009995' }),
  pm_card_visa_chargeDeclinedInsufficientFunds: card('9995', { decline: insufficient }),
  pm_card_chargeDeclinedLostCard: card('9987', { decline: lost, number: '4000000000009987' }),
  pm_card_visa_chargeDeclinedLostCard: card('9987', { decline: lost }),
  pm_card_chargeDeclinedStolenCard: card('9979', { decline: stolen, number: '4000000000009979' }),
  pm_card_visa_chargeDeclinedStolenCard: card('9979', { decline: stolen }),
  pm_card_chargeDeclinedFraudulent: card('0019', {
    decline: fraudulent,
    number: '4100000000000019',
  }),
  pm_card_chargeDeclinedExpiredCard: card('0069', { decline: expired, number: '4000000000000069' }),
  pm_card_chargeDeclinedIncorrectCvc: card('0127', { decline: badCvc, number: '4000000000000127' }),
  pm_card_chargeDeclinedProcessingError: card('0119', { decline: processing, number: '4000000000000119' }),
  pm_card_visa_chargeDeclinedVelocityLimitExceeded: card('6975', {
    decline: declined(
      'card_velocity_exceeded',
      'Your card was declined for making repeated attempts too frequently or exceeding its amount limit.',
    ),
    number: '4000000000006975',
  }),
  pm_card_chargeCustomerFail: card('0341', { decline: generic, declinesOnlyCharges: true, number: '4000000000000341' }),
  pm_card_threeDSecure2Required: card('3220', { authentication: 'always', number: '4000000000003220' }),
  pm_card_threeDSecureRequired: card('3063', { authentication: 'always', number: '4000000000003063' }),
  pm_card_threeDSecureOptional: card('3055', { number: '4000000000003055' }),
  pm_card_authenticationRequired: card('3184', { authentication: 'always', country: 'DE', number: '4000002760003184' }),
  pm_card_authenticationRequiredOnSetup: card('3155', {
    authentication: 'unless_set_up',
    country: 'IE',
    number: '4000002500003155',
  }),
  pm_card_authenticationRequiredSetupForOffSession: card('3178', { country: 'IE', number: '4000003800000446' }),
  pm_card_authenticationRequiredChargeDeclinedInsufficientFunds: card('3178', {
    authentication: 'always',
    decline: insufficient,
    declinesOnlyCharges: true,
    number: '4000008260003178',
  }),
  pm_card_threeDSecureRequiredChargeDeclined: card('8408', {
    authentication: 'always',
    decline: generic,
    declinesOnlyCharges: true,
    number: '4000008400001629',
  }),
  pm_card_createDispute: card('0259', { dispute: 'fraudulent', number: '4000000000000259' }),
  pm_card_createDisputeProductNotReceived: card('2685', {
    dispute: 'product_not_received',
    number: '4000000000002685',
  }),
  pm_card_createDisputeInquiry: card('1976', { dispute: 'inquiry', number: '4000000000001976' }),
  pm_card_pendingRefund: card('7726', { refund: 'pending', number: '4000000000007726' }),
  pm_card_refundFail: card('5126', { refund: 'fails', number: '4000000000005126' }),
  pm_card_bypassPending: card('0077', { bypassPending: true, number: '4000000000000077' }),
  ...testDebits,
};

/** The test method of this name (`pm_card_…`, or a token `tok_…` of the same ending); undefined when there is none. */
export function testMethod(name: string): { name: string; method: TestMethod } | undefined {
  const key = name.startsWith('tok_') ? `pm_card_${name.slice(4)}` : name;
  const method = Object.hasOwn(methods, key) ? methods[key] : undefined;
  return method && { name: key, method };
}

/** The test method behind a card or account number; a number nobody knows behaves like the first of its type. */
export function testMethodByNumber(type: TestMethod['type'], number: string): { name: string; method: TestMethod } {
  const digits = number.replace(/[\s-]/g, '');
  const entries = Object.entries(methods).filter(([, method]) => method.type === type);
  const [name, method] = entries.find(([, candidate]) => candidate.number === digits) ?? entries[0]!;
  return { name, method: method.number === digits ? method : { ...method, last4: digits.slice(-4) } };
}
