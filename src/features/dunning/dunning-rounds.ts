import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../../db/database.js';
import { Commands } from '../../jobs/commands/commands.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Clock } from '../../shared/clock.js';
import { failpoint } from '../../shared/failpoint.js';
import { type Logger } from '../../shared/logger.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type PayLinks } from '../pay-page/pay-links.js';
import { askAfter } from './decline-codes.js';
import { attempt, bringAboutEnd, endKey, isForLater, type Result } from './dunning-attempt.js';
import { closeCase, stepKey } from './dunning-cases.js';
import { DunningState } from './dunning-case.entity.js';
import { type Facts, factsOf, holdCase } from './dunning-facts.js';
import { mailNotice } from './dunning-mail.js';
import { dueStep, endStep, replanAfter, type Step } from './dunning-steps.js';

export interface DunningParts {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly payLinks: PayLinks;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** A case that is due, held by this process for a while. */
interface Visit {
  readonly tenantId: Uuid;
  readonly id: Uuid;
  readonly token: Uuid;
}

/** Longer than a command waits for another process, and for Stripe. */
const leaseSeconds = 180;
/** How many cases one look takes, and are worked on side by side. */
const batch = 4;
const minute = 60_000;

/**
 * Carries out the steps of dunning that are due, of all tenants. Any number of processes may do so at once: a case is leased to one of them, and
 * who loses its lease can write nothing any more; what is asked of Stripe goes out under a key made of case and step, so that also a process that
 * comes back from the dead asks for the same thing and not for another.
 */
export class DunningRounds implements ScheduledJob {
  readonly name = 'dunning';
  readonly description = 'Tries again to collect what failed, and tells the customers.';
  readonly cron = '* * * * *';

  constructor(private readonly parts: DunningParts) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    while (!signal.aborted) {
      const visits = await this.claim();
      if (visits.length === 0) return;
      failpoint('dunning.after-claim');
      await Promise.all(visits.map((visit) => this.visit(visit)));
    }
  }

  private claim(): Promise<Visit[]> {
    const { database, clock } = this.parts;
    return database.worker((em) =>
      em.execute<Visit[]>(
        `update dunning_cases k set lease_token = ?, lease_until = now() + interval '${leaseSeconds} seconds', visits = visits + 1
         from (
           select tenant_id, id from dunning_cases
           where livemode = ? and next_at <= ? and (lease_until is null or lease_until < now())
           order by next_at limit ${batch} for update skip locked
         ) due
         where k.tenant_id = due.tenant_id and k.id = due.id
         returning k.tenant_id as "tenantId", k.id, k.lease_token as token`,
        [newUuid(), database.livemode, clock.now()],
      ),
    );
  }

  private async visit(visit: Visit): Promise<void> {
    const { database, stripe, logger } = this.parts;
    const db = database.tenant(visit.tenantId);
    try {
      const begun = await db.transaction((em) => this.begin(em, visit));
      if (!begun) return;
      const { facts, step } = begun;
      // How long ago Stripe was asked goes by PostgreSQL's time, as in recovery.
      const commands = new Commands(db, stripe, { logger });
      const result =
        step.kind === 'END' ? await bringAboutEnd(commands, facts) : await attempt(commands, facts, step.number);
      failpoint('dunning.after-attempt');
      await db.transaction((em) => this.finish(em, visit, step, result));
      failpoint('dunning.after-record');
    } catch (error) {
      logger.error(
        { err: error, tenantId: visit.tenantId, caseId: visit.id },
        'A step of dunning cannot be carried out',
      );
      // When even this cannot be written, the lease runs out by itself.
      await db.transaction((em) => this.putOff(em, visit)).catch(() => undefined);
    }
  }

