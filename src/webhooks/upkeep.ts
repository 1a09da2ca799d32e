import { type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';
import { eventsRecent, eventsWaiting, failureRate, oldestWaiting, sweepAge } from '../shared/metrics.js';
import { type EventHealth } from './event-health.js';
import { type Queue } from './queue.js';

export interface UpkeepSettings {
  readonly queue: Queue;
  readonly health: EventHealth;
  /** Days that events are kept, counted from Stripe's stamp and rounded up to whole months; at least 60. */
  readonly retentionDays: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const seconds = 1_000;
const hours = 3_600 * seconds;

/** What has to be done about the event tables from time to time. Harmless to run in several processes. */
export class Upkeep {
  private timers: NodeJS.Timeout[] = [];
  private running = new Set<Promise<void>>();

  constructor(private readonly settings: UpkeepSettings) {}

  start(): void {
    const { queue } = this.settings;
    this.every(10 * seconds, 'measure the backlog', () => this.measure());
    // The account's own announcement can be missed: by an insert of an event that is under way at the same moment.
    this.every(10 * seconds, 'release parked events', () => queue.releaseParked(true));
    this.every(hours / 4, 'release all parked events', () => queue.releaseParked(false));
    this.every(6 * hours, 'keep the partitions', () => this.partitions());
  }

  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
    await Promise.all(this.running);
  }

  /** Makes the partitions of this month and the next two, and drops those whose time is over. @returns the months dropped */
  async partitions(): Promise<string[]> {
    const { queue, clock, retentionDays } = this.settings;
    const now = clock.now();
    for (const ahead of [0, 1, 2]) await queue.run(`select webhook_events_add_month('${monthOf(now, ahead)}')`);

    const cutoff = new Date(now.getTime() - Math.max(60, retentionDays) * 24 * hours).toISOString();
    const months = await queue.run<{ month: string }>(
      `select month from (
  select replace(right(c.relname, 7), '_', '-') || '-01' as month from pg_inherits i join pg_class c on c.oid = i.inhrelid
  where i.inhparent = 'stripe_webhook_events'::regclass and c.relname ~ '_[0-9]{4}_[0-9]{2}$'
) partition
where (month::date + interval '1 month') at time zone 'UTC' <= '${cutoff}'::timestamptz
  and not exists (select from stripe_webhook_queue q where q.state = 'READY'
    and q.stripe_created_at < (month::date + interval '1 month') at time zone 'UTC')
order by month`,
    );
    for (const { month } of months) {
      await queue.run(
        `delete from stripe_webhook_queue where stripe_created_at < (date '${month}' + interval '1 month') at time zone 'UTC' and state <> 'READY';
select webhook_events_drop_month('${month}')`,
      );
      this.settings.logger.info({ month }, 'Events past their retention were deleted');
    }
    return months.map(({ month }) => month);
  }

  private async measure(): Promise<void> {
    const report = await this.settings.health.report();
    for (const state of ['READY', 'PARKED', 'DEAD']) eventsWaiting.set({ state }, report.waiting[state] ?? 0);
    for (const status of ['RECEIVED', 'PROCESSED', 'FAILED', 'IGNORED', 'PARKED', 'DEAD'])
      eventsRecent.set({ status }, report.recent[status] ?? 0);
    oldestWaiting.set(report.oldestSeconds);
    failureRate.set(report.failureRate ?? 0);
    sweepAge.set(report.sweepAgeSeconds ?? 0);
  }

  private every(ms: number, what: string, work: () => Promise<unknown>): void {
    const run = () => {
      const task: Promise<void> = work()
        .then(() => undefined)
        .catch((error: unknown) => this.settings.logger.error({ err: error }, `Could not ${what}`))
        .finally(() => this.running.delete(task));
      this.running.add(task);
    };
    run();
    this.timers.push(setInterval(run, ms));
  }
}

/** First day of a month, some months from now. */
function monthOf(now: Date, ahead: number): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1)).toISOString().slice(0, 10);
}
