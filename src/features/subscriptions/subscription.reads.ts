import {
  anyOf,
  boolean,
  equals,
  extendReads,
  first,
  integer,
  list,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { discountReads } from './discount.reads.js';
import { contractReads } from '../contracts/contract.reads.js';
import { customerReads } from '../customers/customer.reads.js';
import { StripeSubscription } from './subscription.entity.js';

export const subscriptionReads = readModel(StripeSubscription, {
  table: 'stripe_subscriptions',
  fields: {
    id: uuid<Uuid>(),
    customer: one(() => customerReads, { customer_id: 'id' }),
    contract: one(() => contractReads, { contract_id: 'id' }),
    stripeSubscriptionId: text<StripeSubscription['stripeSubscriptionId']>(),
    status: text<StripeSubscription['status']>(),
    quantity: integer(),
    unitAmount: money('unit_amount'),
    interval: text<StripeSubscription['interval']>('billing_interval'),
    currentPeriodStart: time<Date | null>(),
    currentPeriodEnd: time<Date | null>(),
    nextChargeAt: time<Date | null>(),
    trialEnd: time<Date | null>(),
    intervalCount: integer(),
    cancelAt: time<Date | null>(),
    cancelAtPeriodEnd: boolean<boolean>(),
    collectionPaused: boolean<boolean>(),
    pauseBehavior: text<StripeSubscription['pauseBehavior']>(),
    resumesAt: time<Date | null>(),
    canceledAt: time<Date | null>(),
    endedAt: time<Date | null>(),
    discounts: list(
      () => discountReads,
      { stripe_subscription_id: 'stripe_subscription_id' },
      { where: { isInEffect: true }, limit: 20 },
    ),
    createdAt: time(),
    updatedAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
  filters: { status: anyOf('status'), customerId: equals('customer_id'), contractId: equals('contract_id') },
});

// A contract has one live subscription at most, and another is made only when that has ended: so the newest is the live one, if any is.
extendReads(contractReads, { subscription: first(() => subscriptionReads, { id: 'contract_id' }) });
