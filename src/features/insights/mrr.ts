import { type TenantDb } from '../../db/database.js';
import { type Reads } from '../../db/reads/reads.js';
import { Money } from '../../shared/money.types.js';
import { rollUp } from './mrr-rollup.js';
import { type MrrCohort, type MrrPeriod, type TrialPeriod } from './mrr.types.js';
import { ratio } from './ratio.js';
import { checkRange, type Range, ReportInterval } from './report-interval.js';

/** Whether something is not rolled up yet, or was before a discount ended, or with the calendar of another place. */
const isStale = `
  exists (select from mrr_customers where reported <> rolled_up)
  or exists (select from mrr_customers where due_at <= now())
  or exists (select from mrr_calendars c, tenants t where c.time_zone <> t.time_zone)`;

/** What a statement is asked with, as it stands in the statement. */
interface AskedRange {
  readonly from: string;
  readonly to: string;
}

const parameters: AskedRange = { from: '$1::timestamptz', to: '$2::timestamptz' };

/** The months that a range touches: none after the present one, or the last in which something changed. */
const monthsOf = ({ from, to }: AskedRange): string => `
  calendar as (select time_zone as zone from tenants),
  bounds as (
    select zone, date_trunc('month', ${from} at time zone zone)::date as first,
      least(date_trunc('month', (${to} - interval '1 microsecond') at time zone zone)::date,
        greatest(date_trunc('month', now() at time zone zone)::date, (select max(month) from mrr_months))) as last
    from calendar
  )`;

const start = (month: string): string =>
  `(extract(epoch from psa_payments_start(${month}::timestamp, zone)) * 1000)::bigint`;

/** A line per month and currency. Its opening is all that changed before. */
export const mrrByMonth = (asked = parameters): string => `
  with ${monthsOf(asked)}, months as (
    select zone, month::date from bounds, generate_series(first, last, interval '1 month') month
  ), known as (
    select *, new + expansion - contraction - churn + reactivation as change,
      customers_new - customers_churned + customers_reactivated as customers_change from mrr_months
  ), before as (
    select currency, coalesce(sum(change) filter (where month < first), 0) as opening,
      coalesce(sum(customers_change) filter (where month < first), 0) as customers
    from known, bounds group by 1
  )
  select ${start('m.month')} as month, b.currency,
    b.opening + coalesce(sum(k.change) over w, 0) - coalesce(k.change, 0) as opening, coalesce(k.new, 0) as new,
    coalesce(k.expansion, 0) as expansion, coalesce(k.contraction, 0) as contraction, coalesce(k.churn, 0) as churn,
    coalesce(k.reactivation, 0) as reactivation, b.customers + coalesce(sum(k.customers_change) over w, 0) as customers,
    coalesce(k.customers_new, 0) as customers_new, coalesce(k.customers_reactivated, 0) as customers_reactivated,
    coalesce(k.customers_churned, 0) as customers_churned
  from months m cross join before b left join known k on k.month = m.month and k.currency = b.currency
  window w as (partition by b.currency order by m.month)
  order by 1, 2`;

const cohorts = `
  with ${monthsOf(parameters)}, changed as (
    select currency, cohort, month, sum(closing - opening) as mrr, count(*) filter (where opening = 0) - count(*) filter (where closing = 0) as customers
    from mrr_movements, bounds where kind is not null and cohort between first and last and month <= last group by 1, 2, 3
  ), cells as (
    select c.currency, c.cohort, month::date as month
    from (select distinct currency, cohort from changed) c, bounds, generate_series(c.cohort, last, interval '1 month') month
  )
  select ${start('cohort')} as start, currency, ${start('month')} as month, coalesce(sum(customers) over w, 0) as customers,
    coalesce(sum(mrr) over w, 0) as mrr
  from cells left join changed using (currency, cohort, month), calendar
  window w as (partition by currency, cohort order by month) order by 1, 2, 3`;

