import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, ObjectType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { Money } from '../../shared/money.types.js';
import { orderOf, type Order } from '../../shared/ordering.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type RefundReport } from '../../stripe/refunds.js';
import { type AccountId, type ChargeId, type RefundId } from '../../stripe/types.js';
import { Payment } from '../payments/payment.entity.js';
import { progressOf, RefundReason, RefundStatus, refundStatusOf } from './refund-state.js';

/** Money given back. How much of a payment was given back in all, Stripe's charge says: this is one of the refunds behind that. */
@ObjectType({ description: 'Money that was given back, or is on its way.' })
@Entity({ tableName: 'refunds' })
export class Refund extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Property({ type: 'uuid' })
  paymentId!: Uuid;

  @Field(() => Payment, { description: 'What is given back a part of.' })
  readonly payment!: Payment;

  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, { nullable: true, description: "Stripe's id; null until Stripe answered." })
  @Property({ type: 'text', nullable: true })
  stripeRefundId: RefundId | null = null;

  @Property({ type: 'text' })
  stripeChargeId!: ChargeId;

  @Property({ type: 'text', nullable: true })
  stripeBalanceTransactionId: string | null = null;

  @Property({ type: 'bigint', fieldName: 'amount' })
  amountMinor!: number;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Field(() => Money, { description: 'How much.' })
  get amount(): Money {
    return new Money(this.amountMinor, this.currency);
  }

  @Field(() => RefundStatus, { description: 'Where it stands.' })
  @Property({ type: 'text' })
  status: RefundStatus = RefundStatus.PENDING;

  @Field(() => RefundReason, { nullable: true, description: 'Why, where somebody said so.' })
  @Property({ type: 'text', nullable: true })
  reason: RefundReason | null = null;

  /** Whether we asked for the platform's fee to go back, in proportion. */
  @Property({ type: 'boolean' })
  withApplicationFee: boolean = false;

  @Property({ type: 'character', length: 3, nullable: true })
  bookedCurrency: string | null = null;

  @Property({ type: 'bigint', nullable: true, fieldName: 'application_fee_refunded' })
  applicationFeeRefundedMinor: number | null = null;

  @Field(() => Money, {
    nullable: true,
    description: "How much of the platform's fee went back with it, as Stripe booked it; null until then.",
  })
  get applicationFeeRefunded(): Money | null {
    const { applicationFeeRefundedMinor: fee, bookedCurrency } = this;
    return fee === null ? null : new Money(fee, bookedCurrency ?? this.currency);
  }

  @Field(() => String, {
    nullable: true,
    description: 'Why it failed, in a word of Stripe: `expired_or_canceled_card`.',
  })
  @Property({ type: 'text', nullable: true })
  failureReason: string | null = null;

  /** Stripe's time of the state above. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  @Property({ type: 'datetime', nullable: true })
  stripeCreatedAt: Date | null = null;

  @Field(() => DateTimeScalar, { description: 'When it was asked for, or first heard of.' })
  declare createdAt: Date;

  @Field(() => DateTimeScalar, { description: 'When what we know of it last changed.' })
  declare updatedAt: Date;

  /** Whether the money is still to reach the payer. */
  get isUnderWay(): boolean {
    return progressOf(this.status) === 0;
  }

  /** Whether Stripe has booked it, so that it is known how much of the fee went back. */
  get isBooked(): boolean {
    return this.applicationFeeRefundedMinor !== null;
  }

  /**
   * Takes over what Stripe reports. A status only moves forward: a pending refund succeeds or fails, and one that has succeeded may
   * still be sent back by the bank. Only between the two ways of being under way do the stamps decide.
   * @returns `unclear` when the stamps cannot tell: fetch the refund and apply that
   */
  applyStripe(report: RefundReport, asOf: Date, fetched: boolean): Order {
    this.stripeRefundId ??= report.id;
    this.stripeCreatedAt = report.created;
    this.reason = (report.reason as RefundReason | null) ?? this.reason;
    this.stripeBalanceTransactionId = report.balanceTransactionId ?? this.stripeBalanceTransactionId;
    if (report.balance) {
      this.bookedCurrency = report.balance.currency;
      // What goes out is negative, and so is the part of it that the platform bears.
      this.applicationFeeRefundedMinor = Math.max(0, -report.balance.applicationFee);
    }
    const next = refundStatusOf(report.status);
    const [here, there] = [progressOf(this.status), progressOf(next)];
    const order =
      here === there
        ? orderOf({ asOf: this.stripeAsOf, isFinal: here === 2 }, asOf, fetched)
        : there > here
          ? 'newer'
          : 'stale';
    if (order === 'unclear') return next === this.status ? 'stale' : order;
    if (order === 'stale') return order;
    this.status = next;
    this.failureReason = report.failureReason ?? this.failureReason;
    if (!this.stripeAsOf || asOf > this.stripeAsOf) this.stripeAsOf = asOf;
    return order;
  }

  /** Nothing of the platform's fee goes back with it, because there was none. */
  noteNoFee(bookedCurrency: string | null): void {
    if (this.isBooked || this.stripeBalanceTransactionId === null) return;
    this.bookedCurrency = bookedCurrency;
    this.applicationFeeRefundedMinor = 0;
  }

  /** Stripe surely has nothing of it. */
  giveUp(reason: string): void {
    if (this.stripeRefundId) return;
    this.status = RefundStatus.FAILED;
    this.failureReason = reason;
  }
}
