import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { Money } from '../../shared/money.types.js';
import { type Order, orderOf } from '../../shared/ordering.js';
import { DateTimeScalar, URLScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type InvoiceReport } from '../../stripe/billing-reports.js';
import { type AccountId, type InvoiceId } from '../../stripe/types.js';

/** What a report must be at least, to be newer than what is known within one second: an invoice only moves forward. */
const rank: Readonly<Record<InvoiceReport['status'], number>> = {
  draft: 0,
  open: 1,
  uncollectible: 2,
  void: 3,
  paid: 3,
};

/** The cycle of a subscription that an invoice bills: what only Stripe's invoice has. The money stands on the invoice itself. */
@ObjectType({ description: 'The cycle of a subscription that an invoice bills, as Stripe has it.' })
@Entity({ tableName: 'stripe_invoices' })
export class StripeInvoice extends ModeRow {
  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Field(() => String, { description: "Stripe's id of the invoice, on the tenant's account." })
  @Property({ type: 'text' })
  stripeInvoiceId!: InvoiceId;

  /** The invoice of the PSA's. Null only within the transaction that sees it first. */
  @Property({ type: 'integer', nullable: true })
  invoiceId: number | null = null;

  @Property({ type: 'uuid', nullable: true })
  subscriptionId: Uuid | null = null;

  @Field(() => String, {
    nullable: true,
    description: 'Why Stripe made it: `subscription_create`, `subscription_cycle`, `subscription_update`, …',
  })
  @Property({ type: 'text', nullable: true })
  billingReason: string | null = null;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Property({ type: 'bigint', fieldName: 'subtotal' })
  subtotalMinor: number = 0;

  @Property({ type: 'bigint', fieldName: 'tax' })
  taxMinor: number = 0;

  @Property({ type: 'bigint', fieldName: 'credit_noted' })
  creditNotedMinor: number = 0;

  @Field(() => Money, { description: 'The lines together, before discounts and tax.' })
  readonly subtotal!: Money;

  @Field(() => Money, { description: 'Tax, as Stripe computed it.' })
  readonly tax!: Money;

  @Field(() => Money, { description: 'What was taken back by credit notes.' })
  readonly creditNoted!: Money;

  @Field(() => Int, { description: 'How often Stripe tried to collect it.' })
  @Property({ type: 'integer' })
  attempts: number = 0;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When Stripe tries to collect it next; null when it will not.',
  })
  @Property({ type: 'datetime', nullable: true })
  nextAttemptAt: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the period begins that it closes.' })
  @Property({ type: 'datetime', nullable: true })
  periodStart: Date | null = null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When the period ends that it closes. What is billed in advance has its own period, on its line.',
  })
  @Property({ type: 'datetime', nullable: true })
  periodEnd: Date | null = null;

  @Field(() => URLScalar, { nullable: true, description: "Stripe's page on which its customer sees and pays it." })
  @Property({ type: 'text', nullable: true })
  hostedUrl: string | null = null;

  /** What was set on the draft for the platform, in minor units; null when the subscription's percentage says all. */
  @Property({ type: 'bigint', nullable: true })
  applicationFee: number | null = null;

  /** Stripe's time of the state; never our own clock's. */
  @Property({ type: 'datetime', nullable: true })
  stripeAsOf: Date | null = null;

  /**
   * Whether a report is newer than what is known. All of one invoice's reports may carry the same second; what shows it further on its way
   * is the newer one.
   * @param known what of the state stands on the PSA's invoice
   */
  order(
    report: InvoiceReport,
    known: { readonly status: InvoiceReport['status']; readonly paid: number; readonly credited: number },
    { asOf, fetched }: { readonly asOf: Date; readonly fetched: boolean },
  ): Order {
    const order = orderOf({ asOf: this.stripeAsOf, isFinal: false }, asOf, fetched);
    if (order !== 'unclear') return order;
    const steps = [
      rank[report.status] - rank[known.status],
      report.amountPaid - known.paid,
      report.attemptCount - this.attempts,
      report.creditNoted - this.creditNotedMinor,
    ];
    const step = steps.find((difference) => difference !== 0) ?? 0;
    if (step !== 0) return step > 0 ? 'newer' : 'stale';
    const isKnown =
      report.status === known.status &&
      report.total - report.amountPaid - report.amountRemaining === known.credited &&
      +(report.nextAttemptAt ?? 0) === +(this.nextAttemptAt ?? 0) &&
      report.subtotal === this.subtotalMinor &&
      report.tax === this.taxMinor &&
      report.hostedUrl === this.hostedUrl;
    return isKnown ? 'stale' : 'unclear';
  }

  /** Takes over what is newer. */
  takeOver(report: InvoiceReport, asOf: Date): void {
    Object.assign(this, {
      billingReason: report.billingReason,
      subtotalMinor: report.subtotal,
      taxMinor: report.tax,
      creditNotedMinor: report.creditNoted,
      attempts: report.attemptCount,
      nextAttemptAt: report.nextAttemptAt,
      periodStart: report.periodStart,
      periodEnd: report.periodEnd,
      hostedUrl: report.hostedUrl,
    });
    if (!this.stripeAsOf || asOf > this.stripeAsOf) this.stripeAsOf = asOf;
  }
}
