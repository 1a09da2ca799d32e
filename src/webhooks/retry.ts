import { AppError } from '../shared/errors.js';
import { isOutage } from '../stripe/stripe-errors.js';

export interface RetryPolicy {
  /** Milliseconds before the second try; doubled with each one after it. */
  readonly firstMs: number;
  /** The longest pause, in milliseconds. */
  readonly longestMs: number;
  /** The longest pause while Stripe is not available, so that the backlog drains soon after it is back. */
  readonly outageMs: number;
  /** Tries after which an event is given up. An outage of Stripe's never counts against it. */
  readonly attempts: number;
}

/** Fifteen tries spread over about an hour and a half. */
export const defaultRetryPolicy: RetryPolicy = { firstMs: 1_000, longestMs: 900_000, outageMs: 15_000, attempts: 15 };

/**
 * When to try again, in milliseconds from now; null for never. Half of each pause is chance, so that what failed together does not come back
 * together.
 * @param attempts tries that failed before this one
 */
export function retryAfter(policy: RetryPolicy, attempts: number, error: unknown): number | null {
  const outage = isOutage(error);
  if (!outage && attempts + 1 >= policy.attempts) return null;
  const pause = Math.min(policy.firstMs * 2 ** Math.min(attempts, 30), outage ? policy.outageMs : policy.longestMs);
  return pause * (0.5 + Math.random() / 2);
}

/**
 * PostgreSQL is away or shutting down, as opposed to refusing what was asked of it: the events are left alone until it is back.
 * Classes 08 connection, 53 resources, 57 operator intervention. https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
export function isDatabaseOutage(error: unknown): boolean {
  for (let cause: unknown = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as { code?: unknown };
    if (typeof code === 'string' && /^(08|53|57P)...?$|^(ECONN|EPIPE|ETIMEDOUT|ENOTFOUND|EHOSTUNREACH)/.test(code))
      return true;
    if (
      /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying to connect|Query read timeout)/.test(
        cause.message,
      )
    )
      return true;
  }
  return false;
}

/** What may be shown with the event: our own words in full, of a bug only its kind. The log has the rest. */
export function reasonOf(error: unknown): string {
  if (error instanceof AppError) return `${error.code}: ${error.message}`;
  return `INTERNAL: ${error instanceof Error ? error.name : 'not an error'}`;
}
