import { type Database } from '../../db/database.js';
import { AccountRounds, type Visit } from '../../jobs/account-rounds.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { DriftService } from './drift.service.js';

export interface DriftJobSettings {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds between two checks of one account: a day. */
  readonly everyMs?: number;
}

const day = 86_400_000;
/** Two days back each day: nothing that one check missed is out of sight of the next. */
const daysBack = 2;

/** Compares every tenant with Stripe once a day, and changes nothing. What differs is for somebody to look at. */
export class DriftJob implements ScheduledJob {
  readonly name = 'drift-check';
  readonly description = 'Compares each account with Stripe once a day, and changes nothing.';
  /** Looks for accounts whose day is over. */
  readonly cron = '*/10 * * * *';
  private readonly rounds: AccountRounds;

  constructor(private readonly settings: DriftJobSettings) {
    this.rounds = new AccountRounds(settings.database, 'drift_due_at');
  }

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await this.due(signal);
  }

  /** Checks every account that is due, as long as Stripe is there. @returns how many were visited */
  async due(signal: AbortSignal): Promise<number> {
    let visited = 0;
    for (let visit = await this.next(signal); visit; visit = await this.next(signal)) {
      await this.visit(visit, signal);
      visited += 1;
    }
    return visited;
  }

  private async next(signal: AbortSignal): Promise<Visit | null> {
    // What is sure to fail is not begun.
    return signal.aborted || !this.settings.stripe.isAvailable ? null : this.rounds.next();
  }

  private async visit(visit: Visit, signal: AbortSignal): Promise<void> {
    const { database, logger, everyMs = day } = this.settings;
    const renewing = setInterval(() => void this.rounds.renew(visit).catch(() => undefined), 30_000);
    try {
      const drift = new DriftService({ ...this.settings, db: database.tenant(visit.tenantId!), actor: 'drift check' });
      const { isComplete } = await drift.run({ dryRun: true, days: daysBack, withinMs: 600_000, signal });
      if (isComplete || this.settings.stripe.isAvailable) await this.rounds.done(visit, { againMs: everyMs });
      else await this.rounds.failed(visit, Math.min(everyMs, 60_000), 'Stripe is down.');
    } catch (error) {
      logger.warn({ err: error, account: visit.accountId }, 'An account could not be compared with Stripe');
      await this.rounds.failed(visit, Math.min(everyMs, 3_600_000), 'It could not be compared.');
    } finally {
      clearInterval(renewing);
    }
  }
}
