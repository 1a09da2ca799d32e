import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type Order } from '../../shared/ordering.js';
import { type SubscriptionReport } from '../../stripe/billing-reports.js';
import { type AccountId, type SubscriptionId } from '../../stripe/types.js';
import { Contract } from '../contracts/contract.entity.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { StripeSubscription } from './subscription.entity.js';
import { billingIntervalOf, isFinalSubscription, subscriptionStatusOf } from './subscription-state.js';

// The one place where what Stripe says of a subscription becomes a row: answers to our own calls, webhooks and look-ups all end here.

/** The contract that a subscription of ours bills, written on it at Stripe. */
export const contractKey = 'psa_contract_id';

/** Where a report comes from. */
export interface BillingSource {
  readonly accountId: AccountId;
  /** Stripe's stamp of the report. */
  readonly asOf: Date;
  /** Whether it was read from Stripe, and nothing was written in between. */
  readonly fetched: boolean;
}

/** The latest moment that an answer of Stripe surely knew of: answers carry no stamp of their own. */
export function stampOf({ created, canceledAt, endedAt }: SubscriptionReport): Date {
  return new Date(Math.max(+created, +(canceledAt ?? 0), +(endedAt ?? 0)));
}

/**
 * Records what Stripe says of a subscription. One that we did not make is taken over when its customer is one of ours.
 * @returns null when it is nobody's whom we know; `unclear` when the report cannot be put in order: fetch the subscription and record that
 */
export async function recordSubscription(
  em: EntityManager,
  report: SubscriptionReport,
  { accountId, asOf, fetched }: BillingSource,
): Promise<{ subscription: StripeSubscription; order: Order } | null> {
  const subscription = (await lockSubscription(em, report.id, accountId)) ?? (await adopt(em, report, accountId));
  return subscription && { subscription, order: subscription.applyStripe(report, asOf, fetched) };
}

/** The row of one of Stripe's subscriptions, locked. */
export function lockSubscription(
  em: EntityManager,
  stripeSubscriptionId: SubscriptionId,
  stripeAccountId: AccountId,
): Promise<StripeSubscription | null> {
  const lock = { lockMode: LockMode.PESSIMISTIC_WRITE } as const;
  return em.findOne(StripeSubscription, { stripeSubscriptionId, stripeAccountId }, lock);
}

/** Locks the row of one of Stripe's subscriptions, and says which version of it this is. */
export async function subscriptionVersion(em: EntityManager, stripeSubscriptionId: string): Promise<string | null> {
  const rows = await em.execute<{ version: string }[]>(
    'select updated_at::text as version from stripe_subscriptions where stripe_subscription_id = ? for update',
    [stripeSubscriptionId],
  );
  return rows[0]?.version ?? null;
}

/** Makes the row of a subscription that is seen for the first time. */
async function adopt(
  em: EntityManager,
  report: SubscriptionReport,
  stripeAccountId: AccountId,
): Promise<StripeSubscription | null> {
  const owner = await em.findOne(StripeCustomer, { stripeCustomerId: report.customerId, stripeAccountId });
  if (!owner) return null;
  // Two events of one subscription may be here at once; the second waits for the first, and takes its row. What is written here
  // only makes the row: the report is applied to it next.
  await em.execute(
    `insert into stripe_subscriptions (tenant_id, livemode, customer_id, stripe_account_id, stripe_subscription_id, status,
       unit_amount, currency, billing_interval)
     values (?, ?, ?, ?, ?, 'INCOMPLETE', ?, ?, ?) on conflict (tenant_id, stripe_subscription_id) do nothing`,
    [
      ...[tenantOf(em), livemodeOf(em), owner.customerId, stripeAccountId, report.id],
      ...[report.unitAmount, report.currency, billingIntervalOf(report).interval],
    ],
  );
  const subscription = await lockSubscription(em, report.id, stripeAccountId);
  if (subscription && !subscription.stripeAsOf)
    subscription.contractId = await contractOf(em, report, owner.customerId);
  return subscription;
}

/**
 * The contract that a subscription says it bills. Metadata can be copied to another subscription in the dashboard; a contract belongs to
 * the first that lives.
 */
async function contractOf(
  em: EntityManager,
  { metadata, status }: SubscriptionReport,
  customerId: number,
): Promise<number | null> {
  const id = Number(metadata[contractKey]);
  if (!Number.isSafeInteger(id) || id <= 0 || id > 2_147_483_647) return null;
  const contract = await em.findOne(Contract, { id, customerId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
  if (!contract) return null;
  const isTaken = !isFinalSubscription(subscriptionStatusOf(status)) && (await liveSubscription(em, id)) !== null;
  return isTaken ? null : id;
}

/** The subscription that bills a contract now; null when none does. */
export async function liveSubscription(em: EntityManager, contractId: number): Promise<StripeSubscription | null> {
  const all = await em.find(StripeSubscription, { contractId });
  return all.find(({ isFinal }) => !isFinal) ?? null;
}
