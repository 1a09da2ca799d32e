import Stripe from 'stripe';
import { AppError, type ErrorCode, type ErrorDetails } from '../shared/errors.js';
import { intentReport, type IntentReport } from './reports.js';
import { type SetupIntent } from './types.js';

const { errors } = Stripe;

/**
 * How far a failed call got.
 * - `never`: not one byte reached Stripe.
 * - `refused`: Stripe answered, and the answer was no.
 * - `maybe`: the answer is missing or unreadable; what was asked for may have happened.
 */
export type Sent = 'never' | 'refused' | 'maybe';

/**
 * A call to Stripe that failed, under one of our codes.
 *
 * `outcome` is what a command acts on: after `refused` it may be closed as failed; after `unknown` it stays open until the
 * object was looked up or the same key was sent again. A decline is `refused`, although the intent that was declined exists:
 * it comes with the failure.
 */
export class StripeFailure extends AppError {
  /** The intent as the failed try left it, where Stripe sent it along. */
  readonly intent: IntentReport | null;
  readonly setupIntent: SetupIntent | null;

  constructor(
    code: ErrorCode,
    message: string,
    readonly sent: Sent,
    readonly facts: ErrorDetails & { readonly stripeCode?: string; readonly declineCode?: string } = {},
    options: { cause?: unknown; intent?: IntentReport | null; setupIntent?: SetupIntent | null } = {},
  ) {
    super(code, message, facts, options);
    this.name = 'StripeFailure';
    this.intent = options.intent ?? null;
    this.setupIntent = options.setupIntent ?? null;
  }

  get outcome(): 'refused' | 'unknown' {
    return this.sent === 'maybe' ? 'unknown' : 'refused';
  }

  /** Whether Stripe answered with an error of its own: under this key it would only be repeated. */
  get isKeySpent(): boolean {
    const cause = this.originalError;
    return this.sent === 'maybe' && cause instanceof errors.StripeAPIError && cause.statusCode === 500;
  }

  /** Whether the same call with the same key may succeed later, without anybody changing anything. */
  get isTransient(): boolean {
    return transient.has(this.code);
  }
}

/** Whether Stripe is down, slow or refuses to be asked so often: nothing is wrong with what was asked about. */
export function isOutage(error: unknown): boolean {
  return error instanceof StripeFailure && error.isTransient;
}

const transient = new Set<ErrorCode>(['RATE_LIMITED', 'STRIPE_UNAVAILABLE', 'OUTCOME_UNKNOWN']);

/** Stripe's code → ours, where it says more than "rejected". https://docs.stripe.com/error-codes */
const byStripeCode: Readonly<Record<string, { code: ErrorCode; field?: string }>> = {
  amount_too_large: { code: 'AMOUNT_TOO_LARGE', field: 'amount' },
  amount_too_small: { code: 'BAD_USER_INPUT', field: 'amount' },
  parameter_invalid_integer: { code: 'BAD_USER_INPUT' },
  parameter_invalid_empty: { code: 'BAD_USER_INPUT' },
  parameter_invalid_string_empty: { code: 'BAD_USER_INPUT' },
  email_invalid: { code: 'BAD_USER_INPUT', field: 'email' },
  country_unsupported: { code: 'BAD_USER_INPUT', field: 'country' },
  country_code_invalid: { code: 'BAD_USER_INPUT', field: 'country' },
  invalid_currency: { code: 'BAD_USER_INPUT', field: 'currency' },
  resource_missing: { code: 'NOT_FOUND' },
  payment_intent_unexpected_state: { code: 'INVALID_STATE' },
  payment_intent_incompatible_payment_method: { code: 'INVALID_STATE' },
  payment_method_unexpected_state: { code: 'INVALID_STATE' },
  setup_intent_unexpected_state: { code: 'INVALID_STATE' },
  charge_already_captured: { code: 'INVALID_STATE' },
  charge_already_refunded: { code: 'INVALID_STATE' },
  charge_disputed: { code: 'INVALID_STATE' },
  charge_expired_for_capture: { code: 'INVALID_STATE' },
  invoice_not_editable: { code: 'INVALID_STATE' },
  intent_invalid_state: { code: 'INVALID_STATE' },
  resource_already_exists: { code: 'CONFLICT' },
  testmode_charges_only: { code: 'TENANT_NOT_READY' },
  account_invalid: { code: 'ACCOUNT_DISCONNECTED' },
  account_closed: { code: 'ACCOUNT_DISCONNECTED' },
  // Our key, not the tenant's doing.
  api_key_expired: { code: 'STRIPE_UNAVAILABLE' },
  platform_api_key_expired: { code: 'STRIPE_UNAVAILABLE' },
  secret_key_required: { code: 'STRIPE_UNAVAILABLE' },
  livemode_mismatch: { code: 'STRIPE_UNAVAILABLE' },
};

/** Parameters whose value a client chose: a refusal of one is the client's to mend. */
const clientParams = new Set(['amount', 'currency', 'email', 'country', 'amount_to_capture', 'quantity']);

/** What this server, not Stripe, has to say: Stripe's own words would name keys and accounts. */
const ownWords = {
  unavailable: 'Stripe cannot be reached at the moment. Nothing was changed.',
  unknown: 'Stripe did not answer clearly. What was asked for may or may not have happened; it is being found out.',
  disconnected: 'The Stripe account is not connected to this platform any more.',
  limited: 'Too many requests to Stripe at the moment.',
  missing: 'Stripe has no such object on this account.',
  conflict: 'This request was sent to Stripe before with other parameters.',
} as const;

