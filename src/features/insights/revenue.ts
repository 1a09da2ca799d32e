import { type Reads } from '../../db/reads/reads.js';
import { Money } from '../../shared/money.types.js';
import { type Uuid } from '../../shared/uuid.js';
import {
  type AskedPeriods,
  checkRange,
  givenPeriods,
  type Range,
  type ReportInterval,
  spanOf,
  unitOf,
} from './report-interval.js';
import { type RevenuePeriod, type TenantApplicationFees } from './revenue.types.js';

// Revenue is the ledger, summed by when Stripe booked it. Nothing here is kept: what is asked is added up, so it cannot differ.

/** What the accounts of the books amount to. The money that customers paid stands on the credit side. */
const sums = `
  coalesce(-sum(amount) filter (where account = 'CUSTOMER_RECEIVABLE'), 0) as gross,
  coalesce(sum(amount) filter (where account = 'REFUNDS'), 0) as refunds,
  coalesce(sum(amount) filter (where account = 'DISPUTES'), 0) as disputes,
  coalesce(sum(amount) filter (where account = 'STRIPE_FEES'), 0) as stripe_fees,
  coalesce(sum(amount) filter (where account = 'APPLICATION_FEES'), 0) as application_fees,
  count(*) filter (where account = 'CUSTOMER_RECEIVABLE' and amount < 0) as payments`;

const accounts = `('CUSTOMER_RECEIVABLE', 'REFUNDS', 'DISPUTES', 'STRIPE_FEES', 'APPLICATION_FEES')`;

/**
 * The periods that a range touches, whole, and every currency in each of them. A payment belongs to the day that the calendar on the wall shows, so
 * days are cut on the wall, and only their ends are turned into instants.
 * @param zone rows of one time zone
 * @param currencies rows of currencies that are shown even when nothing happened
 * @param ours a condition on postings, where the policies do not say whose they are
 */
const periods = (asked: AskedPeriods, zone: string, currencies: string, ours = 'true'): string => `
  with ${spanOf(zone, asked)}, booked as (
    select date_trunc(${asked.unit}, p.booked_at at time zone s.zone) as wall, p.currency, ${sums}
    from span s, ledger_postings p
    where p.booked_at >= s."from" and p.booked_at < s."to" and p.account in ${accounts} and ${ours}
    group by 1, 2
  ), currencies as (select currency from booked union ${currencies})
  select (extract(epoch from psa_payments_start(wall, s.zone)) * 1000)::bigint as start, c.currency, coalesce(gross, 0) as gross,
    coalesce(refunds, 0) as refunds, coalesce(disputes, 0) as disputes, coalesce(stripe_fees, 0) as stripe_fees,
    coalesce(application_fees, 0) as application_fees, coalesce(payments, 0) as payments
  from span s cross join generate_series(s.first, s.last, s.step) wall cross join currencies c
    left join booked b using (wall, currency)
  order by 1, 2`;

/** All currencies that the tenant ever took, from one to the next along the index; the account's own while there are none. */
export const tenantCurrencies = `(
  with recursive taken as (
    (select currency from ledger_postings where account = 'CUSTOMER_RECEIVABLE' order by currency limit 1)
    union all
    select (select p.currency from ledger_postings p where p.account = 'CUSTOMER_RECEIVABLE' and p.currency > taken.currency
      order by p.currency limit 1)
    from taken where taken.currency is not null
  )
  select currency from taken where currency is not null
  union
  select default_currency from stripe_config where default_currency is not null and not exists (select from taken)
)`;

/** A tenant's revenue, by period and currency. @param asked where it is not asked with parameters */
export const revenueOfTenant = (asked = givenPeriods): string =>
  periods(asked, 'select time_zone as zone from tenants', tenantCurrencies);

const tenantRevenue = revenueOfTenant();

const isOurMode = `p.livemode = current_setting('app.livemode')::boolean`;
const platformRevenue = periods(givenPeriods, `select 'UTC' as zone`, 'select null where false', isOurMode);

const feesByTenant = `
  select p.tenant_id, t.name, p.currency, ${sums}
  from ledger_postings p join tenants t on t.id = p.tenant_id
  where p.booked_at >= $1 and p.booked_at < $2 and p.account in ${accounts} and ${isOurMode}
  group by 1, 2, 3 order by 2, 1, 3`;

/** The figures of a tenant, or of all of them together: as the reads are. */
export class Revenue {
  constructor(
    private readonly reads: Reads,
    private readonly isPlatform: boolean,
  ) {}

  /**
   * By period and currency, periods without anything included.
   * @throws AppError BAD_USER_INPUT
   */
  async periods(range: Range, interval: ReportInterval): Promise<RevenuePeriod[]> {
    checkRange(range, interval);
    const { from, to } = range;
    const sql = this.isPlatform ? platformRevenue : tenantRevenue;
    const rows = await this.reads.figures(sql, [from.toISOString(), to.toISOString(), unitOf(interval)]);
    return rows.map(([start, currency, ...figures]) => {
      const [gross, refunds, disputes, stripeFees, applicationFees, payments] = figures.map(Number) as Figures;
      const money = (amount: number) => new Money(amount, currency!);
      return {
        start: new Date(Number(start)),
        gross: money(gross),
        refunds: money(refunds),
        disputes: money(disputes),
        stripeFees: money(stripeFees),
        applicationFees: money(applicationFees),
        net: money(gross - refunds - disputes - stripeFees - applicationFees),
        payments,
      };
    });
  }

  /**
   * What the platform took of whom, for the platform's own people: by name and currency.
   * @throws AppError BAD_USER_INPUT
   */
  async feesByTenant(range: Range): Promise<TenantApplicationFees[]> {
    const { from, to } = range;
    const rows = await this.reads.figures(feesByTenant, [from.toISOString(), to.toISOString()]);
    return rows.map(([tenantId, tenantName, currency, ...figures]) => {
      const [gross, , , , applicationFees, payments] = figures.map(Number) as Figures;
      return {
        tenantId: tenantId as Uuid,
        tenantName: tenantName!,
        currency: currency!,
        payments,
        gross: new Money(gross, currency!),
        applicationFees: new Money(applicationFees, currency!),
      };
    });
  }
}

type Figures = [
  gross: number,
  refunds: number,
  disputes: number,
  stripeFees: number,
  applicationFees: number,
  payments: number,
];
