import { type Database } from '../../db/database.js';
import { AccountRounds, type Visit } from '../../jobs/account-rounds.js';
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
export class DriftJob {
  private readonly rounds: AccountRounds;
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<unknown> | null = null;
  private readonly stopping = new AbortController();

  constructor(private readonly settings: DriftJobSettings) {
    this.rounds = new AccountRounds(settings.database, 'drift_due_at');
  }

  start(): void {
    const tick = () => {
      this.running ??= this.due()
        .catch((error: unknown) => this.settings.logger.error({ err: error }, 'The drift check could not run'))
        .finally(() => (this.running = null));
    };
    this.timer = setInterval(tick, 60_000);
    this.timer.unref();
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.timer) clearInterval(this.timer);
    await this.running;
  }

  /** Checks every account that is due. @returns how many were checked */
  async due(): Promise<number> {
    let checked = 0;
    for (
      let visit = await this.rounds.next();
      visit;
      visit = this.stopping.signal.aborted ? null : await this.rounds.next()
    ) {
      await this.visit(visit);
      checked += 1;
    }
    return checked;
  }

  private async visit(visit: Visit): Promise<void> {
    const { database, logger, everyMs = day } = this.settings;
    const renewing = setInterval(() => void this.rounds.renew(visit).catch(() => undefined), 30_000);
    try {
      const drift = new DriftService({ ...this.settings, db: database.tenant(visit.tenantId!), actor: 'drift check' });
      await drift.run({ dryRun: true, days: daysBack, withinMs: 600_000, signal: this.stopping.signal });
      await this.rounds.done(visit, { againMs: everyMs });
    } catch (error) {
      logger.warn({ err: error, account: visit.accountId }, 'An account could not be compared with Stripe');
      await this.rounds.failed(visit, Math.min(everyMs, 3_600_000), 'It could not be compared.');
    } finally {
      clearInterval(renewing);
    }
  }
}
