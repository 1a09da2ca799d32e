import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { PsaRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { assertUnreachable } from '../../shared/errors.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type InvoiceReport } from '../../stripe/billing-reports.js';
import { Customer } from '../customers/customer.entity.js';
import { StripeSubscription } from '../subscriptions/subscription.entity.js';
import { StripeInvoice } from './stripe-invoice.entity.js';

export enum InvoiceStatus {
  DRAFT = 'DRAFT',
  OPEN = 'OPEN',
  PAID = 'PAID',
  VOID = 'VOID',
  UNCOLLECTIBLE = 'UNCOLLECTIBLE',
}
registerEnumType(InvoiceStatus, {
  name: 'InvoiceStatus',
  description: 'Where an invoice stands in its life.',
  valuesConfig: {
    DRAFT: { description: 'Still being written; it cannot be paid.' },
    OPEN: { description: 'Sent, and waiting to be paid.' },
    PAID: { description: 'Paid in full.' },
    VOID: { description: 'Withdrawn; nothing is owed.' },
    UNCOLLECTIBLE: { description: 'Written off.' },
  },
});

export enum InvoicePaymentStatus {
  UNPAID = 'UNPAID',
  PENDING = 'PENDING',
  PARTIALLY_PAID = 'PARTIALLY_PAID',
  PAID = 'PAID',
  FAILED = 'FAILED',
  REFUNDED = 'REFUNDED',
}
registerEnumType(InvoicePaymentStatus, {
  name: 'InvoicePaymentStatus',
  description: 'How far an invoice is paid.',
  valuesConfig: {
    UNPAID: { description: 'Nothing has come in, and nothing is on its way.' },
    PENDING: { description: 'A payment is on its way; a bank debit takes days. Not paid yet.' },
    PARTIALLY_PAID: { description: 'Part of the total has come in.' },
    PAID: { description: 'The total has come in.' },
    FAILED: { description: 'The last attempt to pay failed.' },
    REFUNDED: { description: 'All that was paid was given back.' },
  },
});

/** What the payments of an invoice amount to, in minor units. */
export interface InvoicePayments {
  readonly received: number;
  readonly refunded: number;
  /** Whether money is on its way. */
  readonly processing: boolean;
  /** Whether the latest attempt failed. */
  readonly lastFailed: boolean;
  /** Whether the latest attempt waits for its payer. */
  readonly waiting: boolean;
}

/** A bill a tenant sent to a customer. */
@ObjectType({ description: 'A bill the tenant sent to a customer.' })
@Entity({ tableName: 'invoices' })
export class Invoice extends PsaRow {
  @Field(() => Int, { description: "The PSA's id." })
  declare id: number;

  @Property({ type: 'integer' })
  customerId!: number;

  @Property({ type: 'integer', nullable: true })
  contractId: number | null = null;

  @Property({ type: 'uuid', nullable: true })
  subscriptionId: Uuid | null = null;

  @Field(() => Customer, { description: 'Who is to pay.' })
  readonly customer!: Customer;

  @Field(() => StripeSubscription, { nullable: true, description: 'The subscription that it is a cycle of.' })
  readonly subscription!: StripeSubscription | null;

  @Field(() => String, { description: 'The number the tenant gave it.' })
  @Property({ type: 'text' })
  number!: string;

  @Field(() => InvoiceStatus, { description: 'Where it stands in its life.' })
  @Property({ type: 'text' })
  status: InvoiceStatus = InvoiceStatus.OPEN;

  @Field(() => InvoicePaymentStatus, { description: 'How far it is paid.' })
  @Property({ type: 'text' })
  paymentStatus: InvoicePaymentStatus = InvoicePaymentStatus.UNPAID;

  @Property({ type: 'bigint', fieldName: 'total' })
  totalMinor!: number;

  @Property({ type: 'bigint', fieldName: 'amount_paid' })
  amountPaidMinor: number = 0;

  /** Settled otherwise than by payments: credit that the customer had, credit notes. Below zero: an earlier debt is collected along. */
  @Property({ type: 'bigint', fieldName: 'amount_credited' })
  amountCreditedMinor: number = 0;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Field(() => Money, {
    description: 'What is billed, tax included. Below zero when a subscription gives more back than it bills.',
  })
  get total(): Money {
    return new Money(this.totalMinor, this.currency);
  }

  @Field(() => Money, { description: 'What is still to be paid; zero once it is paid, withdrawn or written off.' })
  get amountDue(): Money {
    return new Money(this.dueMinor, this.currency);
  }

  @Field(() => Money, { description: 'What has come in.' })
  get amountPaid(): Money {
    return new Money(this.amountPaidMinor, this.currency);
  }

  @Field(() => Money, {
    description: 'What was settled by credit of the customer instead of a payment, or taken back by credit notes.',
  })
  get amountCredited(): Money {
    return new Money(this.amountCreditedMinor, this.currency);
  }

  @Field(() => StripeInvoice, {
    nullable: true,
    description: 'The cycle of a subscription that it bills; null for any other invoice.',
  })
  readonly cycle!: StripeInvoice | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it should be paid by.' })
  @Property({ type: 'datetime', nullable: true })
  dueAt: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the last of the total came in.' })
  @Property({ type: 'datetime', nullable: true })
  paidAt: Date | null = null;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  declare createdAt: Date;

  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};

  /** Minor units still owed. */
  get dueMinor(): number {
    return amountDueOf(this.status, this.totalMinor, this.amountPaidMinor, this.amountCreditedMinor);
  }

  /** Minor units that came in, or that credit took the place of. */
  private get settledMinor(): number {
    return this.amountPaidMinor + this.amountCreditedMinor;
  }

  /** Whether a subscription's cycle made it: then Stripe collects it, and Stripe's word on it holds. */
  get isCycle(): boolean {
    return this.subscriptionId !== null;
  }

  /** What Stripe calls its state. */
  get stripeStatus(): InvoiceReport['status'] {
    return this.status.toLowerCase() as InvoiceReport['status'];
  }

  /** Takes over what Stripe says of the invoice of a cycle. Which report is the newer one, the caller has found out. */
  takeOver(report: InvoiceReport): void {
    this.status = invoiceStatusOf(report.status);
    this.totalMinor = report.total;
    this.amountPaidMinor = report.amountPaid;
    this.amountCreditedMinor = creditedOf(report);
    this.dueAt = report.dueAt;
    this.paidAt = report.status === 'paid' ? report.paidAt : null;
  }

  /**
   * Follows the payments of a cycle: how far it is paid. Whether it is, and how much came in, is Stripe's to say.
   * @param attempts how often Stripe tried to collect it
   */
  followCycle(payments: InvoicePayments, attempts: number): void {
    const { received, refunded, processing, lastFailed, waiting } = payments;
    const failed = lastFailed || (attempts > 0 && !waiting);
    if (received > 0 && refunded >= received) this.paymentStatus = InvoicePaymentStatus.REFUNDED;
    else if (this.status === InvoiceStatus.PAID) this.paymentStatus = InvoicePaymentStatus.PAID;
    else if (processing) this.paymentStatus = InvoicePaymentStatus.PENDING;
    else if (this.amountPaidMinor > 0) this.paymentStatus = InvoicePaymentStatus.PARTIALLY_PAID;
    else this.paymentStatus = failed ? InvoicePaymentStatus.FAILED : InvoicePaymentStatus.UNPAID;
  }

  /**
   * Minor units that came in otherwise than by our payments: a cheque that the PSA wrote down.
   * @param counted what of the amount paid our payments have brought
   */
  paidElsewhere(counted: number): number {
    return Math.max(0, this.amountPaidMinor - counted);
  }

  /**
   * Follows its payments. The same payments give the same invoice, in whatever order their news arrived, so this may be called
   * as often as one likes.
   * @param elsewhere minor units that came in otherwise, from {@link paidElsewhere}
   * @param at Stripe's time of the payment that made the total full
   */
  follow(payments: InvoicePayments, elsewhere: number, at: Date): void {
    this.amountPaidMinor = payments.received + elsewhere;
    this.paymentStatus = this.paymentStatusFor(payments);
    const settled = this.settledMinor >= this.totalMinor;
    // Withdrawn and written-off invoices keep their status: money that still comes in is shown by what was paid.
    if (this.status === InvoiceStatus.OPEN && settled) this.status = InvoiceStatus.PAID;
    this.paidAt = settled ? at : null;
  }

  private paymentStatusFor({ refunded, processing, lastFailed }: InvoicePayments): InvoicePaymentStatus {
    const paid = this.amountPaidMinor;
    if (paid > 0 && refunded >= paid) return InvoicePaymentStatus.REFUNDED;
    if (this.settledMinor > 0 && this.settledMinor >= this.totalMinor) return InvoicePaymentStatus.PAID;
    if (processing) return InvoicePaymentStatus.PENDING;
    if (paid > 0) return InvoicePaymentStatus.PARTIALLY_PAID;
    return lastFailed ? InvoicePaymentStatus.FAILED : InvoicePaymentStatus.UNPAID;
  }
}

/** What is still owed, in minor units: nothing of an invoice that is a draft, withdrawn or written off. */
export function amountDueOf(status: InvoiceStatus, total: number, paid: number, credited: number): number {
  return status === InvoiceStatus.OPEN ? Math.max(0, total - credited - paid) : 0;
}

/** What of an invoice's total neither came in nor will. */
function creditedOf({ total, amountPaid, amountRemaining }: InvoiceReport): number {
  return total - amountPaid - amountRemaining;
}

function invoiceStatusOf(status: InvoiceReport['status']): InvoiceStatus {
  switch (status) {
    case 'draft':
      return InvoiceStatus.DRAFT;
    case 'open':
      return InvoiceStatus.OPEN;
    case 'paid':
      return InvoiceStatus.PAID;
    case 'void':
      return InvoiceStatus.VOID;
    case 'uncollectible':
      return InvoiceStatus.UNCOLLECTIBLE;
    default:
      return assertUnreachable(status);
  }
}

export const InvoiceConnection = connectionOf('Invoice', () => Invoice);
