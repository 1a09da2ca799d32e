import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { Command } from '../../jobs/commands/command.entity.js';
import { type CommandKind } from '../../jobs/commands/kind.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { subscriptionReport, type SubscriptionReport } from '../../stripe/billing-reports.js';
import {
  type AccountId,
  type CustomerId,
  expanded,
  type Invoice,
  type Metadata,
  type PaymentMethodId,
  type SetupIntent,
  type Subscription,
} from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { type BillingInterval, Contract, ContractStatus } from '../contracts/contract.entity.js';
import { ensureStripeCustomer, knownStripeCustomer } from '../customers/stripe-customer.js';
import { chargeableAccount } from '../onboarding/connected-account.js';
import { ensureStripePrice } from './stripe-price.js';
import { contractKey, liveSubscription, recordSubscription, stampOf } from './subscription-record.js';

/** What a client asks for. */
export interface CreateSubscription {
  readonly contractId: number;
  /** The contract's own unless given. */
  readonly quantity: number | null;
  readonly trialDays: number | null;
  readonly paymentMethodId: Uuid | null;
}

/** What is sent to Stripe. */
interface CreationPlan {
  readonly contractId: number;
  readonly customerId: number;
  /** Null when Stripe does not know the customer yet. */
  readonly stripeCustomerId: CustomerId | null;
  readonly unitAmount: number;
  readonly currency: string;
  readonly interval: BillingInterval;
  readonly quantity: number;
  /** `"2.50"`; null for nothing. */
  readonly feePercent: string | null;
  readonly trialDays: number | null;
  /** RFC 3339: when the first payment is due, for a contract that begins later. */
  readonly trialEnd: string | null;
  readonly cancelAt: string | null;
  readonly stripePaymentMethodId: PaymentMethodId | null;
  readonly description: string;
  readonly metadata: Metadata;
}

/** What the browser confirms with, and which of the two things that Stripe.js then does. Never stored. */
export interface Confirmation {
  readonly clientSecret: string;
  readonly confirms: 'payment' | 'setup';
}

export interface CreationReport {
  readonly subscription: SubscriptionReport;
  readonly confirmation: Confirmation | null;
}

/** Names the request that made a subscription, on the subscription. */
const requestKey = 'psa_request_id';

const dayMs = 86_400_000;
/** Stripe's own limit on a trial: two years. */
const longestTrialDays = 730;

