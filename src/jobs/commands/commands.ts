import { setTimeout as sleep } from 'node:timers/promises';
import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { together, withNext } from '../../db/together.js';
import { type Clock, systemClock } from '../../shared/clock.js';
import { AppError } from '../../shared/errors.js';
import { failpoint } from '../../shared/failpoint.js';
import { type Logger } from '../../shared/logger.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId, stripeKey } from '../../stripe/types.js';
import { paramsHash } from './canonical.js';
import { Command } from './command.entity.js';
import {
  claimCommand,
  closeCommand,
  type CommandEnd,
  errorOf,
  holdCommand,
  insertCommand,
  LostLease,
  postponeCommand,
} from './command-store.js';
import { type CommandKind, isSystemKey, type Outcome, type Running } from './kind.js';

export interface CommandSettings {
  /** How long a command belongs to the process that works on it. Longer than its calls to Stripe can take: 90,000 ms. */
  readonly leaseMs: number;
  /** How long to wait for somebody else who works on the same command: 10,000 ms. */
  readonly patienceMs: number;
  /** Up to which age Stripe surely still knows a key: 23 hours. It promises 24. */
  readonly keyLifeMs: number;
  /** Pause before an open command is looked into again; doubled each time, up to ten minutes: 2,000 ms. */
  readonly retryMs: number;
  readonly clock: Clock;
  readonly logger?: Pick<Logger, 'info' | 'warn' | 'error'>;
}

export const commandDefaults: CommandSettings = {
  leaseMs: 90_000,
  patienceMs: 10_000,
  keyLifeMs: 23 * 3_600_000,
  retryMs: 2_000,
  clock: systemClock,
};

const longestPauseMs = 600_000;

/** What a caller asks for. */
export interface CommandRequest<Params extends object> {
  /** The same key and parameters are the same request, however often they are sent. Null where repeating is harmless. */
  readonly idempotencyKey: string | null;
  readonly params: Params;
  /** Who asks: the subject of the verified token. */
  readonly actor: string;
}

/** A command that is done. */
export interface Done<Report> {
  readonly command: Command;
  readonly outcome: Outcome;
  /** What Stripe said just now; null when the answer of an earlier call is repeated. Never stored: it may hold secrets. */
  readonly report: Report | null;
}

/** What Stripe said. `read` when we looked it up: with the version that our row had just before. */
interface Said<Report> {
  readonly report: Report;
  readonly read: { readonly version: string | null } | null;
}

/**
 * Changes something at Stripe so that a crash between any two steps leaves nothing doubled and nothing lost:
 * the rows and the command are committed, then Stripe is asked under a key made from the command, then what it said is committed. What is cut
 * off in between is finished by {@link CommandRecovery}, or by the next caller with the same key. Two transactions, each of two round trips
 * where a kind asks for all that it needs at once: one that asks, and one that writes and commits.
 */
export class Commands {
  private readonly settings: CommandSettings;

  constructor(
    readonly db: TenantDb,
    private readonly stripe: StripeService,
    settings: Partial<CommandSettings> = {},
  ) {
    this.settings = { ...commandDefaults, ...settings };
  }

  /**
   * Carries a command out, or repeats the answer that its key was given before.
   * @throws AppError what the kind's checks say, with nothing written · IDEMPOTENCY_CONFLICT for a key with other parameters ·
   *   CONFLICT while another call with the key does not come to an end · what Stripe refused with, the same for every repetition ·
   *   STRIPE_UNAVAILABLE, RATE_LIMITED when surely nothing was done, and the key may be used again · OUTCOME_UNKNOWN when it may have been done
   */
  async run<Params extends object, Plan extends object, Report>(
    kind: CommandKind<Params, Plan, Report>,
    request: CommandRequest<Params>,
  ): Promise<Done<Report>> {
    const hash = paramsHash(request.params);
    const { leaseMs, patienceMs } = this.settings;
    const deadline = performance.now() + patienceMs;
    for (let tries = 0; ; tries += 1) {
      failpoint('command.before-insert');
      const command = await this.db.transaction(async (em) => {
        const wanted = { ...request, kind: kind.name, paramsHash: hash, leaseToken: newUuid(), leaseMs };
        const [inserted, facts] = await together(
          em,
          () => insertCommand(em, this.db, wanted),
          async () => kind.look?.(em, request.params),
        );
        if (!inserted) return null;
        inserted.params = { ...(await kind.prepare(em, request.params, inserted, facts)) } as Record<string, unknown>;
        await withNext(em);
        return inserted;
      });
      if (command) {
        failpoint('command.after-insert');
        return this.send(kind, this.running<Plan>(command), true);
      }
      const earlier = await this.earlier(kind, request.idempotencyKey!, hash);
      if (earlier) return earlier;
      if (performance.now() > deadline)
        throw new AppError('CONFLICT', 'Another request with this idempotency key is still being carried out.');
      await sleep(Math.min(50 * 2 ** tries, 500));
    }
  }

