import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { Money } from '../../shared/money.types.js';
import { orderOf, type Order } from '../../shared/ordering.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type SubscriptionReport } from '../../stripe/billing-reports.js';
import {
  type AccountId,
  type DiscountId,
  type PaymentMethodId,
  type SubscriptionId,
  type SubscriptionItemId,
} from '../../stripe/types.js';
import { BillingInterval, Contract } from '../contracts/contract.entity.js';
import { Customer } from '../customers/customer.entity.js';
import { StripeDiscount } from './discount.entity.js';
import {
  billingIntervalOf,
  isFinalSubscription,
  nextChargeOf,
  pauseBehaviorOf,
  SubscriptionPauseBehavior,
  SubscriptionStatus,
  subscriptionStatusOf,
} from './subscription-state.js';

/** A contract as Stripe bills it. */
@ObjectType({ description: 'A contract as Stripe bills it, cycle by cycle.' })
@Entity({ tableName: 'stripe_subscriptions' })
export class StripeSubscription extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Property({ type: 'integer' })
  customerId!: number;

  @Field(() => Customer, { description: 'Who pays.' })
  readonly customer!: Customer;

  @Property({ type: 'integer', nullable: true })
  contractId: number | null = null;

  @Field(() => Contract, { nullable: true, description: 'The contract it bills.' })
  readonly contract!: Contract | null;

  /** What is charged, by Stripe's id: we may hear of the method later. Null for the customer's default. */
  @Property({ type: 'text', nullable: true })
  stripeDefaultPaymentMethodId: PaymentMethodId | null = null;

  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, { description: "Stripe's id of it, on the tenant's account." })
  @Property({ type: 'text' })
  stripeSubscriptionId!: SubscriptionId;

  /** The one item of a subscription that we made. */
  @Property({ type: 'text', nullable: true })
  stripeItemId: SubscriptionItemId | null = null;

  @Field(() => SubscriptionStatus, { description: 'Where it stands.' })
  @Property({ type: 'text' })
  status!: SubscriptionStatus;

  @Field(() => Int, { description: 'How many units are billed.' })
  @Property({ type: 'integer' })
  quantity: number = 1;

  @Property({ type: 'bigint', fieldName: 'unit_amount' })
  unitAmountMinor!: number;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Field(() => Money, { description: 'Price of one unit for one interval.' })
  get unitAmount(): Money {
    return new Money(this.unitAmountMinor, this.currency);
  }

  @Field(() => BillingInterval, { description: 'How often it is billed.' })
  @Property({ type: 'text', fieldName: 'billing_interval' })
  interval!: BillingInterval;

  @Field(() => Int, { description: 'Every how many intervals; 1 unless made otherwise in the dashboard.' })
  @Property({ type: 'integer' })
  intervalCount: number = 1;

  @Property({ type: 'decimal', precision: 5, scale: 2, nullable: true })
  applicationFeePercent: string | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the current period began.' })
  @Property({ type: 'datetime', nullable: true })
  currentPeriodStart: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the current period ends.' })
  @Property({ type: 'datetime', nullable: true })
  currentPeriodEnd: Date | null = null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When the next charge is due; null when none will come.',
  })
  @Property({ type: 'datetime', nullable: true })
  nextChargeAt: Date | null = null;

  @Property({ type: 'datetime', nullable: true })
  trialStart: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the trial ends or ended.' })
  @Property({ type: 'datetime', nullable: true })
  trialEnd: Date | null = null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: "When it will end by itself: the contract's end, or what was asked for.",
  })
  @Property({ type: 'datetime', nullable: true })
  cancelAt: Date | null = null;

  @Field(() => Boolean, { description: 'Whether its end with the current period was asked for.' })
  @Property({ type: 'boolean' })
  cancelAtPeriodEnd: boolean = false;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When its end was asked for.' })
  @Property({ type: 'datetime', nullable: true })
  canceledAt: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ended.' })
  @Property({ type: 'datetime', nullable: true })
  endedAt: Date | null = null;

  @Field(() => Boolean, { description: 'Whether invoices are made but not collected. The status does not show it.' })
  @Property({ type: 'boolean' })
  collectionPaused: boolean = false;

  @Field(() => SubscriptionPauseBehavior, {
    nullable: true,
    description: 'What becomes of invoices while collection is paused; null while it is not.',
  })
  @Property({ type: 'text', nullable: true })
  pauseBehavior: SubscriptionPauseBehavior | null = null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When a paused collection begins again by itself; null if only by hand.',
  })
  @Property({ type: 'datetime', nullable: true })
  resumesAt: Date | null = null;

  @Field(() => [StripeDiscount], {
    description: 'What is taken off its invoices now, in no particular order. At most twenty.',
  })
  readonly discounts!: StripeDiscount[];

  /** Stripe's ids, in the order in which they are taken off. */
  @Property({ type: 'array', columnType: 'text[]' })
  discountIds: readonly DiscountId[] = [];

  /** Stripe's time of the state above; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  declare createdAt: Date;

  @Field(() => DateTimeScalar, { description: 'When what we know of it last changed.' })
  declare updatedAt: Date;

  get isFinal(): boolean {
    return isFinalSubscription(this.status);
  }

  /**
   * Takes over what Stripe reports. Reports arrive twice and out of order; a stale one changes nothing.
   * @param asOf Stripe's stamp of the report
   * @param fetched whether it was read from Stripe just now
   * @returns `unclear` when the stamps cannot tell: fetch the subscription and apply that
   */
  applyStripe(report: SubscriptionReport, asOf: Date, fetched: boolean): Order {
    const status = subscriptionStatusOf(report.status);
    const known = { asOf: this.stripeAsOf, isFinal: this.status !== undefined && this.isFinal };
    const order = orderOf(known, asOf, fetched || isFinalSubscription(status));
    if (order === 'unclear' && this.says(report, status)) return 'stale';
    if (order !== 'newer') return order;
    Object.assign(this, factsOf(report, status));
    if (!this.stripeAsOf || asOf > this.stripeAsOf) this.stripeAsOf = asOf;
    return order;
  }

  /** Whether a report has nothing new. */
  private says(report: SubscriptionReport, status: SubscriptionStatus): boolean {
    return Object.entries(factsOf(report, status)).every(([name, value]) => {
      const known = this[name as keyof this] as unknown;
      if (known instanceof Date && value instanceof Date) return +known === +value;
      return Array.isArray(known) && Array.isArray(value) ? known.join() === value.join() : known === value;
    });
  }
}

/** The columns that follow Stripe. */
function factsOf(report: SubscriptionReport, status: SubscriptionStatus) {
  const isFinal = isFinalSubscription(status);
  return {
    status,
    stripeItemId: report.itemId,
    quantity: report.quantity,
    unitAmountMinor: report.unitAmount,
    currency: report.currency,
    ...billingIntervalOf(report),
    applicationFeePercent: report.applicationFeePercent,
    currentPeriodStart: report.currentPeriodStart,
    currentPeriodEnd: report.currentPeriodEnd,
    nextChargeAt: nextChargeOf(report),
    trialStart: report.trialStart,
    trialEnd: report.trialEnd,
    cancelAt: report.cancelAt,
    cancelAtPeriodEnd: report.cancelAtPeriodEnd,
    canceledAt: report.canceledAt,
    endedAt: isFinal ? (report.endedAt ?? report.canceledAt ?? report.created) : null,
    collectionPaused: report.pauseBehavior !== null,
    pauseBehavior: report.pauseBehavior && pauseBehaviorOf(report.pauseBehavior),
    resumesAt: report.resumesAt,
    stripeDefaultPaymentMethodId: report.defaultPaymentMethodId,
    discountIds: report.discountIds,
  };
}
