import { type Database } from '../../db/database.js';
import { Money } from '../../shared/money.types.js';
import { type PlatformTotals } from './platform.types.js';

type Row = { currency: string } & Record<
  'payments' | 'gross' | 'refunded' | 'stripe_fees' | 'application_fees' | 'net',
  string
>;

/** How much, over all tenants; never who. For the platform's own people. */
export class PlatformService {
  constructor(private readonly database: Database) {}

  /**
   * One line per currency, in alphabetical order. What was paid counts in the currency it was paid in; what Stripe booked, in the
   * currency it was settled in. Reads all payments of this mode: not for a page that is looked at every second.
   */
  async totals(): Promise<PlatformTotals[]> {
    const rows = await this.database.platform((em) =>
      em.execute<Row[]>(
        `select currency, sum(payments) as payments, sum(gross) as gross, sum(refunded) as refunded, sum(stripe_fees) as stripe_fees,
           sum(application_fees) as application_fees, sum(net) as net
         from (
           select currency, count(*) as payments, sum(amount_received) as gross, sum(amount_refunded) as refunded,
             0 as stripe_fees, 0 as application_fees, 0 as net
           from payments where livemode = ? and status = 'SUCCEEDED' group by 1
           union all
           select booked_currency, 0, 0, 0, sum(stripe_fee), sum(application_fee), sum(net)
           from payments where livemode = ? and net is not null group by 1
         ) as parts group by 1 order by 1`,
        [this.database.livemode, this.database.livemode],
      ),
    );
    return rows.map(({ currency, payments, gross, refunded, stripe_fees, application_fees, net }) => {
      const money = (sum: string) => new Money(Number(sum), currency);
      return {
        currency,
        payments: Number(payments),
        gross: money(gross),
        refunded: money(refunded),
        stripeFees: money(stripe_fees),
        applicationFees: money(application_fees),
        net: money(net),
      };
    });
  }
}
