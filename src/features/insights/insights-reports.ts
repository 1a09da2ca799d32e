import { decimalOf, Figure, pageSize, type Report, time } from '../payouts/reports.js';
import { mrrByMonth } from './mrr.js';
import { rollUp } from './mrr-rollup.js';
import { ReportInterval, unitOf } from './report-interval.js';
import { revenueOfTenant } from './revenue.js';

/** From the first of its rows to now, unless said; a later page begins behind the place where the one before ended. */
const askedSince = (first: string): string => `asked as (
  select ?::bigint as place, ?::text as place_currency, greatest(?::timestamptz, (${first})) as "from",
    least(?::timestamptz, now()) as "to"
)`;

/** The table that GraphQL shows as `revenue`, with the same periods. */
function revenueBy(interval: ReportInterval): Report {
  const table = revenueOfTenant({
    from: `(select greatest("from", to_timestamp(place / 1000.0)) from asked)`,
    to: '(select "to" from asked)',
    unit: `'${unitOf(interval)}'`,
  });
  const amounts = ['gross', 'refunds', 'disputes', 'stripe_fees', 'application_fees'] as const;
  return {
    columns: ['start', 'currency', ...amounts, 'net', 'payments'],
    sql: `with ${askedSince('select coalesce(min(booked_at), now()) from ledger_postings')} select * from (${table}) periods
      where (start, currency) > (select place, place_currency from asked) order by start, currency limit ${pageSize}`,
    place: (row) => [row.start, row.currency],
    start: [0, ''],
    cells: (row) => {
      const [gross, ...taken] = amounts.map((name) => BigInt(row[name] as string));
      const net = taken.reduce((left, amount) => left - amount, gross!);
      return [
        time(Number(row.start)),
        row.currency as string,
        ...amounts.map((name) => decimalOf(row[name], row.currency)),
        decimalOf(net, row.currency),
        new Figure(String(row.payments)),
      ];
    },
  };
}

/** The table that GraphQL shows as `mrr`. */
function mrr(): Report {
  const table = mrrByMonth({ from: '(select "from" from asked)', to: '(select "to" from asked)' });
  const moved = ['new', 'expansion', 'contraction', 'churn', 'reactivation'] as const;
  const first = `select coalesce(min(month) + interval '1 day', now()) from mrr_months`;
  return {
    columns: [
      'month',
      'currency',
      'opening',
      ...moved,
      'closing',
      'arr',
      'customers',
      'customers_new',
      'customers_churned',
    ],
    sql: `with ${askedSince(first)} select * from (${table}) months
      where (month, currency) > (select place, place_currency from asked) order by month, currency limit ${pageSize}`,
    place: (row) => [row.month, row.currency],
    start: [0, ''],
    prepare: rollUp,
    cells: (row) => {
      const of = (name: string) => BigInt(row[name] as string);
      const closing =
        of('opening') + of('new') + of('expansion') + of('reactivation') - of('contraction') - of('churn');
      const amounts = [of('opening'), ...moved.map(of), closing, closing * 12n];
      const counts = [row.customers, row.customers_new, row.customers_churned];
      return [
        time(Number(row.month)),
        row.currency as string,
        ...amounts.map((amount) => decimalOf(amount, row.currency)),
        ...counts.map((count) => new Figure(String(count))),
      ];
    },
  };
}

/** What can be had as CSV besides payments, books and payouts. */
export const insightReports: Readonly<Record<string, Report>> = {
  'revenue-daily': revenueBy(ReportInterval.DAY),
  'revenue-weekly': revenueBy(ReportInterval.WEEK),
  'revenue-monthly': revenueBy(ReportInterval.MONTH),
  mrr: mrr(),
};