/** Bills a contract through Stripe from now on, or from its later start. */
export const createSubscription: CommandKind<CreateSubscription, CreationPlan, CreationReport> = {
  name: 'subscriptions.create',

  async prepare(em, params, command) {
    const { contractId, trialDays, paymentMethodId } = params;
    const config = await chargeableAccount(em);
    const { stripeAccountId, feeRule } = config;
    // Whoever else asks for a subscription of this contract waits here.
    const contract = await em.findOne(Contract, { id: contractId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
    if (!contract) throw notFound('contract', 'input.contractId');
    await checkFree(em, contract, command);
    const quantity = params.quantity ?? contract.quantity;
    checkQuantity(quantity, 'input.quantity');
    if (trialDays !== null && (trialDays < 1 || trialDays > longestTrialDays))
      throw badInput('input.trialDays', `A trial has 1 to ${longestTrialDays} days.`);
    const { startsAt, endsAt } = contract;
    const now = command.createdAt;
    if (endsAt && endsAt <= now) throw wrongContract('has ended');
    const start = startsAt > now ? new Date(startsAt.getTime() + (trialDays ?? 0) * dayMs) : null;
    if (endsAt && start && start >= endsAt)
      throw badInput('input.trialDays', 'The trial would last until the contract ends.');
    const stripePaymentMethodId =
      paymentMethodId && (await chargeableMethod(em, paymentMethodId, contract.customerId, stripeAccountId));
    command.subjectId = String(contractId);
    command.stripeAccountId = stripeAccountId;
    audit(em, {
      actor: command.actor,
      action: 'subscription.create',
      subjectType: 'contract',
      subjectId: String(contractId),
      details: { quantity, unitAmount: contract.unitAmountMinor, currency: contract.currency, trialDays },
    });
    return {
      contractId,
      customerId: contract.customerId,
      stripeCustomerId: await knownStripeCustomer(em, contract.customerId, stripeAccountId),
      unitAmount: contract.unitAmountMinor,
      currency: contract.currency,
      interval: contract.interval,
      quantity,
      feePercent: Number(feeRule.percent) > 0 ? feeRule.percent : null,
      trialDays: start ? null : trialDays,
      trialEnd: start?.toISOString() ?? null,
      cancelAt: endsAt?.toISOString() ?? null,
      stripePaymentMethodId,
      description: contract.name,
      metadata: { [contractKey]: String(contractId), [requestKey]: command.id },
    };
  },

  async send({ plan, command, commands, stripe }, key) {
    const accountId = command.stripeAccountId as AccountId;
    const { customerId, contractId, unitAmount, currency, interval } = plan;
    const { actor } = command;
    const stripeCustomerId =
      plan.stripeCustomerId ?? (await ensureStripeCustomer(commands, { customerId, accountId, actor }));
    const priceId = await ensureStripePrice(commands, { contractId, accountId, unitAmount, currency, interval }, actor);
    const subscription = await stripe.createSubscription(
      {
        customerId: stripeCustomerId,
        priceId,
        quantity: plan.quantity,
        ...(plan.feePercent !== null && { applicationFeePercent: Number(plan.feePercent) }),
        ...(plan.trialDays !== null && { trialDays: plan.trialDays }),
        ...(plan.trialEnd !== null && { trialEnd: new Date(plan.trialEnd) }),
        ...(plan.cancelAt !== null && { cancelAt: new Date(plan.cancelAt) }),
        ...(plan.stripePaymentMethodId !== null && { paymentMethodId: plan.stripePaymentMethodId, chargeNow: true }),
        description: plan.description,
        metadata: plan.metadata,
      },
      { key },
    );
    return reportOf(subscription);
  },

  async find({ stripe, plan, command }) {
    const found = await stripe.findSubscription({
      metadata: { [requestKey]: plan.metadata[requestKey]! },
      since: command.sentAt ?? command.createdAt,
    });
    return found && reportOf(found);
  },

  async apply(em, { command }, { subscription: report }, fetched) {
    const accountId = command.stripeAccountId as AccountId;
    const recorded = await recordSubscription(em, report, { accountId, asOf: stampOf(report), fetched });
    if (!recorded) throw new Error('The subscription is of a customer that is not known.');
    if (recorded.order === 'unclear') return 'again';
    const { subscription } = recorded;
    await em.flush();
    return { subscriptionId: subscription.id, stripeSubscriptionId: report.id, stripeAccountId: accountId };
  },

  reject: () => Promise.resolve(),

  async version(em, { plan }) {
    const rows = await em.execute<{ version: string }[]>(
      'select updated_at::text as version from stripe_subscriptions where contract_id = ? order by id desc limit 1 for update',
      [plan.contractId],
    );
    return rows[0]?.version ?? null;
  },
  details: ({ subjectId }) => ({ contractId: subjectId! }),
};

/** @throws AppError BAD_USER_INPUT */
export function checkQuantity(quantity: number, field: string): void {
  if (!Number.isSafeInteger(quantity) || quantity < 1 || quantity > 1_000_000)
    throw badInput(field, 'The quantity is a whole number from 1 to 1,000,000.');
}

/** What the payer must confirm for a subscription to begin: its first payment, or that a method may be kept for it. */
export function confirmationOf(subscription: Subscription): Confirmation | null {
  const invoice = expanded<Invoice>(subscription.latest_invoice);
  const payment = invoice?.status === 'open' ? invoice.confirmation_secret?.client_secret : null;
  if (payment) return { clientSecret: payment, confirms: 'payment' };
  const setup = expanded<SetupIntent>(subscription.pending_setup_intent)?.client_secret;
  return setup ? { clientSecret: setup, confirms: 'setup' } : null;
}

function reportOf(subscription: Subscription): CreationReport {
  return { subscription: subscriptionReport(subscription), confirmation: confirmationOf(subscription) };
}

/** One contract bills once. */
async function checkFree(em: EntityManager, contract: Contract, { id, kind }: Command): Promise<void> {
  if (contract.status !== ContractStatus.ACTIVE) throw wrongContract(`is ${contract.status.toLowerCase()}`);
  if (contract.unitAmountMinor === 0) throw wrongContract('costs nothing');
  // In this order: a command that is finished between the two looks has left its subscription behind.
  const open = { kind, subjectId: String(contract.id), finishedAt: null, id: { $ne: id } };
  if ((await em.count(Command, open)) > 0)
    throw new AppError('CONFLICT', 'A subscription of this contract is being made already.', {
      field: 'input.contractId',
    });
  if (await liveSubscription(em, contract.id)) throw wrongContract('has a subscription already');
}

function wrongContract(why: string): AppError {
  return new AppError('INVALID_STATE', `The contract ${why}.`, { field: 'input.contractId' });
}

/** A saved method of the customer. Read as a row: payment methods build on subscriptions, not the reverse. */
async function chargeableMethod(
  em: EntityManager,
  id: Uuid,
  customerId: number,
  accountId: AccountId,
): Promise<PaymentMethodId> {
  const field = 'input.paymentMethodId';
  const [method] = await em.execute<
    {
      customer_id: number;
      status: string;
      mandate_status: string | null;
      stripe_account_id: string;
      stripe_payment_method_id: PaymentMethodId;
    }[]
  >(
    'select customer_id, status, mandate_status, stripe_account_id, stripe_payment_method_id from payment_methods where id = ?',
    [id],
  );
  if (!method || method.stripe_account_id !== accountId) throw notFound('payment method', field);
  if (method.customer_id !== customerId) throw badInput(field, 'The payment method is of another customer.');
  if (method.status === 'DETACHED') throw new AppError('INVALID_STATE', 'The payment method was removed.', { field });
  if (method.mandate_status === 'INACTIVE')
    throw new AppError('INVALID_STATE', 'The mandate to debit this bank account has ended.', { field });
  return method.stripe_payment_method_id;
}
