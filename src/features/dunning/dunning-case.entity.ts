import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountId, type InvoiceId } from '../../stripe/types.js';
import { Customer } from '../customers/customer.entity.js';
import { Invoice } from '../invoices/invoice.entity.js';
import { DunningEnd, DunningRetries, integers } from './dunning-settings.entity.js';
import { DunningStep } from './dunning-step.entity.js';

export enum DunningState {
  OPEN = 'OPEN',
  RECOVERED = 'RECOVERED',
  LOST = 'LOST',
  STOPPED = 'STOPPED',
}
registerEnumType(DunningState, {
  name: 'DunningState',
  description: 'Where the dunning of an invoice stands.',
  valuesConfig: {
    OPEN: { description: 'Steps are still to come.' },
    RECOVERED: { description: 'The invoice was paid, in whatever way.' },
    LOST: { description: 'All was tried, and the chosen end came.' },
    STOPPED: { description: 'There was no more reason, or somebody stopped it.' },
  },
});

export enum DunningStopReason {
  MANUAL = 'MANUAL',
  VOIDED = 'VOIDED',
  WRITTEN_OFF = 'WRITTEN_OFF',
  CREDITED = 'CREDITED',
  SUBSCRIPTION_ENDED = 'SUBSCRIPTION_ENDED',
  CUSTOMER_DELETED = 'CUSTOMER_DELETED',
  ACCOUNT_DISCONNECTED = 'ACCOUNT_DISCONNECTED',
}
registerEnumType(DunningStopReason, {
  name: 'DunningStopReason',
  description: 'Why dunning stopped before it came to its end.',
  valuesConfig: {
    MANUAL: { description: 'Somebody stopped it.' },
    VOIDED: { description: 'The invoice was withdrawn.' },
    WRITTEN_OFF: { description: 'The invoice was written off.' },
    CREDITED: { description: 'Credit took the place of what was due.' },
    SUBSCRIPTION_ENDED: { description: 'The subscription ended.' },
    CUSTOMER_DELETED: { description: 'The customer was deleted at Stripe, and the saved methods with it.' },
    ACCOUNT_DISCONNECTED: { description: 'The Stripe account was disconnected.' },
  },
});

/** What is done about one invoice that could not be collected. There is one for each such invoice, ever. */
@ObjectType({ description: 'What is done about an invoice that could not be collected.' })
@Entity({ tableName: 'dunning_cases' })
export class DunningCase extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Property({ type: 'integer' })
  invoiceId!: number;

  @Property({ type: 'integer' })
  customerId!: number;

  @Field(() => Invoice, { description: 'What is to be paid.' })
  readonly invoice!: Invoice;

  @Field(() => Customer, { description: 'Who is to pay.' })
  readonly customer!: Customer;

  @Field(() => [DunningStep], { description: 'What was done and what is to come, in order of time.' })
  readonly steps!: DunningStep[];

  @Property({ type: 'uuid', nullable: true })
  subscriptionId: Uuid | null = null;

  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Property({ type: 'text', nullable: true })
  stripeInvoiceId: InvoiceId | null = null;

  @Property({ type: 'bigint', fieldName: 'amount' })
  amountMinor!: number;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Field(() => Money, { description: 'What was due when it began.' })
  readonly amount!: Money;

  @Field(() => DunningRetries, { description: 'Who tries again.' })
  @Property({ type: 'text' })
  retries!: DunningRetries;

  @Property({ type: integers, columnType: 'integer[]' })
  retryDays!: number[];

  @Field(() => DunningEnd, { description: 'What becomes of the subscription when the last retry failed.' })
  @Property({ type: 'text', fieldName: 'at_end' })
  end!: DunningEnd;

  @Field(() => DunningState, { description: 'Where it stands.' })
  @Property({ type: 'text' })
  state: DunningState = DunningState.OPEN;

  @Field(() => DunningStopReason, { nullable: true, description: 'Why it stopped; null when it did not.' })
  @Property({ type: 'text', nullable: true })
  stopReason: DunningStopReason | null = null;

  @Field(() => String, { nullable: true, description: "The bank's reason for the last failure, where it gave one." })
  @Property({ type: 'text', nullable: true })
  declineCode: string | null = null;

  @Property({ type: 'text', nullable: true })
  blockedMethod: string | null = null;

  @Property({ type: 'boolean' })
  ending: boolean = false;

  @Field(() => DateTimeScalar, { description: 'When it began.' })
  @Property({ type: 'datetime', defaultRaw: 'now()' })
  openedAt!: Date;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When the next step is due; null when none is planned: it is over, or Stripe retries.',
  })
  @Property({ type: 'datetime', nullable: true })
  nextAt: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was over; null until then.' })
  @Property({ type: 'datetime', nullable: true })
  closedAt: Date | null = null;

  @Field(() => Int, {
    description:
      'How often in a row the step that is due could not be carried out, for reasons of ours; 0 when all is well. It is tried again, later each time.',
  })
  @Property({ type: 'integer' })
  failures: number = 0;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'Since when the step that is due cannot be carried out; null when all is well.',
  })
  @Property({ type: 'datetime', nullable: true })
  failingSince: Date | null = null;

  /** How often a worker took it up. */
  @Property({ type: 'integer' })
  visits: number = 0;

  /** Fences: who lost its lease can write nothing any more. */
  @Property({ type: 'uuid', nullable: true })
  leaseToken: Uuid | null = null;

  @Property({ type: 'datetime', nullable: true })
  leaseUntil: Date | null = null;
}

export const DunningCaseConnection = connectionOf('DunningCase', () => DunningCase);
