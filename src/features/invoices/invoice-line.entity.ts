import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';

/** One thing that an invoice bills, or gives back. */
@ObjectType({ description: 'One thing that an invoice bills, or gives back.' })
@Entity({ tableName: 'invoice_lines' })
export class InvoiceLine extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Property({ type: 'integer' })
  invoiceId!: number;

  /** From 0. */
  @Property({ type: 'integer' })
  position!: number;

  @Property({ type: 'text' })
  stripeLineId!: string;

  @Field(() => String, { nullable: true, description: 'What it is for.' })
  @Property({ type: 'text', nullable: true })
  description: string | null = null;

  @Field(() => Int, { nullable: true, description: 'How many units.' })
  @Property({ type: 'integer', nullable: true })
  quantity: number | null = null;

  @Property({ type: 'bigint', fieldName: 'amount' })
  amountMinor!: number;

  @Property({ type: 'bigint', fieldName: 'tax' })
  taxMinor: number = 0;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Field(() => Money, { description: 'What it comes to before tax; below zero when it gives something back.' })
  readonly amount!: Money;

  @Field(() => Money, { description: 'The tax on it.' })
  readonly tax!: Money;

  @Field(() => Boolean, { description: 'Whether it charges or gives back a part of a period, after a change.' })
  @Property({ type: 'boolean' })
  proration: boolean = false;

  @Field(() => DateTimeScalar, { nullable: true, description: 'From when on it counts.' })
  @Property({ type: 'datetime', nullable: true })
  periodStart: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Until when it counts.' })
  @Property({ type: 'datetime', nullable: true })
  periodEnd: Date | null = null;
}

export const InvoiceLineConnection = connectionOf('InvoiceLine', () => InvoiceLine);
