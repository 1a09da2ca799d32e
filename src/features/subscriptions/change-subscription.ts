import { AppError, badInput } from '../../shared/errors.js';
import { checkAmount } from '../../shared/money.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountId, type SubscriptionItemId } from '../../stripe/types.js';
import { changeKind, wrongState } from './change-kind.js';
import { checkQuantity } from './create-subscription.js';
import { ensureStripePrice, type WantedPrice } from './stripe-price.js';
import { type StripeSubscription } from './subscription.entity.js';
import { SubscriptionPauseBehavior, SubscriptionStatus } from './subscription-state.js';

/** What a client wants to be different. Null leaves it. */
export interface UpdateSubscription {
  readonly id: Uuid;
  readonly quantity: number | null;
  readonly unitAmount: { readonly amount: number; readonly currency: string } | null;
  readonly prorate: boolean;
  /** RFC 3339: the instant to prorate by, as a preview said it. */
  readonly prorationDate: string | null;
}

/** The change as Stripe is asked for it; checked against the subscription. */
export interface PlannedChange {
  readonly itemId: SubscriptionItemId;
  readonly quantity: number | null;
  readonly price: WantedPrice | null;
  readonly prorate: boolean;
  readonly prorationDate: string | null;
}

const changeable = [SubscriptionStatus.ACTIVE, SubscriptionStatus.TRIALING, SubscriptionStatus.PAST_DUE];

/**
 * What a request for other seats or another price means for this subscription.
 * @throws AppError BAD_USER_INPUT · AMOUNT_TOO_LARGE · INVALID_STATE
 */
export function planChange(input: UpdateSubscription, subscription: StripeSubscription): PlannedChange {
  const { quantity, unitAmount, prorate, prorationDate } = input;
  if (quantity === null && unitAmount === null) throw badInput('input', 'Give a quantity, a unit amount, or both.');
  if (!changeable.includes(subscription.status)) throw wrongState(subscription, 'changed');
  const { stripeItemId: itemId, contractId } = subscription;
  if (!itemId) throw new AppError('INVALID_STATE', 'The subscription has nothing to change.', { field: 'input.id' });
  if (quantity !== null) checkQuantity(quantity, 'input.quantity');
  if (unitAmount === null) return { itemId, quantity, price: null, prorate, prorationDate };
  const { amount, currency } = unitAmount;
  if (currency !== subscription.currency)
    throw badInput('input.unitAmount.currency', `The subscription is in ${subscription.currency}.`);
  checkAmount(amount, currency, 'input.unitAmount.amount');
  if (contractId === null || subscription.intervalCount !== 1)
    throw new AppError('INVALID_STATE', 'The subscription was not made here: change its price at Stripe.', {
      field: 'input.id',
    });
  const { stripeAccountId: accountId, interval } = subscription;
  const price = { contractId, accountId, unitAmount: amount, currency, interval };
  return { itemId, quantity, price, prorate, prorationDate };
}

/** Other seats, or another price. */
export const updateSubscription = changeKind<UpdateSubscription, PlannedChange>({
  verb: 'update',
  plan: (_em, params, subscription) => planChange(params, subscription),
  async send({ plan, stripe, commands, command }, { key, metadata }) {
    const { itemId, quantity, price, prorate, prorationDate } = plan;
    const priceId = price && (await ensureStripePrice(commands, price, command.actor));
    const change = {
      itemId,
      prorate,
      metadata,
      ...(quantity !== null && { quantity }),
      ...(priceId !== null && { priceId }),
      ...(prorationDate !== null && { prorationDate: new Date(prorationDate) }),
    };
    return stripe.updateSubscription(plan.stripeSubscriptionId, change, { key });
  },
});

export interface CancelSubscription {
  readonly id: Uuid;
  /** Otherwise now, for good. */
  readonly atPeriodEnd: boolean;
  /** Takes back what was asked for before, instead. */
  readonly undo: boolean;
  /** Gives back the time that is left, when it ends now. */
  readonly prorate: boolean;
}

interface CancelPlan {
  readonly how: 'now' | 'period_end' | 'undo';
  readonly prorate: boolean;
  /** RFC 3339: when the contract ends, which an undone cancellation falls back to. */
  readonly contractEnd: string | null;
}

