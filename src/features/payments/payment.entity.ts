import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, ObjectType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { type FeeRule } from '../../shared/fee.js';
import { Money } from '../../shared/money.types.js';
import { orderOf, type Order } from '../../shared/ordering.js';
import { DateTimeScalar, JSONObjectScalar, URLScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type BalanceReport, type ChargeReport, type IntentReport } from '../../stripe/reports.js';
import { type AccountId, type ChargeId, type PaymentIntentId, type PaymentMethodId } from '../../stripe/types.js';
import { Customer } from '../customers/customer.entity.js';
import { Invoice } from '../invoices/invoice.entity.js';
import { PaymentMethod } from '../payment-methods/payment-method.entity.js';
import { StripeSubscription } from '../subscriptions/subscription.entity.js';
import {
  DisputeState,
  isFinalStatus,
  paymentStatusOf,
  PaymentStatus,
  RefundState,
  refundStateOf,
} from './payment-state.js';

@ObjectType({ description: 'Why the last attempt to pay failed.' })
export class PaymentFailure {
  @Field(() => String, { nullable: true, description: "Stripe's error code: `card_declined`." })
  code!: string | null;

  @Field(() => String, { nullable: true, description: "The bank's reason, where it gave one: `insufficient_funds`." })
  declineCode!: string | null;

  @Field(() => String, { nullable: true, description: 'What may be shown to the payer.' })
  message!: string | null;
}

/** Why the last try failed, as a row of the table or the entity tells it. */
export function failureOf(
  row: Pick<Payment, 'failureCode' | 'failureDeclineCode' | 'failureMessage'>,
): PaymentFailure | null {
  if (row.failureCode === null) return null;
  return { code: row.failureCode, declineCode: row.failureDeclineCode, message: row.failureMessage };
}

