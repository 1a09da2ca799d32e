import { GraphQLError } from 'graphql';

/** The closed list of `extensions.code`. Clients switch on it, so a value is added rarely and removed never. */
export const errorCodes = [
  'BAD_USER_INPUT',
  'UNAUTHENTICATED',
  'FORBIDDEN',
  'NOT_FOUND',
  'CONFLICT',
  'IDEMPOTENCY_CONFLICT',
  'TENANT_NOT_READY',
  'ACCOUNT_DISCONNECTED',
  'CARD_DECLINED',
  'PAYMENT_ACTION_REQUIRED',
  'INVALID_STATE',
  'AMOUNT_TOO_LARGE',
  'RATE_LIMITED',
  'QUERY_TOO_COMPLEX',
  'STRIPE_REJECTED',
  'STRIPE_UNAVAILABLE',
  'OUTCOME_UNKNOWN',
  'INTERNAL',
] as const;

export type ErrorCode = (typeof errorCodes)[number];

/** What may accompany a code. Everything here reaches the client: nothing secret, nothing of another tenant. */
export interface ErrorDetails {
  /** The input at fault, as a path from the arguments: `input.amount`. */
  readonly field?: string;
  /** Stripe's request id (`req_…`), to be quoted to Stripe's support. */
  readonly stripeRequestId?: string;
  readonly [detail: string]: unknown;
}

/**
 * A failure that its caller is meant to see. Anything else that is thrown is a bug: logged in full, and masked as
 * `INTERNAL` for the client.
 *
 * @example throw new AppError('BAD_USER_INPUT', 'The amount must be at least 1.', { field: 'input.amount' });
 */
export class AppError extends GraphQLError {
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details: ErrorDetails = {},
    options: { cause?: unknown } = {},
  ) {
    super(message, { extensions: { ...details, code }, originalError: toError(options.cause) });
    this.name = 'AppError';
  }
}

/** @throws AppError BAD_USER_INPUT naming the field at fault */
export function badInput(field: string, message: string): AppError {
  return new AppError('BAD_USER_INPUT', message, { field });
}

/** The same answer for "does not exist" and "is not yours": an id of another tenant must not be recognisable. */
export function notFound(what: string, field?: string): AppError {
  return new AppError('NOT_FOUND', `There is no such ${what}.`, field ? { field } : {});
}

/** Makes the compiler refuse a switch that forgets a case, and the program stop at one that the types did not foresee. */
export function assertUnreachable(value: never): never {
  throw new Error(`Unforeseen value: ${String(value)}`);
}

function toError(cause: unknown): Error | undefined {
  return cause instanceof Error ? cause : undefined;
}
