import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, DecimalScalar } from '../../shared/scalars.js';
import { type AccountId, type CustomerId, type DiscountId, type SubscriptionId } from '../../stripe/types.js';

/** For how long a discount is given. https://docs.stripe.com/api/coupons/object#coupon_object-duration */
export enum DiscountDuration {
  ONCE = 'ONCE',
  REPEATING = 'REPEATING',
  FOREVER = 'FOREVER',
}
registerEnumType(DiscountDuration, {
  name: 'DiscountDuration',
  description: 'For how long a discount is given.',
  valuesConfig: {
    ONCE: { description: 'For one charge, the first that it lowers.' },
    REPEATING: { description: 'For some months; `endsAt` says until when.' },
    FOREVER: { description: 'For as long as the subscription lasts.' },
  },
});

/** A coupon as a subscription redeemed it. What an id names never changes at Stripe. */
@ObjectType('SubscriptionDiscount', { description: 'What is taken off each invoice of a subscription: a coupon.' })
@Entity({ tableName: 'stripe_discounts' })
export class StripeDiscount extends ModeRow {
  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, { description: "Stripe's id of it, on the tenant's account." })
  @Property({ type: 'text' })
  stripeDiscountId!: DiscountId;

  @Property({ type: 'text', nullable: true })
  stripeCustomerId: CustomerId | null = null;

  /** Null for the discount of an item, which belongs to it. */
  @Property({ type: 'text', nullable: true })
  stripeSubscriptionId: SubscriptionId | null = null;

  @Property({ type: 'text', nullable: true })
  stripeCouponId: string | null = null;

  @Field(() => String, { nullable: true, description: 'What the coupon is called on invoices.' })
  @Property({ type: 'text', nullable: true })
  name: string | null = null;

  @Field(() => DiscountDuration, {
    nullable: true,
    description: 'For how long it is given; null if its coupon was deleted before it was known.',
  })
  @Property({ type: 'text', nullable: true })
  duration: DiscountDuration | null = null;

  @Field(() => DecimalScalar, { nullable: true, description: 'Percent that it takes off; null if it is an amount.' })
  @Property({ type: 'decimal', columnType: 'numeric', nullable: true })
  percentOff: string | null = null;

  @Property({ type: 'bigint', fieldName: 'amount_off', nullable: true })
  amountOffMinor: number | null = null;

  @Property({ type: 'character', length: 3, nullable: true })
  currency: string | null = null;

  @Field(() => Money, { nullable: true, description: 'What it takes off; null if it is a percentage.' })
  readonly amountOff!: Money | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was given.' })
  @Property({ type: 'datetime', nullable: true })
  startsAt: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends by itself; null if it does not.' })
  @Property({ type: 'datetime', nullable: true })
  endsAt: Date | null = null;

  /** When it was taken away, or used up. */
  @Property({ type: 'datetime', nullable: true })
  removedAt: Date | null = null;

  /** Stripe's stamp of the first event that told of it; null when it was found on its subscription. */
  @Property({ type: 'datetime', nullable: true })
  toldAt: Date | null = null;
}