/** How a call stood when it failed. */
export interface CallState {
  /** Whether it was to change something. A read that failed changed nothing, whatever happened to it. */
  readonly changes: boolean;
  /** Whether some try of it may have reached Stripe, and got no answer that settles what became of it. */
  readonly unsettled: boolean;
}

/** Any failure of a call → ours. Complete over the SDK's error classes: a test holds it against all of them. */
export function stripeFailure(error: unknown, call: CallState): StripeFailure {
  if (error instanceof StripeFailure) return error;
  if (error instanceof errors.StripeError) return ofStripe(error, call);
  return unclear(error, call, {});
}

/** The answer is missing or makes no sense: for a change that may have reached Stripe an open question, else just an outage. */
export function unclear(cause: unknown, call: CallState, facts: StripeFailure['facts']): StripeFailure {
  return call.changes && call.unsettled
    ? new StripeFailure('OUTCOME_UNKNOWN', ownWords.unknown, 'maybe', facts, { cause })
    : new StripeFailure('STRIPE_UNAVAILABLE', ownWords.unavailable, 'never', facts, { cause });
}

function ofStripe(error: Stripe.errors.StripeError, call: CallState): StripeFailure {
  const facts = factsOf(error);
  const no = (code: ErrorCode, message: string, more: { field?: string } = {}) =>
    new StripeFailure(code, message, 'refused', { ...facts, ...more }, evidenceOf(error));

  if (error instanceof errors.StripeConnectionError) return unclear(error, call, facts);
  // These three refuse a request before its idempotency key is looked at: they say nothing about an earlier try under it.
  if (call.changes && call.unsettled && comesBeforeTheKey(error)) return unclear(error, call, facts);
  if (error instanceof errors.StripeRateLimitError || error instanceof errors.RateLimitError)
    return no('RATE_LIMITED', ownWords.limited);
  if (error instanceof errors.StripeIdempotencyError)
    // The call before this one, under the same key, may have done anything.
    return new StripeFailure('IDEMPOTENCY_CONFLICT', ownWords.conflict, call.changes ? 'maybe' : 'refused', facts, {
      cause: error,
    });
  if (error instanceof errors.StripeCardError)
    return error.code === 'authentication_required'
      ? no('PAYMENT_ACTION_REQUIRED', publicMessage(error))
      : no('CARD_DECLINED', publicMessage(error));
  if (error instanceof errors.StripeAuthenticationError) return no('STRIPE_UNAVAILABLE', ownWords.unavailable);
  if (error instanceof errors.NotCancelableError || error instanceof errors.AlreadyCanceledError)
    return no('INVALID_STATE', publicMessage(error));
  if (error instanceof errors.StripeAPIError && !isAnswer(error.statusCode)) return unclear(error, call, facts);

  const known = byStripeCode[error.code ?? ''];
  const field = known?.field ?? fieldOf(error.param);
  if (known?.code === 'ACCOUNT_DISCONNECTED') return no(known.code, ownWords.disconnected);
  if (known?.code === 'STRIPE_UNAVAILABLE') return no(known.code, ownWords.unavailable);
  // Stripe says when an id is one of another account; nobody may learn that here.
  if (known?.code === 'NOT_FOUND') return no(known.code, ownWords.missing, field ? { field } : {});
  if (known) return no(known.code, publicMessage(error), field ? { field } : {});
  if (error instanceof errors.StripePermissionError) return no('STRIPE_REJECTED', 'Stripe does not permit this.');
  if (clientParams.has(error.param ?? '')) return no('BAD_USER_INPUT', publicMessage(error), { field });
  return no('STRIPE_REJECTED', publicMessage(error), field ? { field } : {});
}

/** Without a status nothing readable came back; 409 means that the first call under this key is still running. */
function isAnswer(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 409;
}

function comesBeforeTheKey(error: Stripe.errors.StripeError): boolean {
  return error.statusCode === 401 || error.statusCode === 403 || error.statusCode === 429;
}

function factsOf(error: Stripe.errors.StripeError): StripeFailure['facts'] {
  return {
    ...(error.requestId && { stripeRequestId: error.requestId }),
    ...(error.code && { stripeCode: error.code }),
    ...(error.decline_code && { declineCode: error.decline_code }),
  };
}

function evidenceOf(error: Stripe.errors.StripeError) {
  return {
    cause: error,
    intent: intentOf(error),
    setupIntent: error.setup_intent ?? null,
  };
}

/** An intent that cannot be read must not hide the refusal that it came with. */
function intentOf({ payment_intent: intent }: Stripe.errors.StripeError): IntentReport | null {
  try {
    return intent ? intentReport(intent) : null;
  } catch {
    return null;
  }
}

/** Stripe's parameter as a field of ours: `payment_method` → `paymentMethod`, `items[0][price]` → `items`. */
function fieldOf(param: string | undefined): string | undefined {
  return param?.replace(/\[.*$/, '').replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/** Stripe's own words, which for a card are written for the payer; without anything that looks like a key. */
function publicMessage(error: Stripe.errors.StripeError): string {
  const words = error.userMessage ?? error.message;
  return words ? words.replace(/\b(sk|rk|pk|whsec)_\S+/g, '[key]') : 'Stripe refused this.';
}
