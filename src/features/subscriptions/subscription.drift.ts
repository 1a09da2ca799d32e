import {
  type DriftCheck,
  type DriftContext,
  differencesOf,
  type Facts,
  listedCandidates,
  orNull,
  repairFetched,
} from '../../jobs/drift.js';
import { type SubscriptionReport, subscriptionReport } from '../../stripe/billing-reports.js';
import { type SubscriptionId } from '../../stripe/types.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { recordSubscription, stampOf, subscriptionVersion } from './subscription-record.js';
import { StripeSubscription } from './subscription.entity.js';

/** Compares subscriptions: those made since, and all of ours that have not ended. */
export const subscriptionDrift: DriftCheck = {
  object: 'subscription',

  candidates(context) {
    const { accountId, since, stripe } = context;
    return listedCandidates(context, {
      list: stripe.listSubscriptions(since),
      report: subscriptionReport,
      differences,
      ours: [
        `select stripe_subscription_id as id from stripe_subscriptions where stripe_account_id = ? and ended_at is null`,
        [accountId],
      ],
    });
  },

  async compare(context, stripeId) {
    await context.spend();
    return differences(context, stripeId, await retrieve(context, stripeId));
  },

  repair: (context, stripeId) =>
    repairFetched<SubscriptionReport | null>(context, {
      version: (em) => subscriptionVersion(em, stripeId),
      load: () => retrieve(context, stripeId),
      async apply(em, report) {
        const { accountId } = context;
        if (report) await recordSubscription(em, report, { accountId, asOf: stampOf(report), fetched: true });
      },
    }),
};

async function differences({ db, accountId }: DriftContext, id: string, report: SubscriptionReport | null) {
  const { ours, isOurs } = await db.transaction(async (em) => {
    const stripeSubscriptionId = id as SubscriptionId;
    const found = await em.findOne(StripeSubscription, { stripeSubscriptionId, stripeAccountId: accountId });
    const owner = report && (await em.findOne(StripeCustomer, { stripeCustomerId: report.customerId }));
    return { ours: found, isOurs: found !== null || owner !== null };
  });
  // Of a customer who is none of ours it is none of ours.
  if (!isOurs) return [];
  return differencesOf(ours && { id: ours.id, facts: factsOf(ours) }, report && stripesFacts(report));
}

async function retrieve({ stripe }: DriftContext, id: string): Promise<SubscriptionReport | null> {
  const found = await orNull(stripe.retrieveSubscription(id as SubscriptionId));
  return found && subscriptionReport(found);
}

function factsOf(subscription: StripeSubscription): Facts {
  const { status, quantity, unitAmountMinor, currency, interval, intervalCount, cancelAtPeriodEnd } = subscription;
  const { collectionPaused, currentPeriodEnd, trialEnd, cancelAt, discountIds } = subscription;
  return {
    status,
    quantity,
    unitAmount: Number(unitAmountMinor),
    currency,
    interval,
    intervalCount,
    cancelAtPeriodEnd,
    collectionPaused,
    currentPeriodEnd: currentPeriodEnd?.toISOString() ?? null,
    trialEnd: trialEnd?.toISOString() ?? null,
    cancelAt: cancelAt?.toISOString() ?? null,
    discounts: discountIds.join(' '),
  };
}

/** What a subscription would be that was told of this and nothing else. */
function stripesFacts(report: SubscriptionReport): Facts {
  const subscription = new StripeSubscription();
  subscription.applyStripe(report, stampOf(report), true);
  return factsOf(subscription);
}
