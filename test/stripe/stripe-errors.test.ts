import Stripe from 'stripe';
import { errorCodes } from '../../src/shared/errors.js';
import { stripeFailure, StripeFailure } from '../../src/stripe/stripe-errors.js';
import { anIntent } from './fake-stripe.js';

const { errors } = Stripe;
const change = { changes: true, unsettled: false };
const lost = { changes: true, unsettled: true };

function refusedWith(statusCode: number, raw: Record<string, unknown>) {
  return stripeFailure(errors.StripeError.generate({ message: 'No.', statusCode, requestId: 'req_1', ...raw }), change);
}

test('every error class of the SDK becomes one of our codes, and tells what may have happened', () => {
  const classes = Object.values(errors).filter(
    (one): one is typeof errors.StripeError => typeof one === 'function' && one.prototype instanceof errors.StripeError,
  );
  expect(classes.length).toBeGreaterThan(25);
  const table = classes.map((Class) => {
    const failure = stripeFailure(new Class({ message: 'No.', requestId: 'req_1' }), lost);
    expect(errorCodes).toContain(failure.code);
    expect(failure.extensions).toMatchObject({ code: failure.code });
    return [Class.name, `${failure.code} ${failure.outcome}`];
  });
  const named = Object.fromEntries(table) as Record<string, string>;
  const expected: Record<string, string> = {
    StripeCardError: 'CARD_DECLINED refused',
    StripeInvalidRequestError: 'STRIPE_REJECTED refused',
    StripeAPIError: 'OUTCOME_UNKNOWN unknown',
    StripeAuthenticationError: 'STRIPE_UNAVAILABLE refused',
    StripePermissionError: 'STRIPE_REJECTED refused',
    StripeRateLimitError: 'RATE_LIMITED refused',
    StripeConnectionError: 'OUTCOME_UNKNOWN unknown',
    StripeIdempotencyError: 'IDEMPOTENCY_CONFLICT unknown',
    RateLimitError: 'RATE_LIMITED refused',
    AlreadyCanceledError: 'INVALID_STATE refused',
    NotCancelableError: 'INVALID_STATE refused',
  };
  for (const [name, outcome] of Object.entries(named))
    expect([name, outcome]).toEqual([name, expected[name] ?? 'STRIPE_REJECTED refused']);
});

test.each([
  [400, { code: 'amount_too_large', param: 'amount' }, 'AMOUNT_TOO_LARGE', 'amount'],
  [400, { code: 'amount_too_small', param: 'amount' }, 'BAD_USER_INPUT', 'amount'],
  [400, { code: 'parameter_invalid_integer', param: 'amount' }, 'BAD_USER_INPUT', 'amount'],
  [400, { param: 'currency' }, 'BAD_USER_INPUT', 'currency'],
  [404, { code: 'resource_missing', param: 'payment_method' }, 'NOT_FOUND', 'paymentMethod'],
  [400, { code: 'parameter_unknown', param: 'payment_method_types[0]' }, 'STRIPE_REJECTED', 'paymentMethodTypes'],
  [400, { code: 'payment_intent_unexpected_state' }, 'INVALID_STATE', undefined],
  [402, { type: 'card_error', code: 'card_declined', decline_code: 'insufficient_funds' }, 'CARD_DECLINED', undefined],
  [402, { type: 'card_error', code: 'authentication_required' }, 'PAYMENT_ACTION_REQUIRED', undefined],
  [403, { code: 'account_invalid' }, 'ACCOUNT_DISCONNECTED', undefined],
  [403, {}, 'STRIPE_REJECTED', undefined],
  [401, {}, 'STRIPE_UNAVAILABLE', undefined],
])('%i with %p is %s', (status, raw, code, field) => {
  const failure = refusedWith(status, raw);
  expect(failure).toMatchObject({ code, outcome: 'refused', sent: 'refused' });
  expect(failure.extensions).toMatchObject({ code, stripeRequestId: 'req_1', ...(field && { field }) });
  expect(failure.facts.field).toBe(field);
});

test('a decline comes with the issuer’s reason and the intent that was declined', () => {
  const failure = refusedWith(402, {
    type: 'card_error',
    code: 'card_declined',
    decline_code: 'lost_card',
    message: 'Your card was declined.',
    payment_intent: anIntent({ last_payment_error: { code: 'card_declined', decline_code: 'lost_card' } }),
  });
  expect(failure.message).toBe('Your card was declined.');
  expect(failure.facts).toMatchObject({ stripeCode: 'card_declined', declineCode: 'lost_card' });
  expect(failure.intent).toMatchObject({ id: 'pi_1', lastError: { declineCode: 'lost_card' } });
  // The client learns nothing but this: the intent holds its secret.
  expect(JSON.stringify(failure)).not.toContain('secret');
});

test.each([401, 403])('what Stripe says about our key with %i does not reach the client', (status) => {
  const failure = refusedWith(status, { message: 'Invalid API Key provided: sk_test_canary' });
  expect(JSON.stringify(failure)).not.toContain('sk_test');
});

test('nothing that looks like a key reaches the client from any refusal', () => {
  const failure = refusedWith(400, { message: 'Do not send sk_live_canary here' });
  expect(failure.message).toBe('Do not send [key] here');
});

test('a failure that was translated once stays what it is', () => {
  const failure = new StripeFailure('CARD_DECLINED', 'No.', 'refused');
  expect(stripeFailure(failure, lost)).toBe(failure);
});
