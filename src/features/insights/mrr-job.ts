import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Logger } from '../../shared/logger.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { learnDiscounts } from '../subscriptions/discount-record.js';
import { forEveryTenant } from '../notices/every-tenant.js';
import { rollUp, takeOverUntold } from './mrr-rollup.js';
import { keepChanged } from './subscription-history.js';

/** Keeps the months of all tenants up to date, also of those whom nobody asks about, and finds what no event told. */
export class MrrJob implements ScheduledJob {
  readonly name = 'mrr-roll-up';
  readonly description =
    'Rolls up recurring revenue by month, and takes over changes and discounts of subscriptions that no event told.';
  readonly cron = '17 * * * *';

  constructor(
    private readonly parts: {
      readonly database: Database;
      readonly stripe: StripeService;
      readonly logger: Logger;
      /** For how long a subscription must not have changed to be taken over: an hour. */
      readonly settledMs?: number;
    },
  ) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { settledMs = 3_600_000, stripe } = this.parts;
    await forEveryTenant(
      this.parts,
      signal,
      async (db) => {
        await takeOverUntold(db, settledMs);
        // What can be said is said, also while Stripe does not answer. What it finds out is rolled up when somebody asks, or in an hour.
        await rollUp(db);
        await learnDiscounts(db, stripe, { settledMs, signal, learned: keepChanged });
      },
      { everConnected: true },
    );
  }
}
