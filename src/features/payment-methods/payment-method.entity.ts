import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { AppError } from '../../shared/errors.js';
import { orderOf, type Order } from '../../shared/ordering.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type PaymentMethodReport } from '../../stripe/reports.js';
import { type MandateReport } from '../../stripe/mandates.js';
import { type AccountId, type MandateId, type PaymentMethodId } from '../../stripe/types.js';
import { Customer } from '../customers/customer.entity.js';

export enum PaymentMethodType {
  CARD = 'CARD',
  US_BANK_ACCOUNT = 'US_BANK_ACCOUNT',
  SEPA_DEBIT = 'SEPA_DEBIT',
  AU_BECS_DEBIT = 'AU_BECS_DEBIT',
  BACS_DEBIT = 'BACS_DEBIT',
  ACSS_DEBIT = 'ACSS_DEBIT',
  LINK = 'LINK',
  OTHER = 'OTHER',
}
registerEnumType(PaymentMethodType, {
  name: 'PaymentMethodType',
  description: 'What kind of payment method it is.',
  valuesConfig: {
    CARD: { description: 'A credit or debit card.' },
    US_BANK_ACCOUNT: { description: 'ACH direct debit; takes days to settle.' },
    SEPA_DEBIT: { description: 'SEPA direct debit; takes days to settle.' },
    AU_BECS_DEBIT: { description: 'BECS direct debit (Australia); takes days to settle.' },
    BACS_DEBIT: { description: 'Bacs direct debit (United Kingdom); takes days to settle.' },
    ACSS_DEBIT: { description: 'Pre-authorised debit (Canada); takes days to settle.' },
    LINK: { description: "Stripe's wallet." },
    OTHER: { description: 'Any other kind that Stripe knows.' },
  },
});

export enum PaymentMethodStatus {
  ACTIVE = 'ACTIVE',
  EXPIRED = 'EXPIRED',
  MANDATE_ENDED = 'MANDATE_ENDED',
  DETACHED = 'DETACHED',
}
registerEnumType(PaymentMethodStatus, {
  name: 'PaymentMethodStatus',
  description: 'Whether a payment method can be used.',
  valuesConfig: {
    ACTIVE: { description: 'It can be charged.' },
    EXPIRED: { description: 'The card has expired; the customer should give another.' },
    MANDATE_ENDED: {
      description:
        'The customer’s permission to debit the bank account has ended: without the customer it cannot be charged.',
    },
    DETACHED: { description: 'It was removed and cannot be charged again.' },
  },
});

export enum MandateStatus {
  ACTIVE = 'ACTIVE',
  PENDING = 'PENDING',
  INACTIVE = 'INACTIVE',
}
registerEnumType(MandateStatus, {
  name: 'MandateStatus',
  description: 'Whether a customer permits that a bank account is debited.',
  valuesConfig: {
    ACTIVE: { description: 'It may be debited.' },
    PENDING: { description: 'The bank has not confirmed it yet.' },
    INACTIVE: { description: 'The customer or the bank has taken it back, or it was replaced.' },
  },
});

