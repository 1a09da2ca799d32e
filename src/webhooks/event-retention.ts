import { type Database } from '../db/database.js';
import { type ScheduledJob } from '../jobs/schedules/scheduled-job.js';
import { type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';

export interface EventRetentionSettings {
  readonly database: Database;
  /** Days that events are kept, counted from Stripe's stamp and rounded up to whole months; at least 60. */
  readonly retentionDays: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

const dayMs = 86_400_000;

/** Keeps the months of the event table: makes those that come, and deletes those that have been kept long enough. */
export class EventRetention implements ScheduledJob {
  readonly name = 'event-retention';
  readonly description = 'Makes the coming months of the event table, and deletes events past EVENT_RETENTION_DAYS.';
  readonly cron = '17 */6 * * *';

  constructor(private readonly settings: EventRetentionSettings) {}

  async run(): Promise<void> {
    await this.keepMonths();
  }

  /** Makes the partitions of this month and the next two, and drops those whose time is over. @returns the months dropped */
  async keepMonths(): Promise<string[]> {
    const { database, clock, retentionDays, logger } = this.settings;
    const now = clock.now();
    for (const ahead of [0, 1, 2]) {
      await database.worker((em) => em.execute('select webhook_events_add_month(?)', [monthOf(now, ahead)]));
    }
    const cutoff = new Date(now.getTime() - Math.max(60, retentionDays) * dayMs);
    const months = await database.worker((em) =>
      em.execute<{ month: string }[]>(
        `select month from (
           select replace(right(c.relname, 7), '_', '-') || '-01' as month from pg_inherits i join pg_class c on c.oid = i.inhrelid
           where i.inhparent = 'stripe_webhook_events'::regclass and c.relname ~ '_[0-9]{4}_[0-9]{2}$'
         ) partition
         where (month::date + interval '1 month') at time zone 'UTC' <= ?::timestamptz
           and not exists (select from stripe_webhook_queue q where q.state = 'READY'
             and q.stripe_created_at < (month::date + interval '1 month') at time zone 'UTC')
         order by month`,
        [cutoff],
      ),
    );
    for (const { month } of months) {
      await database.worker(async (em) => {
        await em.execute(
          `delete from stripe_webhook_queue where stripe_created_at < (?::date + interval '1 month') at time zone 'UTC' and state <> 'READY'`,
          [month],
        );
        await em.execute('select webhook_events_drop_month(?)', [month]);
      });
      logger.info({ month }, 'Events past their retention were deleted');
    }
    return months.map(({ month }) => month);
  }
}

/** First day of a month, some months from now. */
function monthOf(now: Date, ahead: number): string {
  return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + ahead, 1)).toISOString().slice(0, 10);
}
