import { setTimeout as sleep } from 'node:timers/promises';
import Stripe from 'stripe';
import { type Logger } from '../shared/logger.js';
import { type CircuitBreaker } from './circuit-breaker.js';
import { callTrace, type CallTrace } from './http-client.js';
import { stripeFailure, unclear, type StripeFailure } from './stripe-errors.js';
import { type AccountId, type Keyed } from './types.js';

/** What all connections of one service share. */
export interface Wire {
  readonly sdk: Stripe;
  readonly breaker: CircuitBreaker;
  readonly livemode: boolean;
  /** How long a call may take with all its tries, in milliseconds. */
  readonly budgetMs: number;
  /** The first pause before our own next try, in milliseconds; doubled each time. */
  readonly retryPauseMs: number;
  readonly logger: Pick<Logger, 'debug' | 'warn' | 'error'>;
}

/** What must be true of an answer for it to be the answer to the question. */
export interface Expected {
  /** The `object` of the answer: `payment_intent`, `list`. Left out where Stripe names none. */
  readonly object?: string;
  /** What the id must begin with. */
  readonly prefix?: string;
  /** Fields that must come back as they were sent. Those left `undefined` were not sent. */
  readonly echo?: Readonly<Record<string, unknown>>;
}

const ownTries = 4;
const longestPauseMs = 4_000;

/**
 * The way to Stripe for one account, or for the platform itself. Every call of this folder goes through `read` or `change`: they
 * retry what may be retried, check what came back, and turn every failure into a {@link StripeFailure}.
 */
export class Connection {
  constructor(
    readonly wire: Wire,
    /** Null for the platform's own calls. */
    readonly account: AccountId | null,
  ) {}

  get sdk(): Stripe {
    return this.wire.sdk;
  }

  /** A call that changes nothing. */
  read<T extends object>(expected: Expected, send: (options: Stripe.RequestOptions) => Promise<T>): Promise<T> {
    return this.call(expected, false, this.options(), send);
  }

  /** A call that changes something, under an idempotency key that is the same for every try. */
  change<T extends object>(
    expected: Expected,
    { key }: Keyed,
    send: (options: Stripe.RequestOptions) => Promise<T>,
  ): Promise<T> {
    return this.call(expected, true, { ...this.options(), idempotencyKey: key }, send);
  }

  private options(): Stripe.RequestOptions {
    return this.account ? { stripeAccount: this.account } : {};
  }

  private async call<T extends object>(
    expected: Expected,
    changes: boolean,
    options: Stripe.RequestOptions,
    send: (options: Stripe.RequestOptions) => Promise<T>,
  ): Promise<T> {
    const trace: CallTrace = { deadline: performance.now() + this.wire.budgetMs, unsettled: false };
    for (let tries = 1; ; tries += 1) {
      try {
        if (this.wire.breaker.holds) throw new Error('Stripe is down; nothing is sent for the moment.');
        const answer = await callTrace.run(trace, () => send({ ...options }));
        this.check(answer, expected, { changes, trace });
        return answer;
      } catch (error) {
        const failure = stripeFailure(error, { changes, unsettled: trace.unsettled });
        const pause = this.pauseBefore(tries, error);
        const mayTryAgain = tries < ownTries && isWorthAnotherTry(error) && performance.now() + pause < trace.deadline;
        if (!mayTryAgain) {
          this.log(failure, error, expected);
          throw failure;
        }
        await sleep(pause);
      }
    }
  }

  /** Doubled each time, half of it at random, so that callers refused together do not come back together. */
  private pauseBefore(tries: number, error: unknown): number {
    const asked = Number((error as Stripe.errors.StripeError | null)?.headers?.['retry-after']) * 1_000;
    const full = Math.min(this.wire.retryPauseMs * 2 ** (tries - 1), longestPauseMs);
    return Math.max(full * (0.5 + Math.random() / 2), asked || 0);
  }

  /** The SDK takes any JSON without an `error` for success, whatever it is and whoever sent it. */
  private check(answer: unknown, expected: Expected, { changes, trace }: { changes: boolean; trace: CallTrace }): void {
    const got = (answer ?? {}) as Record<string, unknown>;
    if (!hasShape(got, expected)) {
      trace.unsettled = true;
      throw new UnreadableAnswer(`The answer is no ${expected.object ?? 'object'}.`);
    }
    // v1 accounts and lists carry no mode of their own.
    const livemode = 'livemode' in got ? this.wire.livemode : undefined;
    const wrong = Object.entries({ livemode, ...expected.echo }).find(
      ([name, sent]) => sent !== undefined && !isEcho(got[name], sent),
    );
    if (!wrong) return;
    trace.unsettled = true;
    const facts = { stripeRequestId: (got.lastResponse as { requestId?: string } | undefined)?.requestId };
    throw unclear(
      new Error(`Stripe answered with another ${wrong[0]} than was asked for.`),
      { changes, unsettled: true },
      facts,
    );
  }

  private log(failure: StripeFailure, cause: unknown, expected: Expected): void {
    const line = {
      account: this.account,
      object: expected.object,
      code: failure.code,
      sent: failure.sent,
      ...failure.facts,
      reason: cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause),
    };
    // A key of ours that Stripe does not take stops all business until somebody changes it.
    if (cause instanceof Stripe.errors.StripeAuthenticationError)
      this.wire.logger.error(line, 'Stripe refuses our key');
    else if (failure.isTransient) this.wire.logger.warn(line, 'Stripe call failed');
    else this.wire.logger.debug(line, 'Stripe refused');
  }
}

/** Something arrived, but not what Stripe would have sent. */
class UnreadableAnswer extends Error {
  override readonly name = 'UnreadableAnswer';
}

/**
 * What the SDK gives up on although the same key makes another try safe: 429 without Stripe's header, a body cut off or not JSON, and
 * a first call under the key that is still running.
 */
function isWorthAnotherTry(error: unknown): boolean {
  const { errors } = Stripe;
  if (
    error instanceof UnreadableAnswer ||
    error instanceof errors.StripeRateLimitError ||
    error instanceof errors.RateLimitError
  )
    return true;
  if (error instanceof errors.StripeConnectionError) return isBodyFailure(error.detail);
  return error instanceof errors.StripeAPIError && (!error.statusCode || error.statusCode === 409);
}

/** The SDK does not export the class of a failure after the headers; it is the one that wraps the failure of the stream. */
function isBodyFailure(detail: unknown): boolean {
  return detail instanceof Error && 'exception' in detail;
}

function hasShape(got: Record<string, unknown>, { object, prefix }: Expected): boolean {
  // v2 lists name no object of their own.
  if (object === 'list')
    return Array.isArray(got.data) && (typeof got.has_more === 'boolean' || 'next_page_url' in got);
  if (object !== undefined && got.object !== object) return false;
  return prefix === undefined || (typeof got.id === 'string' && got.id.startsWith(prefix));
}

/** References come back as an id or, expanded, as an object with that id; metadata may hold more than was sent. */
function isEcho(got: unknown, sent: unknown): boolean {
  if (sent !== null && typeof sent === 'object')
    return Object.entries(sent).every(([name, value]) => (got as Record<string, unknown> | null)?.[name] === value);
  return got === sent || (got as { id?: unknown } | null)?.id === sent || (sent === null && got === undefined);
}