  /**
   * Finishes a command that was cut off: looks at Stripe for what it made, and sends it again only while that is safe. The caller holds
   * the lease of this command.
   * @throws AppError as {@link run}
   */
  async resume<Plan extends object, Report>(
    kind: CommandKind<object, Plan, Report>,
    command: Command,
  ): Promise<Done<Report>> {
    const running = this.running<Plan>(command);
    const version = await this.versionOf(kind, running);
    let found: Report | null;
    try {
      found = await kind.find(running);
    } catch (error) {
      // What became of it, nobody will hear from there any more.
      throw error instanceof StripeFailure && error.code === 'ACCOUNT_DISCONNECTED'
        ? await this.reject(kind, running, error, { isFirst: false, releaseKey: false })
        : await this.postpone(kind, running, error);
    }
    failpoint('command.after-find');
    if (found !== null) return this.finish(kind, running, found, { version });
    // It goes out under a new key, for which to Stripe it is another request: not before the earlier one has surely come to its end.
    if (command.keySpentAt && this.settings.clock.now().getTime() - +command.keySpentAt < this.settings.leaseMs)
      throw await this.postpone(kind, running, new StripeFailure('OUTCOME_UNKNOWN', 'Stripe failed at this.', 'maybe'));
    const age = this.settings.clock.now().getTime() - (command.sentAt?.getTime() ?? 0);
    if (kind.isRepeatable || age < this.settings.keyLifeMs) return this.send(kind, running, false);
    // Stripe may have forgotten the key, so sending again could do it twice; but it is certain that it was not done.
    const expired = new StripeFailure('STRIPE_UNAVAILABLE', 'Stripe never carried this out.', 'never');
    throw await this.reject(kind, running, expired, { isFirst: false, releaseKey: false });
  }

  private running<Plan extends object>(command: Command): Running<Plan> {
    const stripe = this.stripe.forAccount(command.stripeAccountId as AccountId);
    return { command, plan: command.params as Plan, stripe, platform: this.stripe, db: this.db, commands: this };
  }

  /** What became of the command with this key; null when somebody else is at it, or it has just given its key back. */
  private async earlier<Plan extends object, Report>(
    kind: CommandKind<never, Plan, Report>,
    idempotencyKey: string,
    hash: Buffer,
  ): Promise<Done<Report> | null> {
    const { leaseMs } = this.settings;
    const { found, claimed } = await this.db.transaction(async (em) => {
      const found = await em.findOne(Command, { idempotencyKey }, { disableIdentityMap: true });
      const isOpen = found?.kind === kind.name && hash.equals(found.paramsHash) && !found.finishedAt;
      return { found, claimed: isOpen ? await claimCommand(em, found.id, newUuid(), leaseMs) : null };
    });
    if (!found) return null;
    if (found.kind !== kind.name || !hash.equals(found.paramsHash)) {
      const message = 'This idempotency key was used for another request. Use a new key for each request.';
      throw new AppError('IDEMPOTENCY_CONFLICT', message, { field: 'input.idempotencyKey' });
    }
    if (found.state === 'SUCCEEDED') return { command: found, outcome: found.outcome as Outcome, report: null };
    if (found.state === 'FAILED') throw errorOf(found);
    return claimed && this.resume(kind, claimed);
  }

