import { Gauge } from 'prom-client';
import { type Database } from '../../db/database.js';
import { type Logger } from '../../shared/logger.js';
import { metrics } from '../../shared/metrics.js';
import { Ticking } from '../../shared/repeat.js';
import { stuckAfter } from './dunning-stuck.js';

const cases = new Gauge({
  name: 'dunning_cases',
  help: 'Cases of dunning of all tenants: OPEN now; RECOVERED, LOST, STOPPED in the last 30 days.',
  labelNames: ['state'],
  registers: [metrics],
});
const amounts = new Gauge({
  name: 'dunning_amount',
  help: 'What was due in them when they began, in minor units of each currency.',
  labelNames: ['state', 'currency'],
  registers: [metrics],
});
const late = new Gauge({
  name: 'dunning_late_seconds',
  help: 'For how long the step is due that has been waiting the longest; 0 when none is.',
  registers: [metrics],
});

const stuck = new Gauge({
  name: 'dunning_stuck_cases',
  help: `Cases whose step could not be carried out ${stuckAfter} times in a row.`,
  registers: [metrics],
});

export interface DunningGaugesSettings {
  readonly database: Database;
  readonly logger: Logger;
  /** Milliseconds between two looks: a minute. */
  readonly everyMs?: number;
}

/** Shows on the metrics how much is being collected, and how much was lost. Harmless to run in several processes. */
export class DunningGauges {
  private readonly ticking: Ticking;

  constructor(private readonly settings: DunningGaugesSettings) {
    const { everyMs = 60_000, logger } = settings;
    this.ticking = new Ticking({ work: () => this.measure(), everyMs, failure: 'Dunning cannot be measured', logger });
  }

  start(): void {
    this.ticking.start();
  }

  stop(): Promise<void> {
    return this.ticking.stop();
  }

  /** Counts, and sets the gauges. */
  async measure(): Promise<void> {
    const { database } = this.settings;
    const rows = await database.worker((em) =>
      em.execute<{ state: string; currency: string; n: string; amount: string; late: string | null; stuck: string }[]>(
        `select state, currency, count(*) as n, sum(amount) as amount, extract(epoch from now() - min(next_at)) as late,
           count(*) filter (where failures >= ${stuckAfter}) as stuck
         from dunning_cases where livemode = ? and (state = 'OPEN' or closed_at > now() - interval '30 days') group by state, currency`,
        [database.livemode],
      ),
    );
    cases.reset();
    amounts.reset();
    for (const { state, currency, n, amount } of rows) {
      cases.inc({ state }, Number(n));
      amounts.set({ state, currency }, Number(amount));
    }
    stuck.set(rows.reduce((sum, row) => sum + Number(row.stuck), 0));
    late.set(Math.max(0, ...rows.map((row) => Number(row.late ?? 0))));
  }
}