/** Ends a subscription with its period or now, or takes back that it will end. */
export const cancelSubscription = changeKind<CancelSubscription, CancelPlan>({
  verb: 'cancel',
  async plan(em, { atPeriodEnd, undo, prorate }, subscription) {
    if (subscription.isFinal) throw wrongState(subscription, undo ? 'revived' : 'canceled');
    if (undo && !subscription.cancelAtPeriodEnd)
      throw new AppError('INVALID_STATE', 'No end with the period was asked for: there is nothing to take back.', {
        field: 'input.undo',
      });
    const isUnbegun = subscription.status === SubscriptionStatus.INCOMPLETE;
    if (!undo && atPeriodEnd && isUnbegun) throw wrongState(subscription, 'canceled at the end of a period');
    const [contract] = await em.execute<{ ends_at: string | Date | null }[]>(
      'select ends_at from contracts where id = ?',
      [subscription.contractId],
    );
    const contractEnd = contract?.ends_at ? new Date(contract.ends_at).toISOString() : null;
    return { how: undo ? 'undo' : atPeriodEnd ? 'period_end' : 'now', prorate, contractEnd };
  },
  send({ plan, stripe }, { key, metadata }) {
    const { stripeSubscriptionId: id, how, prorate, contractEnd } = plan;
    if (how === 'now') return stripe.cancelSubscription(id, { prorate }, { key });
    const back = contractEnd ? new Date(contractEnd) : 'not_period_end';
    return stripe.scheduleCancellation(id, how === 'period_end' ? 'period_end' : back, { key, metadata });
  },
  isDone: ({ status }, { how }) => how === 'now' && status === 'canceled',
});

export interface PauseSubscription {
  readonly id: Uuid;
  readonly behavior: SubscriptionPauseBehavior;
  /** RFC 3339; null for by hand only. */
  readonly resumesAt: string | null;
}

const stripeBehavior = {
  [SubscriptionPauseBehavior.VOID]: 'void',
  [SubscriptionPauseBehavior.KEEP_AS_DRAFT]: 'keep_as_draft',
  [SubscriptionPauseBehavior.MARK_UNCOLLECTIBLE]: 'mark_uncollectible',
} as const;

/** Stops collecting for a while, or the subscription itself. */
export const pauseSubscription = changeKind<PauseSubscription, Pick<PauseSubscription, 'behavior' | 'resumesAt'>>({
  verb: 'pause',
  plan(_em, { behavior, resumesAt }, subscription, { createdAt }) {
    if (!changeable.includes(subscription.status)) throw wrongState(subscription, 'paused');
    if (resumesAt !== null && behavior === SubscriptionPauseBehavior.STOP)
      throw badInput('input.resumesAt', 'A subscription that is stopped is resumed by hand.');
    if (resumesAt !== null && new Date(resumesAt) <= createdAt)
      throw badInput('input.resumesAt', 'It must be in the future.');
    return { behavior, resumesAt };
  },
  send({ plan, stripe }, keyed) {
    const { stripeSubscriptionId: id, behavior, resumesAt } = plan;
    if (behavior === SubscriptionPauseBehavior.STOP) return stripe.pauseSubscription(id, { key: keyed.key });
    const pause = { behavior: stripeBehavior[behavior], ...(resumesAt !== null && { resumesAt: new Date(resumesAt) }) };
    return stripe.pauseCollection(id, pause, keyed);
  },
  isDone: ({ status }, { behavior }) => behavior === SubscriptionPauseBehavior.STOP && status === 'paused',
});

export interface ResumeSubscription {
  readonly id: Uuid;
}

interface ResumePlan {
  readonly accountId: AccountId;
  /** Whether the subscription itself was stopped, not just its collection. */
  readonly isStopped: boolean;
}

/** Collects again; or begins a new period, when the subscription itself was stopped. */
export const resumeSubscription = changeKind<ResumeSubscription, ResumePlan>({
  verb: 'resume',
  plan(_em, _params, subscription) {
    const isStopped = subscription.status === SubscriptionStatus.PAUSED;
    if (!isStopped && (subscription.isFinal || !subscription.collectionPaused))
      throw new AppError('INVALID_STATE', 'The subscription is not paused.', { field: 'input.id' });
    return { accountId: subscription.stripeAccountId, isStopped };
  },
  send({ plan, stripe }, keyed) {
    const { stripeSubscriptionId: id, isStopped } = plan;
    return isStopped ? stripe.resumeSubscription(id, { key: keyed.key }) : stripe.pauseCollection(id, null, keyed);
  },
  isDone: ({ status }, { isStopped }) => isStopped && status !== 'paused',
});