  private async send<Plan extends object, Report>(
    kind: CommandKind<never, Plan, Report>,
    running: Running<Plan>,
    isFirst: boolean,
  ): Promise<Done<Report>> {
    let report: Report;
    let isAsked = false;
    try {
      await this.requireReason(kind, running);
      isAsked = true;
      report = await kind.send(running, keyOf(running.command, kind.name));
    } catch (error) {
      // A later try that reached nobody, or was turned away at the door, says nothing about an earlier one.
      const isSettled =
        error instanceof StripeFailure && error.outcome === 'refused' && (isFirst || !error.isTransient);
      throw isSettled
        ? await this.reject(kind, running, error, { isFirst, releaseKey: error.isTransient })
        : await this.postpone(kind, running, error, isAsked);
    }
    failpoint('command.after-stripe');
    return this.finish(kind, running, report, null);
  }

  /**
   * What is not needed any more is not sent. It was looked up before this, and Stripe has not got it; but a try that nobody answered may still
   * be on its way there, for as long as one can take.
   */
  private async requireReason<Plan extends object>(
    kind: CommandKind<never, Plan, unknown>,
    running: Running<Plan>,
  ): Promise<void> {
    if (!(await kind.isNeedless?.(running))) return;
    const { unansweredAt } = running.command;
    const { clock, leaseMs } = this.settings;
    if (unansweredAt && clock.now().getTime() - +unansweredAt < leaseMs)
      throw new StripeFailure('OUTCOME_UNKNOWN', 'An earlier try may still be on its way.', 'maybe');
    throw new StripeFailure('INVALID_STATE', 'There is no more reason for this.', 'never', { isNeedless: true });
  }

  private async finish<Plan extends object, Report>(
    kind: CommandKind<never, Plan, Report>,
    running: Running<Plan>,
    report: Report,
    read: Said<Report>['read'],
  ): Promise<Done<Report>> {
    const { command } = running;
    let applied: Outcome | AppError | 'again' = 'again';
    try {
      for (let said: Said<Report> = { report, read }; applied === 'again';) {
        applied = await this.twice((em) => this.apply(em, kind, running, said));
        if (applied !== 'again') break;
        const version = await this.versionOf(kind, running);
        const found = await kind.find(running);
        if (found === null) throw new Error('Stripe has nothing of what it reported.');
        said = { report: found, read: { version } };
      }
    } catch (error) {
      throw await this.postpone(kind, running, error);
    }
    failpoint('command.after-apply');
    if (applied instanceof AppError) throw applied;
    return { command, outcome: applied, report };
  }

  /** What Stripe said and the end of the command, in one transaction. */
  private async apply<Plan extends object, Report>(
    em: EntityManager,
    kind: CommandKind<never, Plan, Report>,
    running: Running<Plan>,
    { report, read }: Said<Report>,
  ): Promise<Outcome | AppError | 'again'> {
    const applied = await this.whileHeld(em, running, async () => {
      if (read && kind.version && (await kind.version(em, running)) !== read.version) return 'again';
      return kind.apply(em, running, report, read !== null);
    });
    failpoint('command.in-apply');
    if (applied === 'again') return applied;
    const end: CommandEnd =
      applied instanceof AppError
        ? { state: 'FAILED', error: applied, releaseKey: false }
        : { state: 'SUCCEEDED', outcome: applied };
    await withNext(em, () => closeCommand(em, running.command, { ...end, plan: keptOf(kind, running.plan) }));
    return applied;
  }

  /** What a command's end changes, once it is certain that nobody else brings it about. @throws LostLease what was done must not be kept */
  private async whileHeld<T>(em: EntityManager, { command }: Running<object>, work: () => Promise<T>): Promise<T> {
    const [isHeld, done] = await together(em, () => holdCommand(em, command), work);
    if (!isHeld) throw new LostLease('The command was taken over.');
    return done;
  }

