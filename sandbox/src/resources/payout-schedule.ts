import type Stripe from 'stripe';

const day = 86_400;
const weekdays = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];

/** Days between a payment and its money being available. {@link https://docs.stripe.com/payouts#payout-speed} */
export function delayDays(account: Stripe.Account | undefined): number {
  const delay = Number(account?.settings?.payouts?.schedule.delay_days);
  return Number.isInteger(delay) && delay >= 0 ? delay : 2;
}

/**
 * The next midnight (UTC), from `from` on, at which the schedule pays out; null when payouts are made by hand.
 * {@link https://docs.stripe.com/connect/manage-payout-schedule}
 */
export function nextPayoutDay(schedule: Stripe.Account.Settings.Payouts.Schedule, from: number): number | null {
  const first = Math.ceil(from / day) * day;
  if (schedule.interval === 'manual') return null;
  for (let at = first, i = 0; i < 32; i++, at += day) {
    if (isPayoutDay(schedule, new Date(at * 1000))) return at;
  }
  return first;
}

function isPayoutDay(schedule: Stripe.Account.Settings.Payouts.Schedule, date: Date): boolean {
  const lastOfMonth = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
  switch (schedule.interval) {
    case 'weekly': {
      const anchors: string[] = schedule.weekly_payout_days ?? [schedule.weekly_anchor ?? 'monday'];
      return anchors.includes(weekdays[date.getUTCDay()]!);
    }
    case 'monthly': {
      const anchors = schedule.monthly_payout_days ?? [schedule.monthly_anchor ?? 1];
      // The 31st is the last day of shorter months.
      return anchors.some((anchor) => Math.min(Number(anchor), lastOfMonth) === date.getUTCDate());
    }
    default:
      return true;
  }
}
