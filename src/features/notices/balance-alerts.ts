import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { type Money } from '../../shared/money.types.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { enqueueAdminMail } from '../mail/outbox.js';
import { BalanceService, BalanceState } from '../payouts/balance.js';
import { forEveryTenant } from './every-tenant.js';

export interface BalanceAlertSettings {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly clock: Clock;
  readonly logger: Logger;
}

const week = 7 * 86_400_000;

/** Tells a tenant's admins when little is left at Stripe, or less than nothing; of each at most once a week, for as long as it is so. */
export class BalanceAlerts implements ScheduledJob {
  readonly name = 'balance-alerts';
  readonly description = 'Tells tenants’ admins of low and negative balances at Stripe.';
  readonly cron = '37 */6 * * *';

  constructor(private readonly settings: BalanceAlertSettings) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { stripe, clock } = this.settings;
    await forEveryTenant(this.settings, signal, async (db) => {
      const { state, available, pending } = await new BalanceService(db, stripe).balance();
      if (state === BalanceState.OK) return;
      const now = clock.now();
      await db.transaction((em) =>
        enqueueAdminMail(em, {
          key: `balance:${state}:${Math.floor(now.getTime() / week)}`,
          template: 'balance-alert',
          // The next look says more.
          until: new Date(now.getTime() + 86_400_000),
          data: {
            isNegative: state === BalanceState.NEGATIVE,
            available: available.map(plain),
            pending: pending.map(plain),
            lookedAt: now.toISOString(),
          },
        }),
      );
    });
  }
}

function plain({ amount, currency }: Money) {
  return { amount, currency };
}