  private async reject<Plan extends object>(
    kind: CommandKind<never, Plan, unknown>,
    running: Running<Plan>,
    failure: StripeFailure,
    { isFirst, releaseKey }: { readonly isFirst: boolean; readonly releaseKey: boolean },
  ): Promise<AppError> {
    const { command, plan } = running;
    try {
      return await this.twice(async (em) => {
        const details = await this.whileHeld(em, running, () => kind.reject(em, running, failure, isFirst));
        failpoint('command.in-apply');
        const error = explained(failure, details ?? {});
        const release = releaseKey || isSystemKey(command.idempotencyKey);
        const end: CommandEnd = { state: 'FAILED', error, releaseKey: release };
        await withNext(em, () => closeCommand(em, command, { ...end, plan: keptOf(kind, plan) }));
        return error;
      });
    } catch (cause) {
      return this.postpone(kind, running, cause);
    }
  }

  /**
   * Leaves the command open for recovery; what its caller is told is that we do not know.
   * @param isUnanswered whether it may still be on its way to Stripe
   */
  private async postpone<Plan extends object>(
    kind: CommandKind<never, Plan, unknown>,
    { command }: Running<Plan>,
    cause: unknown,
    isUnanswered = false,
  ): Promise<AppError> {
    const { logger, retryMs } = this.settings;
    const delayMs = Math.min(retryMs * 2 ** (command.attempts - 1), longestPauseMs);
    const about = { commandId: command.id, kind: kind.name, attempts: command.attempts };
    const level = cause instanceof StripeFailure || cause instanceof LostLease ? 'warn' : 'error';
    logger?.[level]({ ...about, tenantId: this.db.tenantId, err: cause }, 'A command is left open');
    // When even this cannot be written, the lease runs out by itself.
    const isKeySpent = cause instanceof StripeFailure && cause.isKeySpent;
    const postponement = { delayMs, isKeySpent, isUnanswered };
    await this.db.transaction((em) => postponeCommand(em, command, postponement)).catch(() => undefined);
    const message = 'It is not known yet whether this was done; it is being found out. Ask again with the same key.';
    const facts = cause instanceof StripeFailure ? cause.facts : {};
    const { stripeRequestId } = facts;
    const details = { commandId: command.id, ...kind.details?.(command), ...(stripeRequestId && { stripeRequestId }) };
    return new AppError('OUTCOME_UNKNOWN', message, details, { cause });
  }

  private async versionOf<Plan extends object>(
    kind: CommandKind<never, Plan, unknown>,
    running: Running<Plan>,
  ): Promise<string | null> {
    return kind.version ? this.db.transaction((em) => kind.version!(em, running)) : null;
  }

  /** Stripe has done its part: a deadlock or a connection that broke is worth another try before this is left to recovery. */
  private async twice<T>(work: (em: EntityManager) => Promise<T>): Promise<T> {
    try {
      return await this.db.transaction(work);
    } catch (error) {
      if (error instanceof LostLease || error instanceof AppError) throw error;
      await sleep(50);
      return this.db.transaction(work);
    }
  }
}

/** Stripe's key of a command. Another one after Stripe failed under it, which it would only repeat. */
function keyOf({ id, keyGeneration }: Command, kind: string): string {
  const key = stripeKey(id, kind);
  return keyGeneration === 0 ? key : `${key}:${keyGeneration}`;
}

/** Stripe's refusal as the caller sees it: its field is one of the input. */
function explained(failure: StripeFailure, more: Readonly<Record<string, string>>): AppError {
  const { code, message, facts } = failure;
  const { field, ...rest } = facts;
  const details = { ...more, ...rest, ...(field && { field: `input.${field}` }) };
  return new AppError(code, message, details, { cause: failure });
}

function keptOf<Plan extends object>(kind: Pick<CommandKind<never, Plan, unknown>, 'keep'>, plan: Plan): object {
  return kind.keep ? kind.keep(plan) : plan;
}

/** Takes over one command for a process that recovers; the lease is its proof. @returns null when it was not leased to this token */
export async function leasedCommand(db: TenantDb, id: Uuid, leaseToken: Uuid): Promise<Command | null> {
  return db.transaction((em) => em.findOne(Command, { id, leaseToken, finishedAt: null }));
}
