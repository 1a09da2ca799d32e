import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { type AppError, badInput } from '../../shared/errors.js';
import { type AccountStripe } from '../../stripe/account-stripe.js';
import { type StripeFailure } from '../../stripe/stripe-errors.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type Command } from './command.entity.js';
import { type Commands } from './commands.js';

/** A command on its way, as its kind sees it. */
export interface Running<Plan extends object> {
  readonly command: Command;
  /** What {@link CommandKind.prepare} decided to send. The same for every try. */
  readonly plan: Plan;
  /** Stripe as the account of the command sees it. */
  readonly stripe: AccountStripe;
  /** Stripe as the platform sees it: for the accounts themselves. */
  readonly platform: StripeService;
  readonly db: TenantDb;
  /** For a command that needs another one done first. */
  readonly commands: Commands;
}

/** Ids of ours and Stripe's that are answered again to the same key. Never a secret. */
export type Outcome = Readonly<Record<string, string | null>>;

/**
 * One kind of change at Stripe, in the steps that make it survive a crash between any two of them. Plain objects: a process that starts
 * tomorrow must be able to finish what one of today began.
 *
 * @typeParam Params what the client asked for
 * @typeParam Plan what will be sent, worked out once and stored: Stripe wants the same parameters under the same key
 * @typeParam Report what Stripe said about it
 * @typeParam Facts what is known when it is prepared
 */
export interface CommandKind<Params extends object, Plan extends object, Report, Facts = unknown> {
  /** Stored with the command: never rename one that is in use. `payments.create` */
  readonly name: string;

  /**
   * Reads, and locks, what {@link prepare} needs, in the round trip that writes the command down, after it. Judges nothing: the key may turn out
   * to be taken, and the answer to be another one.
   */
  look?(em: EntityManager, params: Params): Promise<Facts>;

  /**
   * Checks the request and inserts the rows it makes, in one transaction with the command. Sets the command's `subjectId` and
   * `stripeAccountId`. Whatever it throws leaves nothing behind, the key included.
   */
  prepare(em: EntityManager, params: Params, command: Command, facts: Facts): Promise<Plan>;

  /**
   * Asks Stripe. No transaction is open.
   * @param key Stripe's idempotency key of this command
   * @throws StripeFailure
   */
  send(running: Running<Plan>, key: string): Promise<Report>;

  /**
   * Whether the reason for it is gone. Asked right before it is sent, the first time and each further one; what is sent again was looked up
   * just before. May ask Stripe. Without this a command is sent whatever has happened since it was written down.
   */
  isNeedless?(running: Running<Plan>): Promise<boolean>;

  /** What Stripe has of it; null only when it is certain that Stripe has nothing. */
  find(running: Running<Plan>): Promise<Report | null>;

  /**
   * Takes over what Stripe said, through the same code as the webhook.
   * @param fetched whether it was read from Stripe, and no row has changed since
   * @returns what to answer; an error when what Stripe did is one for the caller (a decline); `again` when the report cannot be put in
   *   order with what is already known, so that it must be read again
   */
  apply(
    em: EntityManager,
    running: Running<Plan>,
    report: Report,
    fetched: boolean,
  ): Promise<Outcome | AppError | 'again'>;

  /**
   * Closes the rows of a command that Stripe refused, or that surely never happened.
   * @param isSettledAtOnce whether the caller is being told now, and nobody was told before that it is not known
   * @returns what the caller is told besides: the ids of rows that stay
   */
  reject(
    em: EntityManager,
    running: Running<Plan>,
    failure: StripeFailure,
    isSettledAtOnce: boolean,
  ): Promise<Readonly<Record<string, string>> | void>;

  /** Locks what a report changes, and says which version of it this is. Needed where `apply` can answer `again`. */
  version?(em: EntityManager, running: Running<Plan>): Promise<string | null>;

  /** Told with the news that the outcome is not known: `{ paymentId }`. */
  details?(command: Command): Readonly<Record<string, string>>;

  /** What of the plan is kept when the command is closed; all of it without this. For plans that hold personal data. */
  keep?(plan: Plan): object;

  /** Whether doing it twice is the same as doing it once, so that it may be sent again at any time. */
  readonly isRepeatable?: boolean;
}

/** Any kind, for tables of them. */
export type AnyCommandKind = CommandKind<object, object, unknown>;

/** Keys of commands that nobody asked for by name; clients cannot take them. */
const systemPrefix = 'system:';

/** @example systemKey('stripe-customer', 'acct_1', '42') */
export function systemKey(...parts: string[]): string {
  return systemPrefix + parts.join(':');
}

export function isSystemKey(key: string | null): boolean {
  return key?.startsWith(systemPrefix) ?? false;
}

/**
 * Checks a key that a client sent.
 * @throws AppError BAD_USER_INPUT
 */
export function clientKey(key: string, field = 'input.idempotencyKey'): string {
  if (key.length === 0 || key.length > 255) throw badInput(field, 'An idempotency key has 1 to 255 characters.');
  // PostgreSQL's text cannot hold a NUL.
  if (key.includes('\0')) throw badInput(field, 'An idempotency key holds no NUL character.');
  if (isSystemKey(key)) throw badInput(field, `Keys beginning with "${systemPrefix}" are the server's own.`);
  return key;
}
