import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Uuid } from '../../shared/uuid.js';

/** From so many failures in a row on, a case needs somebody to look at it. */
export const stuckAfter = 3;

/**
 * Fails for as long as there is a case that cannot be carried on, so that `jobs`, its metrics and their alerts show it. A job of its own: one
 * that fails is made again later each time, and that must not be said of the others' dunning.
 */
export class DunningStuck implements ScheduledJob {
  readonly name = 'dunning-stuck';
  readonly description = 'Fails while there are cases of dunning whose step cannot be carried out; says which.';
  readonly cron = '*/10 * * * *';

  constructor(private readonly parts: { readonly database: Database }) {}

  async run(): Promise<void> {
    const { database } = this.parts;
    const stuck = await database.worker((em) =>
      em.execute<{ id: Uuid; tenantId: Uuid }[]>(
        `select id, tenant_id as "tenantId" from dunning_cases where livemode = ? and failures >= ${stuckAfter} order by failing_since`,
        [database.livemode],
      ),
    );
    const [first] = stuck;
    if (!first) return;
    const tenants = new Set(stuck.map(({ tenantId }) => tenantId)).size;
    throw new Error(
      `${stuck.length} cases of ${tenants} tenants cannot be carried on, for the longest time ${first.id} of tenant ${first.tenantId}; the log says why.`,
    );
  }
}
