import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { forEveryTenant } from './every-tenant.js';

export interface MailRetentionSettings {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Days that it is kept what mails said, and to whom. */
  readonly retentionDays: number;
}

const batch = 1_000;

/** Forgets what old mails said, and to whom. That there were some stays: their keys keep them from being sent once more. */
export class MailRetention implements ScheduledJob {
  readonly name = 'mail-retention';
  readonly description = 'Erases recipients and contents of mails past EVENT_RETENTION_DAYS.';
  readonly cron = '47 3 * * *';

  constructor(private readonly settings: MailRetentionSettings) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { clock, retentionDays } = this.settings;
    const before = new Date(clock.now().getTime() - retentionDays * 86_400_000);
    await forEveryTenant(
      this.settings,
      signal,
      async (db) => {
        for (let erased = batch; erased === batch && !signal.aborted;) {
          const rows = await db.transaction((em) =>
            em.execute<unknown[]>(
              `update mails set recipient = null, subject = null, data = '{}', last_error = null
             where id in (select id from mails where created_at < ?::timestamptz and recipient is not null
               and state not in ('QUEUED', 'SENDING') limit ${batch}) returning id`,
              [before],
            ),
          );
          erased = rows.length;
        }
      },
      { everConnected: true },
    );
  }
}
