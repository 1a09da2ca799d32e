import { Gauge } from 'prom-client';
import { type Database } from '../../db/database.js';
import { type Logger } from '../../shared/logger.js';
import { metrics } from '../../shared/metrics.js';
import { Ticking } from '../../shared/repeat.js';
import { isHard } from './failed-payment.reads.js';

const recent = new Gauge({
  name: 'payment_failures_recent',
  help: 'Tries to pay that failed within the last hour, of all tenants, by kind: SOFT may succeed later, HARD needs the payer.',
  labelNames: ['kind'],
  registers: [metrics],
});
const tenants = new Gauge({
  name: 'payment_failures_recent_tenants',
  help: 'How many tenants had a try that failed within the last hour. Many at once: it is not the payers.',
  registers: [metrics],
});

export interface FailureAlarmSettings {
  readonly database: Database;
  readonly logger: Logger;
  /** Milliseconds between two looks: a minute. */
  readonly everyMs?: number;
}

/** How many tries of the last hour failed. */
export interface RecentFailures {
  readonly soft: number;
  readonly hard: number;
  readonly tenants: number;
}

/** Shows on the metrics how many payments fail. Harmless to run in several processes. */
export class FailureAlarm {
  private readonly ticking: Ticking;

  constructor(private readonly settings: FailureAlarmSettings) {
    const { everyMs = 60_000, logger } = settings;
    this.ticking = new Ticking({
      work: () => this.measure(),
      everyMs,
      failure: 'Failed payments cannot be counted',
      logger,
    });
  }

  start(): void {
    this.ticking.start();
  }

  stop(): Promise<void> {
    return this.ticking.stop();
  }

  /** Counts, and sets the gauges. */
  async measure(): Promise<RecentFailures> {
    const { database } = this.settings;
    const rows = await database.worker((em) =>
      em.execute<{ tenant_id: string; code: string; decline_code: string | null; tries: number }[]>(
        `select tenant_id, code, decline_code, count(*)::integer as tries from payment_failures
         where failed_at > now() - interval '1 hour' and livemode = ? group by 1, 2, 3`,
        [database.livemode],
      ),
    );
    const counts = { soft: 0, hard: 0, tenants: new Set(rows.map((row) => row.tenant_id)).size };
    for (const { code, decline_code: declineCode, tries } of rows)
      counts[isHard(code, declineCode) ? 'hard' : 'soft'] += tries;
    recent.set({ kind: 'SOFT' }, counts.soft);
    recent.set({ kind: 'HARD' }, counts.hard);
    tenants.set(counts.tenants);
    return counts;
  }
}
