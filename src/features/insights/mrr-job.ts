import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Uuid } from '../../shared/uuid.js';
import { rollUp, takeOverUntold } from './mrr-rollup.js';

/** Keeps the months of all tenants up to date, also of those whom nobody asks about, and finds what no event told. */
export class MrrJob implements ScheduledJob {
  readonly name = 'mrr-roll-up';
  readonly description =
    'Rolls up recurring revenue by month, and takes over changes of subscriptions that no event told.';
  readonly cron = '17 * * * *';

  constructor(
    private readonly parts: {
      readonly database: Database;
      /** For how long a subscription must not have changed to be taken over: an hour. */
      readonly settledMs?: number;
    },
  ) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { database, settledMs } = this.parts;
    const tenants = await database.worker((em) =>
      em.execute<{ id: Uuid }[]>(
        'select distinct tenant_id as id from stripe_accounts where livemode = ? order by tenant_id',
        [database.livemode],
      ),
    );
    for (const { id } of tenants) {
      signal.throwIfAborted();
      const db = database.tenant(id);
      await takeOverUntold(db, settledMs);
      await rollUp(db);
    }
  }
}