  /** Looks whether there is still something to do, under lock. @returns what has to be asked of Stripe; null when nothing has */
  private async begin(em: EntityManager, visit: Visit): Promise<{ facts: Facts; step: Step } | null> {
    if (!(await holdCase(em, visit.id, visit.token))) return null;
    const facts = await factsOf(em, visit.id);
    const step = await dueStep(em, visit.id);
    const now = this.parts.clock.now();
    if (step?.outcome === 'RUNNING') {
      // What was asked for is brought to its end, whatever became of the case: nobody else knows what came of it. What was not is left.
      const isOver = facts.state !== DunningState.OPEN || facts.reason !== null;
      if (!isOver || (await isAskedFor(em, visit.id, step))) return { facts, step };
      await this.settle(em, visit, facts, step, { outcome: 'SKIPPED', declineCode: null });
      return null;
    }
    if (facts.state !== DunningState.OPEN || !step) await this.release(em, visit, null);
    else if (facts.reason !== null) await this.close(em, visit, facts.reason);
    else if (step.at > now) await this.release(em, visit, step.at);
    else if (facts.processing) await this.release(em, visit, this.later(6 * 60 * minute));
    // Who questions a payment of this very invoice with the bank is not asked for the rest meanwhile.
    else if (facts.disputed) await this.release(em, visit, this.later(24 * 60 * minute));
    // The bank's reason decides what the notice says. It comes by another event.
    else if (step.kind === 'NOTICE' && facts.failure === null && +now - +facts.openedAt < 10 * minute)
      await this.release(em, visit, this.later(minute));
    else return this.beginStep(em, visit, facts, step);
    return null;
  }

  private async beginStep(em: EntityManager, visit: Visit, facts: Facts, step: Step) {
    if (step.kind === 'NOTICE') {
      await this.settle(em, visit, facts, step, { outcome: 'DONE', declineCode: facts.failure });
      return null;
    }
    const isBlocked = facts.blockedMethod !== null && (facts.method ?? '') === facts.blockedMethod;
    if (step.kind === 'RETRY' && isBlocked) {
      // What is known of this method, not what came of another one that its payer tried by hand.
      const declineCode = facts.declineCode ?? facts.failure;
      await this.settle(em, visit, facts, step, { outcome: 'METHOD_NEEDED', declineCode });
      return null;
    }
    await em.execute(`update dunning_steps set outcome = 'RUNNING' where id = ?`, [step.id]);
    await em.execute('update dunning_cases set ending = ending or ? where id = ?', [step.kind === 'END', visit.id]);
    return { facts, step };
  }

  /** Writes down what came of what was asked of Stripe, once: the row is held, and still leased to this visit. */
  private async finish(em: EntityManager, visit: Visit, step: Step, result: Result): Promise<void> {
    if (!(await holdCase(em, visit.id, visit.token))) return;
    const facts = await factsOf(em, visit.id);
    if (result.outcome === 'AGAIN' && !(await isGivenUp(em, visit.id, step))) {
      await this.release(em, visit, this.later(minute));
      return;
    }
    const outcome = result.outcome === 'AGAIN' ? 'FAILED' : result.outcome;
    const isOver = facts.state !== DunningState.OPEN || facts.reason !== null;
    // Stripe has it that there is no more reason for the end, and we have not heard of that yet: the news decides what the case comes to.
    if (step.kind === 'END' && outcome === 'SKIPPED' && !isOver) {
      await this.release(em, visit, this.later(minute));
      return;
    }
    await this.settle(em, visit, facts, step, { ...result, outcome });
  }

