import { registerEnumType } from 'type-graphql';

/** Why a payment failed, in groups that call for something different. */
export enum DeclineReason {
  FUNDS = 'FUNDS',
  EXPIRED = 'EXPIRED',
  AUTHENTICATION = 'AUTHENTICATION',
  DETAILS = 'DETAILS',
  METHOD_GONE = 'METHOD_GONE',
  NOT_SUPPORTED = 'NOT_SUPPORTED',
  SUSPECTED_FRAUD = 'SUSPECTED_FRAUD',
  TEMPORARY = 'TEMPORARY',
  BANK_REFUSED = 'BANK_REFUSED',
  OTHER = 'OTHER',
}
registerEnumType(DeclineReason, {
  name: 'DeclineReason',
  description: "Why a payment failed: Stripe's codes, in groups.",
  valuesConfig: {
    FUNDS: { description: 'Not enough money, or over a limit. Another day may do.' },
    EXPIRED: { description: 'The card has expired.' },
    AUTHENTICATION: { description: 'The payer has to confirm, or failed to.' },
    DETAILS: { description: 'A number, code or address is wrong.' },
    METHOD_GONE: { description: 'Lost, stolen, closed or withdrawn: it will never work again.' },
    NOT_SUPPORTED: { description: 'The card or account does not do this kind of payment.' },
    SUSPECTED_FRAUD: { description: 'Stripe or the bank thinks that it is not the owner.' },
    TEMPORARY: { description: 'Something did not work; the same may work in a minute.' },
    BANK_REFUSED: { description: 'The bank refused and does not say why.' },
    OTHER: { description: 'A code that is not known here.' },
  },
});

/** https://docs.stripe.com/declines/codes, https://docs.stripe.com/error-codes */
const codes: Readonly<Record<Exclude<DeclineReason, DeclineReason.OTHER>, readonly string[]>> = {
  FUNDS: ['insufficient_funds', 'card_velocity_exceeded', 'withdrawal_count_limit_exceeded', 'balance_insufficient'],
  EXPIRED: ['expired_card'],
  AUTHENTICATION: [
    ...['authentication_required', 'authentication_not_handled', 'payment_intent_authentication_failure'],
    ...[
      'invoice_payment_intent_requires_action',
      'offline_pin_required',
      'online_or_offline_pin_required',
      'mobile_device_authentication_required',
    ],
  ],
  DETAILS: [
    ...['incorrect_number', 'invalid_number', 'incorrect_cvc', 'invalid_cvc', 'incorrect_zip', 'incorrect_address'],
    ...[
      'incorrect_pin',
      'invalid_pin',
      'invalid_expiry_month',
      'invalid_expiry_year',
      'pin_try_exceeded',
      'invalid_account',
    ],
  ],
  METHOD_GONE: [
    ...[
      'lost_card',
      'stolen_card',
      'pickup_card',
      'account_closed',
      'no_account',
      'bank_account_restricted',
      'debit_not_authorized',
    ],
    ...[
      'revocation_of_authorization',
      'revocation_of_all_authorizations',
      'stop_payment_order',
      'new_account_information_available',
    ],
  ],
  NOT_SUPPORTED: [
    ...['card_not_supported', 'currency_not_supported', 'not_permitted', 'restricted_card', 'service_not_allowed'],
    ...['transaction_not_allowed', 'invalid_amount', 'testmode_decline', 'live_mode_test_card'],
  ],
  SUSPECTED_FRAUD: [
    'fraudulent',
    'merchant_blacklist',
    'security_violation',
    'highest_risk_level',
    'elevated_risk_level',
    'duplicate_transaction',
  ],
  TEMPORARY: [
    'processing_error',
    'issuer_not_available',
    'try_again_later',
    'reenter_transaction',
    'approve_with_id',
    'payment_intent_payment_attempt_expired',
  ],
  BANK_REFUSED: [
    'do_not_honor',
    'generic_decline',
    'call_issuer',
    'card_declined',
    'no_action_taken',
    'do_not_try_again',
    'bank_account_declined',
  ],
};

const reasonByCode = new Map(
  Object.entries(codes).flatMap(([reason, list]) => list.map((code) => [code, reason as DeclineReason] as const)),
);

/** The bank's own code says more than Stripe's. */
export function declineReason(code: string, declineCode: string | null): DeclineReason {
  return reasonByCode.get(declineCode ?? '') ?? reasonByCode.get(code) ?? DeclineReason.OTHER;
}