/** Money a tenant asked a customer for. Stripe owns the truth; this row is our last known copy of it. */
@ObjectType({ description: 'Money the tenant asked a customer for.' })
@Entity({ tableName: 'payments' })
export class Payment extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Property({ type: 'integer', nullable: true })
  customerId: number | null = null;

  @Property({ type: 'integer', nullable: true })
  invoiceId: number | null = null;

  @Property({ type: 'uuid', nullable: true })
  subscriptionId: Uuid | null = null;

  /** By Stripe's id, as its intent names it: news of the payment may come before news of the method, and not every method is saved. */
  @Property({ type: 'text', nullable: true })
  stripePaymentMethodId: PaymentMethodId | null = null;

  @Field(() => Customer, { nullable: true, description: 'Who pays.' })
  readonly customer!: Customer | null;

  @Field(() => Invoice, { nullable: true, description: 'What is paid by it.' })
  readonly invoice!: Invoice | null;

  @Field(() => StripeSubscription, { nullable: true, description: 'The subscription it belongs to.' })
  readonly subscription!: StripeSubscription | null;

  @Field(() => PaymentMethod, { nullable: true, description: 'What it was paid with, when that was saved.' })
  readonly paymentMethod!: PaymentMethod | null;

  /** The account it was made on; it stays there even when the tenant moves to another. */
  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, {
    nullable: true,
    description: "Stripe's id of the payment intent; null until Stripe answered.",
  })
  @Property({ type: 'text', nullable: true })
  stripePaymentIntentId: PaymentIntentId | null = null;

  @Field(() => String, { nullable: true, description: "Stripe's id of the latest charge." })
  @Property({ type: 'text', nullable: true })
  stripeChargeId: ChargeId | null = null;

  @Property({ type: 'text', nullable: true })
  stripeBalanceTransactionId: string | null = null;

  @Property({ type: 'bigint', fieldName: 'amount' })
  amountMinor!: number;

  /** What came in, in minor units; less than asked for when only a part was captured. */
  @Property({ type: 'bigint' })
  amountReceived: number = 0;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Field(() => Money, { description: 'What was asked for.' })
  get amount(): Money {
    return new Money(this.amountMinor, this.currency);
  }

  @Field(() => PaymentStatus, { description: 'Where it stands. Refunds and disputes are separate.' })
  @Property({ type: 'text' })
  status: PaymentStatus = PaymentStatus.PENDING;

  /** Whether the money is first held and taken later. */
  @Property({ type: 'boolean' })
  captureLater: boolean = false;

  /** What we asked Stripe to take for the platform, in minor units; null for nothing. */
  @Property({ type: 'bigint', nullable: true })
  requestedApplicationFee: number | null = null;

  /** The rule it was computed with, since the rule may change later. */
  @Property({ type: 'json', nullable: true })
  feeRule: FeeRule | null = null;

  /** The currency that Stripe booked in, which is the account's, not always the payer's. */
  @Property({ type: 'character', length: 3, nullable: true })
  bookedCurrency: string | null = null;

  @Property({ type: 'bigint', nullable: true })
  bookedGross: number | null = null;

  @Property({ type: 'bigint', nullable: true, fieldName: 'application_fee' })
  applicationFeeMinor: number | null = null;

  @Property({ type: 'bigint', nullable: true, fieldName: 'stripe_fee' })
  stripeFeeMinor: number | null = null;

  @Property({ type: 'bigint', nullable: true, fieldName: 'net' })
  netMinor: number | null = null;

  @Field(() => Money, { nullable: true, description: 'What the platform took, as Stripe booked it; null until then.' })
  get applicationFee(): Money | null {
    return this.booked(this.applicationFeeMinor);
  }

  @Field(() => Money, { nullable: true, description: 'What Stripe took, as Stripe booked it; null until then.' })
  get stripeFee(): Money | null {
    return this.booked(this.stripeFeeMinor);
  }

  @Field(() => Money, {
    nullable: true,
    description: 'What is left for the tenant: gross less both fees; null until Stripe booked it.',
  })
  get net(): Money | null {
    return this.booked(this.netMinor);
  }

  @Property({ type: 'text', nullable: true })
  failureCode: string | null = null;

  @Property({ type: 'text', nullable: true })
  failureDeclineCode: string | null = null;

  @Property({ type: 'text', nullable: true })
  failureMessage: string | null = null;

  @Field(() => PaymentFailure, { nullable: true, description: 'Why the last attempt failed; null when it did not.' })
  get failure(): PaymentFailure | null {
    return failureOf(this);
  }

  @Property({ type: 'bigint' })
  amountRefunded: number = 0;

  @Property({ type: 'boolean' })
  refundPending: boolean = false;

  @Field(() => Money, { description: "What was given back so far: Stripe's own total." })
  get refunded(): Money {
    return new Money(this.amountRefunded, this.currency);
  }

  @Field(() => RefundState, { description: 'How much of it was given back.' })
  get refundState(): RefundState {
    return refundStateOf(this);
  }

  @Field(() => DisputeState, { description: 'Where a dispute of it stands.' })
  @Property({ type: 'text' })
  disputeState: DisputeState = DisputeState.NONE;

  @Field(() => URLScalar, { nullable: true, description: "Stripe's receipt page for the payer." })
  @Property({ type: 'text', nullable: true })
  receiptUrl: string | null = null;

  @Field(() => String, { nullable: true, description: 'What it is for, as given.' })
  @Property({ type: 'text', nullable: true })
  description: string | null = null;

  /** Stripe's time of the intent's state above; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  /** Stripe's time of what is known of the charge: fees, receipt, refunds. It changes after the intent is final. */
  @Property({ type: 'datetime', nullable: true })
  chargeAsOf: Date | null = null;

  @Field(() => JSONObjectScalar, { description: "The PSA's own notes on it." })
  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};

  @Field(() => DateTimeScalar, { description: 'When it was asked for.' })
  declare createdAt: Date;

  @Field(() => DateTimeScalar, { description: 'When what we know of it last changed.' })
  declare updatedAt: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it succeeded, by Stripe.' })
  @Property({ type: 'datetime', nullable: true })
  succeededAt: Date | null = null;

  @Property({ type: 'datetime', nullable: true })
  canceledAt: Date | null = null;

  get isFinal(): boolean {
    return isFinalStatus(this.status);
  }

  /**
   * Takes over what Stripe reports of the intent. Reports arrive twice and out of order; a stale one changes nothing but what can
   * only grow.
   * @param asOf Stripe's stamp of the report
   * @param fetched whether it was read from Stripe just now
   * @returns `unclear` when the stamps cannot tell: fetch the intent and apply that
   */
  applyIntent(report: IntentReport, asOf: Date, fetched: boolean): Order {
    this.stripePaymentIntentId ??= report.id;
    const next = paymentStatusOf(report);
    const order = orderOf({ asOf: this.stripeAsOf, isFinal: this.isFinal }, asOf, fetched || isFinalStatus(next));
    const isKnown =
      next === this.status &&
      report.latestChargeId === this.stripeChargeId &&
      report.paymentMethodId === this.stripePaymentMethodId;
    if (order === 'newer') this.takeOver(report, next, asOf);
    if (next === PaymentStatus.SUCCEEDED) this.noteSuccess(fetched ? (report.charge?.created ?? asOf) : asOf);
    if (report.charge) this.applyCharge(report.charge, asOf, fetched);
    return order === 'unclear' && isKnown ? 'stale' : order;
  }

  /**
   * Takes over what Stripe reports of the charge: receipt, refunds so far and, once booked, the fees. All but the refunds only grow or
   * are written once, so a report that cannot be put in order is merged.
   */
  applyCharge(charge: ChargeReport, asOf: Date, fetched: boolean): Order {
    // A failed try leaves a charge of its own behind; only the one that brought the money counts.
    if (charge.status !== 'succeeded') return 'stale';
    this.stripeChargeId = charge.id;
    this.stripeBalanceTransactionId = charge.balanceTransactionId ?? this.stripeBalanceTransactionId;
    // News of a refund may overtake the news of the success; the one cannot be without the other.
    if (charge.captured) this.amountReceived = Math.max(this.amountReceived, charge.amountCaptured);
    if (charge.balance) this.book(charge.balance);
    const order = orderOf({ asOf: this.chargeAsOf, isFinal: false }, asOf, fetched);
    if (order !== 'stale') this.receiptUrl = charge.receiptUrl ?? this.receiptUrl;
    // A refund that fails later lowers the total again, so only a report that can be ordered may replace it.
    const refunded = Math.min(charge.amountRefunded, this.amountReceived);
    if (order === 'unclear') return refunded === this.amountRefunded ? 'stale' : order;
    if (order === 'newer') this.amountRefunded = refunded;
    if (!this.chargeAsOf || asOf > this.chargeAsOf) this.chargeAsOf = asOf;
    return order;
  }

  /** Whether a report says that Stripe has booked it and not how, so that the booking has to be fetched. */
  lacksBooking({ balanceTransactionId, balance }: ChargeReport): boolean {
    return balanceTransactionId !== null && !balance && !this.isBooked;
  }

  /** Whether Stripe has booked it, so that its fees are known. */
  get isBooked(): boolean {
    return this.netMinor !== null;
  }

  /** Stripe would not have it, and no intent was made: there is nothing that could still be paid. */
  giveUp({ code, declineCode, message }: { code: string; declineCode?: string; message: string }): void {
    if (this.isFinal || this.stripePaymentIntentId) return;
    this.status = PaymentStatus.CANCELED;
    this.fail({ code, declineCode: declineCode ?? null, message });
  }

  /** The last try was declined, by an answer that did not show the intent: Stripe's events will. */
  decline(failure: { code: string; declineCode?: string; message: string }): void {
    if (this.isFinal || this.stripeAsOf) return;
    this.status = PaymentStatus.FAILED;
    this.fail({ ...failure, declineCode: failure.declineCode ?? null });
  }

  private takeOver(report: IntentReport, next: PaymentStatus, asOf: Date): void {
    this.status = next;
    // The tenant can change these at Stripe while nothing is paid.
    this.amountMinor = report.amount;
    this.currency = report.currency;
    const fee = report.applicationFee ?? 0;
    this.requestedApplicationFee = fee > 0 && fee < report.amount ? fee : null;
    this.amountReceived = Math.max(this.amountReceived, report.amountReceived);
    this.stripeChargeId = report.latestChargeId;
    this.stripePaymentMethodId = report.paymentMethodId;
    const { code = null, declineCode = null, message = null } = report.lastError ?? {};
    this.fail(next === PaymentStatus.FAILED ? { code: code ?? 'unknown', declineCode, message } : null);
    if (next === PaymentStatus.CANCELED) this.canceledAt = report.canceledAt ?? asOf;
    if (!this.stripeAsOf || asOf > this.stripeAsOf) this.stripeAsOf = asOf;
  }

  /** The latest stamp that speaks of the success itself, so that the order of arrival does not show. */
  private noteSuccess(at: Date): void {
    if (!this.succeededAt || at > this.succeededAt) this.succeededAt = at;
  }

  private fail(failure: PaymentFailure | null): void {
    this.failureCode = failure?.code ?? null;
    this.failureDeclineCode = failure?.declineCode ?? null;
    this.failureMessage = failure?.message ?? null;
  }

  /** A booking never changes. */
  private book({ currency, amount, stripeFee, applicationFee, net }: BalanceReport): void {
    this.bookedCurrency = currency;
    this.bookedGross = amount;
    this.stripeFeeMinor = stripeFee;
    this.applicationFeeMinor = applicationFee;
    this.netMinor = net;
  }

  private booked(amount: number | null): Money | null {
    return amount === null ? null : new Money(amount, this.bookedCurrency ?? this.currency);
  }
}

export const PaymentConnection = connectionOf('Payment', () => Payment);
