import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType } from 'type-graphql';
import { ModeRow, PsaRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { DateTimeScalar } from '../../shared/scalars.js';
import { type AccountId, type CustomerId } from '../../stripe/types.js';

/** Somebody who buys from a tenant. */
@ObjectType({ description: 'Somebody who buys from the tenant.' })
@Entity({ tableName: 'customers' })
export class Customer extends PsaRow {
  @Field(() => Int, { description: "The PSA's id." })
  declare id: number;

  @Field(() => String, { description: 'The name on invoices.' })
  @Property({ type: 'text' })
  name!: string;

  @Field(() => String, { nullable: true, description: 'Where invoices and receipts go.' })
  @Property({ type: 'text', nullable: true })
  email: string | null = null;

  @Property({ type: 'text', nullable: true })
  phone: string | null = null;

  @Property({ type: 'json', defaultRaw: `'{}'` })
  metadata: Record<string, unknown> = {};

  @Field(() => DateTimeScalar, { description: 'When the PSA recorded the customer.' })
  declare createdAt: Date;
}

export const CustomerConnection = connectionOf('Customer', () => Customer);

/** Who a customer is on a tenant's Stripe account. Customers do not cross accounts, so a new account means a new line. */
@Entity({ tableName: 'stripe_customers' })
export class StripeCustomer extends ModeRow {
  @Property({ type: 'integer' })
  customerId!: number;

  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Property({ type: 'text' })
  stripeCustomerId!: CustomerId;

  /** When we heard that it was deleted at Stripe. The next one that is needed takes its place in this line. */
  @Property({ type: 'datetime', nullable: true })
  deletedAt: Date | null = null;

  /** How many were deleted before this one. */
  @Property({ type: 'integer' })
  generation: number = 0;
}
