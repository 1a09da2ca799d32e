import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { PsaRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar } from '../../shared/scalars.js';
import { Customer } from '../customers/customer.entity.js';

export enum ContractStatus {
  DRAFT = 'DRAFT',
  ACTIVE = 'ACTIVE',
  PAUSED = 'PAUSED',
  ENDED = 'ENDED',
  CANCELED = 'CANCELED',
}
registerEnumType(ContractStatus, {
  name: 'ContractStatus',
  description: 'Where a contract stands.',
  valuesConfig: {
    DRAFT: { description: 'Not agreed yet.' },
    ACTIVE: { description: 'In force.' },
    PAUSED: { description: 'In force, but not billed for now.' },
    ENDED: { description: 'It ran its time.' },
    CANCELED: { description: 'It was ended early.' },
  },
});

export enum BillingInterval {
  DAY = 'DAY',
  WEEK = 'WEEK',
  MONTH = 'MONTH',
  QUARTER = 'QUARTER',
  YEAR = 'YEAR',
}
registerEnumType(BillingInterval, {
  name: 'BillingInterval',
  description: 'How often a contract is billed.',
  valuesConfig: {
    DAY: { description: 'Each day.' },
    WEEK: { description: 'Each week.' },
    MONTH: { description: 'Each month.' },
    QUARTER: { description: 'Every three months.' },
    YEAR: { description: 'Each year.' },
  },
});

/** What a customer agreed to pay regularly. */
@ObjectType({ description: 'What a customer agreed to pay regularly.' })
@Entity({ tableName: 'contracts' })
export class Contract extends PsaRow {
  @Field(() => Int, { description: "The PSA's id." })
  declare id: number;

  @Property({ type: 'integer' })
  customerId!: number;

  @Field(() => Customer, { description: 'Who agreed to it.' })
  readonly customer!: Customer;

  @Field(() => String, { description: 'What it is called on invoices.' })
  @Property({ type: 'text' })
  name!: string;

  @Field(() => ContractStatus, { description: 'Where it stands.' })
  @Property({ type: 'text' })
  status: ContractStatus = ContractStatus.DRAFT;

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
  interval: BillingInterval = BillingInterval.MONTH;

  @Field(() => Int, { description: 'How many units (seats, devices).' })
  @Property({ type: 'integer' })
  quantity: number = 1;

  @Field(() => DateTimeScalar, { description: 'When it comes into force.' })
  @Property({ type: 'datetime' })
  startsAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ends; null if it runs until canceled.' })
  @Property({ type: 'datetime', nullable: true })
  endsAt: Date | null = null;

  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};
}

export const ContractConnection = connectionOf('Contract', () => Contract);