const trials = `
  with ${monthsOf(parameters)}, begun as (
    select stripe_subscription_id as sub, min(effective_at) as at from subscription_history where status = 'TRIALING' group by 1
  ), found as (
    select date_trunc('month', at at time zone zone)::date as month, (
        select case when bool_or(h.kind = 'PAID') then 'converted'
          when bool_or(h.status in ('CANCELED', 'INCOMPLETE_EXPIRED')) then 'lost' else 'open' end
        from subscription_history h where h.stripe_subscription_id = sub) as fate
    from begun, bounds
    where at >= psa_payments_start(first::timestamp, zone) and at < psa_payments_start(last + interval '1 month', zone)
      and exists (select from stripe_subscriptions s where s.stripe_subscription_id = sub)
  )
  select ${start('m.month')} as month, count(fate) as started, count(*) filter (where fate = 'converted') as converted,
    count(*) filter (where fate = 'lost') as lost, count(*) filter (where fate = 'open') as open
  from bounds, generate_series(first, last, interval '1 month') m (month) left join found f on f.month = m.month::date
  group by m.month, zone order by 1`;

const numbersOf = (row: readonly (string | null)[]): number[] => row.map(Number);

/** The recurring revenue of one tenant. */
export class Mrr {
  constructor(
    private readonly reads: Reads,
    private readonly db: TenantDb,
  ) {}

  /**
   * By month and currency, months in which nothing changed included.
   * @throws AppError BAD_USER_INPUT
   */
  async months(range: Range): Promise<MrrPeriod[]> {
    const rows = await this.figures(mrrByMonth(), range);
    return rows.map(([month, currency, ...figures]) => monthOf(Number(month), currency!, numbersOf(figures)));
  }

  /**
   * By the month in which customers began, and their currency.
   * @throws AppError BAD_USER_INPUT
   */
  async cohorts(range: Range): Promise<MrrCohort[]> {
    const found = new Map<string, MrrCohort>();
    for (const [begin, currency, month, customers, mrr] of await this.figures(cohorts, range)) {
      const key = `${begin} ${currency}`;
      let cohort = found.get(key);
      if (!cohort) {
        cohort = { start: new Date(Number(begin)), currency: currency!, months: [] };
        found.set(key, cohort);
      }
      const cell = { month: new Date(Number(month)), customers: Number(customers) };
      cohort.months.push({ ...cell, mrr: new Money(Number(mrr), currency!) });
    }
    return [...found.values()];
  }

  /**
   * By the month in which trials began. It needs no roll-up.
   * @throws AppError BAD_USER_INPUT
   */
  async trials(range: Range): Promise<TrialPeriod[]> {
    checkRange(range, ReportInterval.MONTH);
    const rows = await this.reads.figures(trials, [range.from.toISOString(), range.to.toISOString()]);
    return rows.map((row) => {
      const [month, started, converted, lost, open] = numbersOf(row) as [number, number, number, number, number];
      const conversionRate = ratio(converted, converted + lost);
      return { month: new Date(month), started, converted, lost, open, conversionRate };
    });
  }

  /** From the roll-ups, which are nearly always up to date; if something was reported just now, after that has been rolled up. */
  private async figures(sql: string, range: Range): Promise<readonly (string | null)[][]> {
    checkRange(range, ReportInterval.MONTH);
    const asked = [range.from.toISOString(), range.to.toISOString()];
    const [[stale], rows] = await Promise.all([
      this.reads.figures(`select (${isStale})::integer`).then(([row]) => row ?? []),
      this.reads.figures(sql, asked),
    ]);
    if (stale === '0') return rows;
    await rollUp(this.db);
    return this.reads.figures(sql, asked);
  }
}

function monthOf(at: number, currency: string, figures: readonly number[]): MrrPeriod {
  const [opening, fresh, expansion, contraction, churn, reactivation] = figures as Six;
  const [customers, newCustomers, reactivatedCustomers, churnedCustomers] = figures.slice(6) as Four;
  const closing = opening + fresh + expansion + reactivation - contraction - churn;
  const money = (amount: number) => new Money(amount, currency);
  return {
    month: new Date(at),
    opening: money(opening),
    new: money(fresh),
    expansion: money(expansion),
    contraction: money(contraction),
    churn: money(churn),
    reactivation: money(reactivation),
    closing: money(closing),
    arr: money(closing * 12),
    ...{ customers, newCustomers, reactivatedCustomers, churnedCustomers },
    customerChurnRate: ratio(churnedCustomers, customers - newCustomers - reactivatedCustomers + churnedCustomers),
    revenueChurnRate: ratio(churn + contraction, opening),
    netRevenueChurnRate: ratio(churn + contraction - expansion, opening),
  };
}

type Four = [number, number, number, number];
type Six = [number, number, number, number, number, number];