/** A card or bank account that a customer left with Stripe. What could be charged never comes here, only what tells it apart. */
@ObjectType({ description: 'A card or bank account of a customer, kept by Stripe.' })
@Entity({ tableName: 'payment_methods' })
export class PaymentMethod extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Property({ type: 'integer' })
  customerId!: number;

  @Field(() => Customer, { description: 'Whose it is.' })
  readonly customer!: Customer;

  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, { description: "Stripe's id of it, on the tenant's account." })
  @Property({ type: 'text' })
  stripePaymentMethodId!: PaymentMethodId;

  @Field(() => PaymentMethodType, { description: 'What kind it is.' })
  @Property({ type: 'text' })
  type!: PaymentMethodType;

  @Field(() => String, { nullable: true, description: 'Brand of a card: `visa`.' })
  @Property({ type: 'text', nullable: true })
  brand: string | null = null;

  @Field(() => String, { nullable: true, description: 'The last four digits.' })
  @Property({ type: 'text', nullable: true })
  last4: string | null = null;

  @Field(() => Int, { nullable: true, description: 'Month in which a card expires, 1 to 12.' })
  @Property({ type: 'smallint', nullable: true })
  expMonth: number | null = null;

  @Field(() => Int, { nullable: true, description: 'Year in which a card expires, four digits.' })
  @Property({ type: 'smallint', nullable: true })
  expYear: number | null = null;

  @Field(() => String, { nullable: true, description: 'Name of the bank of a bank account.' })
  @Property({ type: 'text', nullable: true })
  bankName: string | null = null;

  @Field(() => Boolean, { description: "Whether it is the customer's default." })
  @Property({ type: 'boolean' })
  isDefault: boolean = false;

  @Field(() => PaymentMethodStatus, { description: 'Whether it can be used.' })
  @Property({ type: 'text' })
  status: PaymentMethodStatus = PaymentMethodStatus.ACTIVE;

  /** Stripe's time of the state above; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  @Field(() => MandateStatus, {
    nullable: true,
    description:
      'Whether the customer permits that this bank account is debited; null for what needs no permission, or before it is known.',
  })
  @Property({ type: 'text', nullable: true })
  mandateStatus: MandateStatus | null = null;

  @Property({ type: 'text', nullable: true })
  stripeMandateId: MandateId | null = null;

  /** Stripe's time of the mandate; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  mandateAsOf: Date | null = null;

  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};

  @Field(() => DateTimeScalar, { description: 'When it was saved.' })
  declare createdAt: Date;

  /** Removed: final. */
  get isDetached(): boolean {
    return this.status === PaymentMethodStatus.DETACHED;
  }

  /**
   * Takes over what Stripe reports of the method. Reports arrive twice and out of order; a stale one changes nothing.
   * @param asOf Stripe's stamp of the report
   * @param fetched whether it was read from Stripe just now
   * @returns `unclear` when the stamps cannot tell: fetch the method and apply that
   */
  applyStripe(report: PaymentMethodReport, asOf: Date, fetched: boolean): Order {
    const order = orderOf({ asOf: this.stripeAsOf, isFinal: this.isDetached }, asOf, fetched);
    const isCard = report.type === 'card';
    const next = {
      type: paymentMethodTypeOf(report.type),
      brand: isCard ? report.brand : null,
      bankName: isCard ? null : report.brand,
      last4: report.last4,
      expMonth: report.expMonth,
      expYear: report.expYear,
    };
    if (order !== 'newer') {
      const isKnown = (Object.keys(next) as (keyof typeof next)[]).every((name) => this[name] === next[name]);
      return order === 'unclear' && isKnown ? 'stale' : order;
    }
    Object.assign(this, next);
    if (!this.stripeAsOf || asOf > this.stripeAsOf) this.stripeAsOf = asOf;
    return order;
  }

  /**
   * Takes over what Stripe reports of the mandate that it is debited by. Another mandate replaces the one before.
   * @returns `unclear` when the stamps cannot tell: fetch the mandate and apply that
   */
  applyMandate(report: MandateReport, asOf: Date, fetched: boolean): Order {
    const order = orderOf({ asOf: this.mandateAsOf, isFinal: false }, asOf, fetched);
    const status = mandateStatusOf(report.status);
    if (order !== 'newer') {
      const isKnown = this.stripeMandateId === report.id && this.mandateStatus === status;
      return order === 'unclear' && isKnown ? 'stale' : order;
    }
    Object.assign(this, { stripeMandateId: report.id, mandateStatus: status });
    if (!this.mandateAsOf || asOf > this.mandateAsOf) this.mandateAsOf = asOf;
    return order;
  }

  /** Removed from its customer; Stripe never gives it back. */
  detach(asOf: Date): void {
    this.status = PaymentMethodStatus.DETACHED;
    this.isDefault = false;
    if (!this.stripeAsOf || asOf > this.stripeAsOf) this.stripeAsOf = asOf;
  }
}

/**
 * Whether a method can be used at a moment. That a card's last month is over nobody reports: it is seen when the method is read.
 * Cards are good to the end of that month, wherever their bank is.
 */
export function methodStatusAt(
  {
    status,
    mandateStatus,
    expMonth,
    expYear,
  }: Pick<PaymentMethod, 'status' | 'mandateStatus' | 'expMonth' | 'expYear'>,
  now: Date,
): PaymentMethodStatus {
  if (status !== PaymentMethodStatus.ACTIVE) return status;
  if (mandateStatus === MandateStatus.INACTIVE) return PaymentMethodStatus.MANDATE_ENDED;
  if (expMonth === null || expYear === null) return status;
  const lastHour = Date.UTC(expYear, expMonth, 1, 12);
  return now.getTime() > lastHour ? PaymentMethodStatus.EXPIRED : status;
}

function mandateStatusOf(status: MandateReport['status']): MandateStatus {
  return status === 'active'
    ? MandateStatus.ACTIVE
    : status === 'pending'
      ? MandateStatus.PENDING
      : MandateStatus.INACTIVE;
}

/**
 * What a method that nobody confirms any more is refused with.
 * @throws AppError INVALID_STATE
 */
export function requireMandate({ mandateStatus }: Pick<PaymentMethod, 'mandateStatus'>, field: string): void {
  if (mandateStatus === MandateStatus.INACTIVE)
    throw new AppError(
      'INVALID_STATE',
      'The mandate to debit this bank account has ended. Let the customer save it again, or pay while they are there.',
      { field },
    );
}

/** Stripe's name of a kind → ours. Kinds that this version does not know are OTHER. */
export function paymentMethodTypeOf(type: string): PaymentMethodType {
  const name = type.toUpperCase();
  return Object.values(PaymentMethodType).find((known) => known.valueOf() === name) ?? PaymentMethodType.OTHER;
}
