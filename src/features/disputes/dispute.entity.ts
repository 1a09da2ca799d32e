import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { orderOf, type Order } from '../../shared/ordering.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type DisputeReport } from '../../stripe/disputes.js';
import { type AccountId, type ChargeId, type DisputeId } from '../../stripe/types.js';
import { Payment } from '../payments/payment.entity.js';
import { DisputeState } from '../payments/payment-state.js';

/** The states in which the bank waits for the tenant. */
export const awaitingAnswer: readonly DisputeState[] = [
  DisputeState.WARNING_NEEDS_RESPONSE,
  DisputeState.NEEDS_RESPONSE,
  DisputeState.APPEAL_NEEDS_RESPONSE,
];

const closed: readonly DisputeState[] = [
  DisputeState.WARNING_CLOSED,
  DisputeState.WON,
  DisputeState.LOST,
  DisputeState.PREVENTED,
];

/** A payment that the payer's bank questions. Stripe owns the truth; this row is our last known copy of it. */
@ObjectType({ description: "A payment that the payer's bank questions: a chargeback, or an inquiry before one." })
@Entity({ tableName: 'disputes' })
export class Dispute extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Property({ type: 'uuid' })
  paymentId!: Uuid;

  @Field(() => Payment, { description: 'What is disputed.' })
  readonly payment!: Payment;

  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, { description: "Stripe's id." })
  @Property({ type: 'text' })
  stripeDisputeId!: DisputeId;

  @Property({ type: 'text' })
  stripeChargeId!: ChargeId;

  @Property({ type: 'bigint', fieldName: 'amount' })
  amountMinor!: number;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Field(() => Money, { description: 'How much of it is disputed.' })
  get amount(): Money {
    return new Money(this.amountMinor, this.currency);
  }

  @Field(() => DisputeState, { description: 'Where it stands; never NONE.' })
  @Property({ type: 'text' })
  status!: DisputeState;

  @Field(() => String, { description: "The bank's reason, in a word of Stripe: `fraudulent`, `product_not_received`." })
  @Property({ type: 'text' })
  reason!: string;

  @Field(() => String, { nullable: true, description: "The card network's own code for the reason: `10.4`." })
  @Property({ type: 'text', nullable: true })
  networkReasonCode: string | null = null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'By when evidence must be submitted; null where there is nothing to answer.',
  })
  @Property({ type: 'datetime', nullable: true })
  evidenceDueBy: Date | null = null;

  @Field(() => Boolean, { description: 'Whether any evidence was given, submitted or not.' })
  @Property({ type: 'boolean' })
  hasEvidence: boolean = false;

  @Field(() => Boolean, { description: 'Whether the deadline went by without an answer.' })
  @Property({ type: 'boolean' })
  pastDue: boolean = false;

  @Field(() => Int, { description: 'How often evidence was submitted. Most banks take it once.' })
  @Property({ type: 'integer' })
  submissionCount: number = 0;

  @Field(() => Boolean, {
    description: 'The bank only asks, and no money was taken yet. It can still become a chargeback.',
  })
  @Property({ type: 'boolean' })
  isInquiry!: boolean;

  @Field(() => Boolean, {
    description: 'Whether the payment can be refunded all the same: of an inquiry, that ends it.',
  })
  @Property({ type: 'boolean', fieldName: 'charge_refundable' })
  isChargeRefundable!: boolean;

  @Field(() => Boolean, {
    description: "Whether the amount, and the bank's fee, were taken from the tenant's balance.",
  })
  @Property({ type: 'boolean' })
  fundsWithdrawn: boolean = false;

  @Field(() => Boolean, { description: 'Whether the amount came back.' })
  @Property({ type: 'boolean' })
  fundsReinstated: boolean = false;

  /** Stripe's time of the state above; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  @Property({ type: 'datetime' })
  stripeCreatedAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ended, as far as we were told.' })
  @Property({ type: 'datetime', nullable: true })
  closedAt: Date | null = null;

  @Field(() => DateTimeScalar, { description: 'When the bank opened it, by Stripe.' })
  declare createdAt: Date;

  @Field(() => DateTimeScalar, { description: 'When what we know of it last changed.' })
  declare updatedAt: Date;

  /** Whether evidence can be submitted. */
  get awaitsAnswer(): boolean {
    return awaitingAnswer.includes(this.status);
  }

  /**
   * Takes over what Stripe reports. Hardly any state is final, an appeal may follow a verdict, so the stamps decide; but money that moved
   * has moved, and what was submitted stays so, whatever came first.
   * @returns `unclear` when the stamps cannot tell: fetch the dispute and apply that
   */
  applyStripe(report: DisputeReport, asOf: Date, fetched: boolean): Order {
    this.fundsWithdrawn ||= report.fundsWithdrawn;
    this.fundsReinstated ||= report.fundsReinstated;
    if (report.submissionCount < this.submissionCount) return 'stale';
    const order = orderOf({ asOf: this.stripeAsOf, isFinal: false }, asOf, fetched);
    const before = this.facts;
    if (order === 'unclear') {
      const next = Object.assign(new Dispute(), { stripeAsOf: null });
      next.takeOver(report, asOf);
      return next.facts === before ? 'stale' : order;
    }
    if (order === 'newer') this.takeOver(report, asOf);
    return order;
  }

  private takeOver(report: DisputeReport, asOf: Date): void {
    this.status = DisputeState[report.status.toUpperCase() as keyof typeof DisputeState];
    this.reason = report.reason;
    this.networkReasonCode = report.networkReasonCode;
    this.amountMinor = report.amount;
    this.currency = report.currency;
    this.evidenceDueBy = report.evidenceDueBy;
    this.hasEvidence = report.hasEvidence;
    this.pastDue = report.pastDue;
    this.submissionCount = report.submissionCount;
    this.isInquiry = report.isInquiry;
    this.isChargeRefundable = report.isChargeRefundable;
    this.closedAt = closed.includes(this.status) ? (this.closedAt ?? asOf) : null;
    if (!this.stripeAsOf || asOf > this.stripeAsOf) this.stripeAsOf = asOf;
  }

  /** All that a report can change, but for when. */
  private get facts(): string {
    const { status, reason, networkReasonCode, amountMinor, currency, hasEvidence, pastDue, submissionCount } = this;
    const { isInquiry, isChargeRefundable, evidenceDueBy } = this;
    return JSON.stringify([
      ...[status, reason, networkReasonCode, amountMinor, currency, hasEvidence, pastDue, submissionCount],
      ...[isInquiry, isChargeRefundable, evidenceDueBy],
    ]);
  }
}

export const DisputeConnection = connectionOf('Dispute', () => Dispute);
