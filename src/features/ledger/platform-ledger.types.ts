import { Field, ObjectType } from 'type-graphql';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { LedgerAccount } from './chart.js';

/** One thing that happened to the platform's own balance. What it earned of a tenant's payment names neither payment nor tenant. */
@ObjectType({
  description: "One thing that happened to the platform's own balance: one balance transaction of Stripe's.",
})
export class PlatformLedgerTransaction {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  readonly id!: Uuid;

  @Field(() => String, { description: "Stripe's id of what it booked: `txn_…`." })
  readonly stripeBalanceTransactionId!: string;

  @Field(() => String, { description: "Stripe's type of it: `application_fee`, `payout`." })
  readonly type!: string;

  @Field(() => String, { description: "Stripe's reporting category, finer than the type: `platform_earning`." })
  readonly category!: string;

  @Field(() => Money, { description: 'Before fees; negative where money leaves.' })
  readonly amount!: Money;

  @Field(() => Money, { description: 'What Stripe took of it.' })
  readonly stripeFee!: Money;

  @Field(() => Money, { description: 'How the balance at Stripe changed.' })
  readonly net!: Money;

  @Field(() => String, { nullable: true, description: "Stripe's id of what it is about: `fee_…`, `po_…`." })
  readonly sourceId!: string | null;

  @Field(() => DateTimeScalar, { description: 'When Stripe booked it.' })
  readonly bookedAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'From when its net can be paid out.' })
  readonly availableOn!: Date | null;
}

@ObjectType({ description: "A line of the platform's own books: one account, one amount." })
export class PlatformLedgerEntry {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  readonly id!: Uuid;

  @Field(() => LedgerAccount, { description: 'The account that it stands on.' })
  readonly account!: LedgerAccount;

  @Field(() => Money, { description: 'Positive is a debit, negative a credit.' })
  readonly amount!: Money;

  @Field(() => PlatformLedgerTransaction, { description: 'What it is a line of.' })
  readonly transaction!: PlatformLedgerTransaction;
}

@ObjectType({ description: "What an account of the platform's own books stands at in one currency." })
export class PlatformLedgerBalance {
  @Field(() => LedgerAccount, { description: 'The account.' })
  readonly account!: LedgerAccount;

  @Field(() => Money, {
    description:
      'Positive is a debit. `STRIPE_BALANCE` is what lies at Stripe; `APPLICATION_FEES`, a credit, is what was earned.',
  })
  readonly balance!: Money;
}

export const PlatformLedgerEntryConnection = connectionOf('PlatformLedgerEntry', () => PlatformLedgerEntry);
