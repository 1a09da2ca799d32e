import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountId, type SubscriptionId } from '../../stripe/types.js';
import { BillingInterval, Contract } from '../contracts/contract.entity.js';
import { Customer } from '../customers/customer.entity.js';

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
    TRIALING: { description: 'In its trial; nothing is charged yet.' },
    ACTIVE: { description: 'Paid up.' },
    PAST_DUE: { description: 'The latest invoice was not paid; Stripe is trying again.' },
    CANCELED: { description: 'Ended. Final.' },
    UNPAID: { description: 'The tries are used up; invoices are made, but not charged.' },
    PAUSED: { description: 'The trial ended without a payment method.' },
  },
});

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

  @Property({ type: 'uuid', nullable: true })
  defaultPaymentMethodId: Uuid | null = null;

  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, { description: "Stripe's id of it, on the tenant's account." })
  @Property({ type: 'text' })
  stripeSubscriptionId!: SubscriptionId;

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

  @Property({ type: 'datetime', nullable: true })
  cancelAt: Date | null = null;

  @Field(() => Boolean, { description: 'Whether it ends with the current period.' })
  @Property({ type: 'boolean' })
  cancelAtPeriodEnd: boolean = false;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When its end was asked for.' })
  @Property({ type: 'datetime', nullable: true })
  canceledAt: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ended.' })
  @Property({ type: 'datetime', nullable: true })
  endedAt: Date | null = null;

  /** Whether invoices are made but not collected. The status does not show it. */
  @Property({ type: 'boolean' })
  collectionPaused: boolean = false;

  /** Stripe's time of the state above; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  declare createdAt: Date;

  @Field(() => DateTimeScalar, { description: 'When what we know of it last changed.' })
  declare updatedAt: Date;
}
