import { Field, ObjectType } from 'type-graphql';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, SafeIntScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { Payment } from '../payments/payment.entity.js';
import { LedgerAccount } from './chart.js';

/** One thing that happened to the tenant's money. Written once, never altered: a correction is another transaction. */
@ObjectType({
  description: "One thing that happened to the tenant's money: as a rule, one balance transaction of Stripe's.",
})
export class LedgerTransaction {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  readonly id!: Uuid;

  @Field(() => SafeIntScalar, { description: "Counts the tenant's transactions, without gaps." })
  readonly number!: number;

  @Field(() => String, {
    nullable: true,
    description: "Stripe's id of what it booked; null for what happened at the bank.",
  })
  readonly stripeBalanceTransactionId!: string | null;

  @Field(() => String, { description: "Stripe's type of it: `charge`, `refund`, `payout`; or `payout_arrival`." })
  readonly type!: string;

  @Field(() => String, { description: "Stripe's reporting category, finer than the type: `dispute_reversal`." })
  readonly category!: string;

  @Field(() => Money, { description: 'Before fees; negative where money leaves.' })
  readonly amount!: Money;

  @Field(() => Money, { description: 'What Stripe took of it; negative where it was given back.' })
  readonly stripeFee!: Money;

  @Field(() => Money, { description: 'What the platform took of it; negative where it was given back.' })
  readonly applicationFee!: Money;

  @Field(() => Money, { description: 'How the balance at Stripe changed: the amount less both fees.' })
  readonly net!: Money;

  @Field(() => String, { nullable: true, description: "Stripe's id of what it is about: `ch_…`, `re_…`, `po_…`." })
  readonly sourceId!: string | null;

  @Field(() => String, { nullable: true, description: "Stripe's words for it." })
  readonly description!: string | null;

  @Field(() => DateTimeScalar, { description: 'When Stripe booked it.' })
  readonly bookedAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'From when its net can be paid out.' })
  readonly availableOn!: Date | null;

  @Field(() => [LedgerEntry], { description: 'Its lines. They sum to zero.' })
  readonly entries!: LedgerEntry[];

  @Field(() => Payment, { nullable: true, description: 'The payment that it is about: its charge, refund or dispute.' })
  readonly payment!: Payment | null;
}

/** A line of a transaction. */
@ObjectType({ description: 'A line of the books: one account, one amount.' })
export class LedgerEntry {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  readonly id!: Uuid;

  @Field(() => SafeIntScalar, { description: "Counts the tenant's lines, without gaps." })
  readonly number!: number;

  @Field(() => LedgerAccount, { description: 'The account that it stands on.' })
  readonly account!: LedgerAccount;

  @Field(() => Money, { description: 'Positive is a debit, negative a credit.' })
  readonly amount!: Money;

  @Field(() => Money, { description: 'What the account stands at in this currency, after this line.' })
  readonly balance!: Money;

  @Field(() => DateTimeScalar, { description: 'When Stripe booked it.' })
  readonly bookedAt!: Date;

  @Field(() => LedgerTransaction, { description: 'What it is a line of.' })
  readonly transaction!: LedgerTransaction;
}

@ObjectType({ description: 'Something that is not as it must be.' })
export class LedgerDifference {
  @Field(() => String, {
    description: 'The rule that is broken: `ZERO_SUM`, `STRIPE_BALANCE`, `PAYMENT_NET`, `BANK` …',
  })
  readonly what!: string;

  @Field(() => String, { description: 'What it is about: a transaction, a payment, a payout or an account.' })
  readonly subject!: string;

  @Field(() => String, { description: 'The currency; empty where it is about no money.' })
  readonly currency!: string;

  @Field(() => SafeIntScalar, { description: 'What it must be, in minor units.' })
  readonly expected!: number;

  @Field(() => SafeIntScalar, { description: 'What it is.' })
  readonly found!: number;
}

/** What the last comparison of the books found. */
@ObjectType({ description: 'A comparison of the books with themselves, with the payments and with Stripe.' })
export class LedgerCheck {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  readonly id!: Uuid;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  readonly checkedAt!: Date;

  @Field(() => SafeIntScalar, { description: 'How many transactions the books had.' })
  readonly transactions!: number;

  @Field(() => [LedgerDifference], { description: 'What differs; none when all is well.' })
  readonly differences!: LedgerDifference[];
}

export const LedgerEntryConnection = connectionOf('LedgerEntry', () => LedgerEntry);
export const LedgerTransactionConnection = connectionOf('LedgerTransaction', () => LedgerTransaction);
