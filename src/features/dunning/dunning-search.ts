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
        await database.tenant(id).transaction(async (em) => {
          await closeSettled(em, null);
          await openCases(em, null, clock.now());
          await followStripe(em, null);
          await hastenMended(em, clock.now());
        });
      } catch (error) {
        // One tenant's trouble is not the others'.
        logger.error({ err: error, tenantId: id }, 'Failed invoices of a tenant cannot be looked for');
        failed += 1;
      }
    }
    if (failed > 0) throw new Error(`Failed invoices of ${failed} tenants could not be looked for.`);
  }
}
