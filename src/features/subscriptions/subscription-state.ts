import { registerEnumType } from 'type-graphql';
import { assertUnreachable } from '../../shared/errors.js';
import { type SubscriptionReport } from '../../stripe/billing-reports.js';
import { BillingInterval } from '../contracts/contract.entity.js';

/** https://docs.stripe.com/billing/subscriptions/overview#subscription-statuses */
export enum SubscriptionStatus {
  INCOMPLETE = 'INCOMPLETE',
  INCOMPLETE_EXPIRED = 'INCOMPLETE_EXPIRED',
  TRIALING = 'TRIALING',
  ACTIVE = 'ACTIVE',
  PAST_DUE = 'PAST_DUE',
  CANCELED = 'CANCELED',
  UNPAID = 'UNPAID',
  PAUSED = 'PAUSED',
}
registerEnumType(SubscriptionStatus, {
  name: 'SubscriptionStatus',
  description: 'Where a subscription stands, as Stripe has it.',
  valuesConfig: {
    INCOMPLETE: { description: 'The first payment is due within 23 hours.' },
    INCOMPLETE_EXPIRED: { description: 'The first payment did not come in time. Final.' },
    TRIALING: { description: 'In its trial, or not begun yet; nothing is charged.' },
    ACTIVE: { description: 'Paid up.' },
    PAST_DUE: { description: 'The latest invoice was not paid; Stripe is trying again.' },
    CANCELED: { description: 'Ended. Final.' },
    UNPAID: { description: 'The tries are used up; invoices are made, but not charged.' },
    PAUSED: { description: 'Stopped: no invoices and no new periods until it is resumed.' },
  },
});

/** What becomes of the invoices of a pause. https://docs.stripe.com/billing/subscriptions/pause-payment */
export enum SubscriptionPauseBehavior {
  VOID = 'VOID',
  KEEP_AS_DRAFT = 'KEEP_AS_DRAFT',
  MARK_UNCOLLECTIBLE = 'MARK_UNCOLLECTIBLE',
  STOP = 'STOP',
}
registerEnumType(SubscriptionPauseBehavior, {
  name: 'SubscriptionPauseBehavior',
  description:
    'What a pause does. All but STOP leave the status and the periods as they are, and only stop collecting.',
  valuesConfig: {
    VOID: { description: 'Invoices are made and withdrawn: the time of the pause is free.' },
    KEEP_AS_DRAFT: { description: 'Invoices are made and kept as drafts, to be collected later.' },
    MARK_UNCOLLECTIBLE: { description: 'Invoices are made and written off.' },
    STOP: { description: 'The subscription itself stops: status PAUSED, no invoices, no new periods.' },
  },
});

export function subscriptionStatusOf(status: SubscriptionReport['status']): SubscriptionStatus {
  switch (status) {
    case 'incomplete':
      return SubscriptionStatus.INCOMPLETE;
    case 'incomplete_expired':
      return SubscriptionStatus.INCOMPLETE_EXPIRED;
    case 'trialing':
      return SubscriptionStatus.TRIALING;
    case 'active':
      return SubscriptionStatus.ACTIVE;
    case 'past_due':
      return SubscriptionStatus.PAST_DUE;
    case 'canceled':
      return SubscriptionStatus.CANCELED;
    case 'unpaid':
      return SubscriptionStatus.UNPAID;
    case 'paused':
      return SubscriptionStatus.PAUSED;
    default:
      return assertUnreachable(status);
  }
}

export function pauseBehaviorOf(
  behavior: NonNullable<SubscriptionReport['pauseBehavior']>,
): Exclude<SubscriptionPauseBehavior, SubscriptionPauseBehavior.STOP> {
  switch (behavior) {
    case 'void':
      return SubscriptionPauseBehavior.VOID;
    case 'keep_as_draft':
      return SubscriptionPauseBehavior.KEEP_AS_DRAFT;
    case 'mark_uncollectible':
      return SubscriptionPauseBehavior.MARK_UNCOLLECTIBLE;
    default:
      return assertUnreachable(behavior);
  }
}

/** A final status is never left. */
export function isFinalSubscription(status: SubscriptionStatus): boolean {
  return status === SubscriptionStatus.CANCELED || status === SubscriptionStatus.INCOMPLETE_EXPIRED;
}

/** Stripe's interval of ours: a quarter is three months there. */
export function stripeIntervalOf(interval: BillingInterval): {
  interval: SubscriptionReport['interval'];
  intervalCount: number;
} {
  switch (interval) {
    case BillingInterval.DAY:
      return { interval: 'day', intervalCount: 1 };
    case BillingInterval.WEEK:
      return { interval: 'week', intervalCount: 1 };
    case BillingInterval.MONTH:
      return { interval: 'month', intervalCount: 1 };
    case BillingInterval.QUARTER:
      return { interval: 'month', intervalCount: 3 };
    case BillingInterval.YEAR:
      return { interval: 'year', intervalCount: 1 };
    default:
      return assertUnreachable(interval);
  }
}

/** Ours of Stripe's, and every how many of them. */
export function billingIntervalOf({
  interval,
  intervalCount,
}: Pick<SubscriptionReport, 'interval' | 'intervalCount'>): {
  interval: BillingInterval;
  intervalCount: number;
} {
  if (interval === 'month' && intervalCount % 3 === 0)
    return intervalCount % 12 === 0
      ? { interval: BillingInterval.YEAR, intervalCount: intervalCount / 12 }
      : { interval: BillingInterval.QUARTER, intervalCount: intervalCount / 3 };
  return { interval: interval.toUpperCase() as BillingInterval, intervalCount };
}

/** When money is asked for next without anybody's doing; null when it will not be. */
export function nextChargeOf(report: SubscriptionReport): Date | null {
  const { status, currentPeriodEnd, trialEnd, cancelAt, cancelAtPeriodEnd, pauseBehavior, resumesAt } = report;
  if (status !== 'active' && status !== 'past_due' && status !== 'trialing') return null;
  const next = status === 'trialing' ? (trialEnd ?? currentPeriodEnd) : currentPeriodEnd;
  if (!next || cancelAtPeriodEnd || (cancelAt && cancelAt <= next)) return null;
  // Invoices of the pause are not collected; one that is made after its end is.
  if (pauseBehavior && (!resumesAt || resumesAt > next)) return null;
  return next;
}
