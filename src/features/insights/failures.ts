import { type Reads } from '../../db/reads/reads.js';
import { Money } from '../../shared/money.types.js';
import { type DeclineReason, declineReason } from './decline-reason.js';
import { isHard } from './failed-payment.reads.js';
import { type FailurePeriod, type FailureReasonCount } from './failed-payment.types.js';
import { ratio } from './ratio.js';
import { checkRange, type Range, type ReportInterval, spanOf, unitOf } from './report-interval.js';
import { tenantCurrencies } from './revenue.js';

const zone = 'select time_zone as zone from tenants';

const byOutcome = `
  with ${spanOf(zone)}, claims as (
    select distinct on (claim) failed_at, currency, amount, outcome from failed_payments order by claim, failed_at
  ), failed as (
    select date_trunc($3::text, c.failed_at at time zone s.zone) as wall, c.currency, count(*) as count, sum(amount) as failed,
      sum(amount) filter (where outcome = 'RECOVERED') as recovered, sum(amount) filter (where outcome = 'LOST') as lost
    from span s, claims c where c.failed_at >= s."from" and c.failed_at < s."to" group by 1, 2
  ), currencies as (select currency from failed union ${tenantCurrencies})
  select (extract(epoch from psa_payments_start(wall, s.zone)) * 1000)::bigint, currency, coalesce(count, 0), coalesce(failed, 0),
    coalesce(recovered, 0), coalesce(lost, 0)
  from span s cross join generate_series(s.first, s.last, s.step) wall cross join currencies left join failed using (wall, currency)
  order by 1, 2`;

const byReason = `
  with ${spanOf(zone)}
  select (extract(epoch from psa_payments_start(date_trunc($3::text, f.failed_at at time zone s.zone), s.zone)) * 1000)::bigint, f.currency, f.code,
    f.decline_code, count(*)
  from span s, payment_failures f where f.failed_at >= s."from" and f.failed_at < s."to" group by 1, 2, 3, 4`;

/** What could not be taken, and what became of it. */
export class Failures {
  constructor(private readonly reads: Reads) {}

  /**
   * By period and currency, periods without any included.
   * @throws AppError BAD_USER_INPUT
   */
  async periods(range: Range, interval: ReportInterval): Promise<FailurePeriod[]> {
    checkRange(range, interval);
    const asked = [range.from.toISOString(), range.to.toISOString(), unitOf(interval)];
    const [periods, tries] = await Promise.all([
      this.reads.figures(byOutcome, asked),
      this.reads.figures(byReason, asked),
    ]);
    const reasons = reasonsOf(tries);
    return periods.map(([start, currency, ...figures]) => {
      const [count, failed, recovered, lost] = figures.map(Number) as [number, number, number, number];
      const money = (amount: number) => new Money(amount, currency!);
      return {
        start: new Date(Number(start)),
        count,
        failed: money(failed),
        recovered: money(recovered),
        lost: money(lost),
        open: money(failed - recovered - lost),
        recoveryRate: ratio(recovered, recovered + lost),
        reasons: (reasons.get(`${start} ${currency}`) ?? []).toSorted((a, b) => b.tries - a.tries),
      };
    });
  }
}

function reasonsOf(rows: readonly (string | null)[][]): Map<string, FailureReasonCount[]> {
  const found = new Map<string, Map<DeclineReason, FailureReasonCount>>();
  for (const [start, currency, code, declineCode = null, count] of rows) {
    const key = `${start} ${currency}`;
    const counts = found.get(key) ?? new Map<DeclineReason, FailureReasonCount>();
    found.set(key, counts);
    const reason = declineReason(code!, declineCode);
    const { tries, hard } = counts.get(reason) ?? { tries: 0, hard: 0 };
    const more = Number(count);
    counts.set(reason, { reason, tries: tries + more, hard: hard + (isHard(code!, declineCode) ? more : 0) });
  }
  return new Map([...found].map(([key, counts]) => [key, [...counts.values()]]));
}
