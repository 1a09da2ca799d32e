import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';

/** Deletes what endpoints were told a month ago. */
export class DeliveryRetention implements ScheduledJob {
  readonly name = 'webhook-delivery-retention';
  readonly description = 'Deletes what endpoints of tenants were told, 30 days after it happened.';
  readonly cron = '41 3 * * *';

  constructor(private readonly settings: { readonly database: Database }) {}

  /** In small transactions, so that nobody waits for it. */
  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    for (let deleted = 1; deleted > 0 && !signal.aborted;) {
      const rows = await this.settings.database.worker((em) =>
        em.execute<unknown[]>(
          `delete from webhook_deliveries d using (
             select tenant_id, id from webhook_deliveries where state <> 'PENDING' and created_at < now() - interval '30 days' limit 1000
           ) old where d.tenant_id = old.tenant_id and d.id = old.id returning d.id`,
        ),
      );
      deleted = rows.length;
    }
  }
}
