import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Uuid } from '../../shared/uuid.js';
import { closeSettled, followStripe, hastenMended, openCases } from './dunning-cases.js';
import { type DunningParts } from './dunning-rounds.js';

/**
 * Looks for what no event told: invoices that failed, failures of Stripe's retries, cases about which there is nothing more to be done, customers
 * who have another method now. A few statements for each tenant, over few rows.
 */
export class DunningSearch implements ScheduledJob {
  readonly name = 'dunning-search';
  readonly description = 'Finds failed invoices for which nothing is done yet, and ends what needs nothing more.';
  readonly cron = '*/10 * * * *';

  constructor(private readonly parts: Pick<DunningParts, 'database' | 'clock' | 'logger'>) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { database, clock, logger } = this.parts;
    const tenants = await database.worker((em) =>
      em.execute<{ id: Uuid }[]>(
        'select distinct tenant_id as id from stripe_accounts where livemode = ? and tenant_id is not null order by 1',
        [database.livemode],
      ),
    );
    let failed = 0;
    for (const { id } of tenants) {
      if (signal.aborted) return;
      try {
        // Each by itself: what one of them locks must not be waited for by somebody for whom the next one waits.
        const db = database.tenant(id);
        await db.transaction((em) => closeSettled(em, null));
        await db.transaction((em) => openCases(em, null, clock.now()));
        await db.transaction((em) => followStripe(em, null));
        await db.transaction((em) => hastenMended(em, clock.now()));
      } catch (error) {
        // One tenant's trouble is not the others'.
        logger.error({ err: error, tenantId: id }, 'Failed invoices of a tenant cannot be looked for');
        failed += 1;
      }
    }
    if (failed > 0) throw new Error(`Failed invoices of ${failed} tenants could not be looked for.`);
  }
}
