/**
 * Billing periods. All boundaries are computed from one anchor, never from the previous boundary: so 31 January is followed by
 * 28 February and then by 31 March. {@link https://docs.stripe.com/billing/subscriptions/billing-cycle}
 */

export interface Recurrence {
  /** `day` | `week` | `month` | `year`. */
  interval: string;
  interval_count: number;
}

/** Unix seconds. */
export interface Period {
  start: number;
  end: number;
}

const day = 86_400;

/** The boundary `n` intervals after the anchor (before it, when `n` is negative). Months are clamped to their last day. */
export function boundary(anchor: number, { interval, interval_count: count }: Recurrence, n: number): number {
  const steps = n * count;
  if (interval === 'day') return anchor + steps * day;
  if (interval === 'week') return anchor + steps * 7 * day;
  const date = new Date(anchor * 1000);
  const months = date.getUTCFullYear() * 12 + date.getUTCMonth() + (interval === 'year' ? 12 * steps : steps);
  const year = Math.floor(months / 12);
  const month = months - year * 12;
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const midnight = Date.UTC(year, month, Math.min(date.getUTCDate(), lastDay)) / 1000;
  return midnight + (anchor - Math.floor(anchor / day) * day);
}

const roughly: Record<string, number> = { day, week: 7 * day, month: 30.436875 * day, year: 365.2425 * day };

/** The period of the cycle around `at`: `start <= at < end`. */
export function periodAt(anchor: number, recurrence: Recurrence, at: number): Period {
  const length = (roughly[recurrence.interval] ?? day) * recurrence.interval_count;
  let n = Math.floor((at - anchor) / length);
  while (boundary(anchor, recurrence, n) > at) n--;
  while (boundary(anchor, recurrence, n + 1) <= at) n++;
  return { start: boundary(anchor, recurrence, n), end: boundary(anchor, recurrence, n + 1) };
}

/** The next anchor that lies on a day of the month (and hour, minute, second) of the caller's choosing. */
export function anchorFrom(
  now: number,
  config: { day_of_month: number; month?: number; hour?: number; minute?: number; second?: number },
): number {
  const from = new Date(now * 1000);
  for (let ahead = 0; ahead < 24; ahead++) {
    const year = from.getUTCFullYear();
    const month = from.getUTCMonth() + ahead;
    const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
    const at = new Date(
      Date.UTC(
        year,
        month,
        Math.min(config.day_of_month, lastDay),
        config.hour ?? from.getUTCHours(),
        config.minute ?? from.getUTCMinutes(),
        config.second ?? from.getUTCSeconds(),
      ),
    );
    if (config.month !== undefined && at.getUTCMonth() + 1 !== config.month) continue;
    if (at.getTime() / 1000 >= now) return Math.floor(at.getTime() / 1000);
  }
  return now;
}

/** `01 Feb 2026`, as descriptions of prorations show a day. */
export function dayText(at: number): string {
  const [, date = '', month = '', year = ''] = new Date(at * 1000).toUTCString().split(' ');
  return `${date} ${month} ${year}`;
}
