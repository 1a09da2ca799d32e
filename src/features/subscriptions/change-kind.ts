import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { Command } from '../../jobs/commands/command.entity.js';
import { type CommandKind, type Running } from '../../jobs/commands/kind.js';
import { AppError, notFound } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { subscriptionReport, type SubscriptionReport } from '../../stripe/billing-reports.js';
import { type AccountId, type Metadata, type Subscription, type SubscriptionId } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import { StripeSubscription } from './subscription.entity.js';
import { recordSubscription, stampOf, subscriptionVersion } from './subscription-record.js';

/** What every change of a subscription knows. */
interface Target {
  readonly stripeSubscriptionId: SubscriptionId;
}

interface Definition<Params extends { readonly id: Uuid }, Plan extends object> {
  /** What comes after `subscriptions.` */
  readonly verb: string;
  /** Checks the request against the row, which is locked. */
  readonly plan: (
    em: EntityManager,
    params: Params,
    subscription: StripeSubscription,
    command: Command,
  ) => Promise<Plan> | Plan;
  /** @param change what is to be written on the subscription along with the change, where Stripe's call takes it */
  readonly send: (
    running: Running<Plan & Target>,
    keyed: { readonly key: string; readonly metadata: Metadata },
  ) => Promise<Subscription>;
  /** Whether Stripe's subscription shows that it was done, for changes that leave no metadata. */
  readonly isDone?: (report: SubscriptionReport, plan: Plan) => boolean;
}

/** Names the last change of ours on a subscription at Stripe. */
const changeKey = 'psa_change_id';
const prefix = 'subscriptions.';

/**
 * Commands that Stripe has answered in this process. For them, whatever is there now is what came of it: a resumption that waits for its
 * payment looks as if nothing had happened.
 */
const answered = new WeakSet<Command>();

/**
 * A kind of command that changes one subscription. One at a time: while the outcome of one is not known, another one is refused, so that
 * what Stripe has can be told to be the first one's doing.
 */
export function changeKind<Params extends { readonly id: Uuid }, Plan extends object>({
  verb,
  plan: planOf,
  send,
  isDone,
}: Definition<Params, Plan>): CommandKind<Params, Plan & Target, SubscriptionReport> {
  return {
    name: `${prefix}${verb}`,

    async prepare(em, params, command) {
      const { id } = params;
      const subscription = await em.findOne(StripeSubscription, { id }, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!subscription) throw notFound('subscription', 'input.id');
      const config = await connectedAccount(em);
      if (config.stripeAccountId !== subscription.stripeAccountId)
        throw new AppError('ACCOUNT_DISCONNECTED', 'The subscription is on an account that is disconnected.');
      const open = { kind: { $like: `${prefix}%` }, subjectId: id, finishedAt: null };
      if ((await em.count(Command, { ...open, id: { $ne: command.id } })) > 0)
        throw new AppError('CONFLICT', 'Another change of this subscription is not settled yet.', {
          field: 'input.id',
        });
      command.subjectId = id;
      command.stripeAccountId = subscription.stripeAccountId;
      const plan = await planOf(em, params, subscription, command);
      const { id: _, ...details } = params;
      audit(em, {
        actor: command.actor,
        action: `subscription.${verb}`,
        subjectType: 'subscription',
        subjectId: id,
        details,
      });
      return { ...plan, stripeSubscriptionId: subscription.stripeSubscriptionId };
    },

    async send(running, key) {
      const { command } = running;
      const subscription = await send(running, { key, metadata: { [changeKey]: command.id } });
      answered.add(command);
      return subscriptionReport(subscription);
    },

    async find({ stripe, plan, command }) {
      const report = subscriptionReport(await stripe.retrieveSubscription(plan.stripeSubscriptionId));
      const isOurs = report.metadata[changeKey] === command.id || isDone?.(report, plan) === true;
      return isOurs || answered.has(command) ? report : null;
    },

    async apply(em, { command }, report, fetched) {
      // An answer carries no stamp that could put it in order with what was reported meanwhile.
      if (!fetched) return 'again';
      const accountId = command.stripeAccountId as AccountId;
      await recordSubscription(em, report, { accountId, asOf: stampOf(report), fetched });
      return { subscriptionId: command.subjectId, stripeSubscriptionId: report.id, stripeAccountId: accountId };
    },

    reject: () => Promise.resolve(),
    version: (em, { plan }) => subscriptionVersion(em, plan.stripeSubscriptionId),
    details: ({ subjectId }) => ({ subscriptionId: subjectId! }),
  };
}

/** @throws AppError always: the subscription is in a state that does not allow it */
export function wrongState({ status }: Pick<StripeSubscription, 'status'>, verb: string): AppError {
  const state = status.toLowerCase().replaceAll('_', ' ');
  return new AppError('INVALID_STATE', `The subscription is ${state}: it cannot be ${verb}.`, { field: 'input.id' });
}
