import { decimalOf, Figure, pageSize, type Report, time } from '../payouts/reports.js';
import { ReportInterval, unitOf } from './report-interval.js';
import { revenueOfTenant } from './revenue.js';

/** From the first booking to now, unless said; a later page begins with the period that the one before ended with. */
const asked = `asked as (
  select ?::bigint as place, ?::text as place_currency, greatest(?::timestamptz, (select coalesce(min(booked_at), now()) from ledger_postings)) as "from",
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
    sql: `with ${asked} select * from (${table}) periods
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

/** What can be had as CSV besides payments, books and payouts. */
export const insightReports: Readonly<Record<string, Report>> = {
  'revenue-daily': revenueBy(ReportInterval.DAY),
  'revenue-weekly': revenueBy(ReportInterval.WEEK),
  'revenue-monthly': revenueBy(ReportInterval.MONTH),
};