  /** Ends a step: what came of it, the mail that belongs to it, and when the next one is due. */
  private async settle(em: EntityManager, visit: Visit, facts: Facts, step: Step, result: Result): Promise<void> {
    const now = this.parts.clock.now();
    const { outcome, declineCode } = result;
    await endStep(em, step.id, { ...result, now });
    if (outcome === 'PAID' || facts.reason !== null || facts.state !== DunningState.OPEN) {
      await this.close(em, visit, outcome === 'PAID' ? 'RECOVERED' : facts.reason);
      return;
    }
    await replanAfter(em, visit.id, step, now, facts.timeZone);
    const next = await dueStep(em, visit.id);
    const tells = outcome !== 'PROCESSING' && outcome !== 'SKIPPED' && outcome !== 'FAILED';
    // After the last retry the last notice follows at once, and says all.
    if (step.kind === 'END' || (tells && next?.kind !== 'END'))
      await mailNotice(em, { facts, step, next, declineCode, payLinks: this.parts.payLinks });
    if (step.kind === 'END') {
      await this.close(em, visit, 'LOST');
      return;
    }
    if (outcome !== 'PROCESSING' && outcome !== 'SKIPPED') await this.learn(em, facts, declineCode, step);
    const pause = outcome === 'PROCESSING' || outcome === 'SKIPPED' ? this.later(6 * 60 * minute) : null;
    await this.release(em, visit, next && new Date(Math.max(+next.at, +(pause ?? 0))));
  }

  /** Which method will never work. A decline that may pass takes nothing back: it says that the method changed. */
  private async learn(em: EntityManager, facts: Facts, declineCode: string | null, { kind }: Step): Promise<void> {
    const isHard = askAfter(declineCode) !== null;
    // What Stripe itself tried is told by its payment; what we tried is what there was to try.
    const declined = (kind === 'RETRY' ? facts.method : (facts.failedMethod ?? facts.method)) ?? '';
    await em.execute(
      'update dunning_cases set decline_code = coalesce(?, decline_code), blocked_method = ? where id = ?',
      [...[declineCode, isHard ? declined : null, facts.id]],
    );
  }

  private async close(em: EntityManager, visit: Visit, end: Parameters<typeof closeCase>[2] | null): Promise<void> {
    if (end !== null) await closeCase(em, visit.id, end);
    await this.release(em, visit, null);
  }

  private async release(em: EntityManager, { id, token }: Visit, nextAt: Date | null): Promise<void> {
    await em.execute(
      `update dunning_cases set next_at = ?, lease_token = null, lease_until = null, failures = 0, failing_since = null
       where id = ? and lease_token = ?`,
      [nextAt, id, token],
    );
  }

  /** Lets a case wait whose step cannot be carried out: five minutes, ten, twenty … at most six hours. The others go on meanwhile. */
  private async putOff(em: EntityManager, { id, token }: Visit): Promise<void> {
    const now = this.parts.clock.now();
    await em.execute(
      `update dunning_cases set failures = failures + 1, failing_since = coalesce(failing_since, ?::timestamptz),
         next_at = ?::timestamptz + least(5 * 2 ^ least(failures, 10), 360) * interval '1 minute', lease_token = null, lease_until = null
       where id = ? and lease_token = ?`,
      [now, now, id, token],
    );
  }

  private later(ms: number): Date {
    return new Date(+this.parts.clock.now() + ms);
  }
}

/**
 * Whether the command of a step was given up because nobody could say any more whether it was carried out: then it never will be. One that has
 * come to another end meanwhile tells so when it is asked for again.
 */
async function isGivenUp(em: EntityManager, caseId: Uuid, step: Step): Promise<boolean> {
  const [command] = await em.execute<{ code: string }[]>(
    `select outcome #>> '{error,code}' as code from commands where idempotency_key = ? and state = 'FAILED'`,
    [commandKey(caseId, step)],
  );
  return command !== undefined && isForLater(command.code);
}

/** Whether there is a command of a step. A worker may have died before, or Stripe may have turned it away: then nothing was done. */
async function isAskedFor(em: EntityManager, caseId: Uuid, step: Step): Promise<boolean> {
  const key = commandKey(caseId, step);
  const found = await em.execute<object[]>('select id from commands where idempotency_key = ?', [key]);
  return found.length > 0;
}

function commandKey(caseId: Uuid, { kind, number }: Step): string {
  return kind === 'END' ? endKey(caseId) : stepKey(caseId, number);
}
