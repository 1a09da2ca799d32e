import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';

/** https://docs.stripe.com/api/payouts/object#payout_object-status */
export enum PayoutStatus {
  PENDING = 'PENDING',
  IN_TRANSIT = 'IN_TRANSIT',
  PAID = 'PAID',
  FAILED = 'FAILED',
  CANCELED = 'CANCELED',
}
registerEnumType(PayoutStatus, {
  name: 'PayoutStatus',
  description: 'Where a payout is on its way to the bank.',
  valuesConfig: {
    PENDING: { description: 'Not sent to the bank yet.' },
    IN_TRANSIT: { description: 'Sent to the bank.' },
    PAID: { description: 'Arrived. A bank can still return it within some days.' },
    FAILED: { description: 'Returned by the bank: the money is back at Stripe.' },
    CANCELED: { description: 'Called off before it was sent.' },
  },
});

@ObjectType({ description: 'Why a payout did not arrive.' })
export class PayoutFailure {
  @Field(() => String, { description: "Stripe's code: `account_closed`." })
  code!: string;

  @Field(() => String, { nullable: true, description: 'What may be shown to the account’s owner.' })
  message!: string | null;
}

const parts =
  'Null where Stripe does not say what a payout contains: those made by hand, and for some minutes new ones.';

/** Money that Stripe sent to the tenant's bank, and what it is made of. */
@ObjectType({ description: "A deposit on the tenant's bank account, and what it is made of." })
export class Payout {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  readonly id!: Uuid;

  @Field(() => String, { description: "Stripe's id." })
  readonly stripePayoutId!: string;

  @Field(() => Money, { description: 'What the bank receives; negative when it is debited.' })
  readonly amount!: Money;

  @Field(() => PayoutStatus, { description: 'Where it is.' })
  readonly status!: PayoutStatus;

  @Field(() => DateTimeScalar, { description: 'The day on which it arrives, or should.' })
  readonly arrivalDate!: Date;

  @Field(() => String, { description: '`standard` or `instant`.' })
  readonly method!: string;

  @Field(() => Boolean, { description: 'Whether it was made by the schedule, and not by hand.' })
  readonly automatic!: boolean;

  @Field(() => PayoutFailure, { nullable: true, description: 'Why it did not arrive.' })
  readonly failure!: PayoutFailure | null;

  @Field(() => String, { nullable: true, description: 'What stands on the statement of the bank.' })
  readonly statementDescriptor!: string | null;

  @Field(() => Money, { nullable: true, description: `The payments in it, before fees. ${parts}` })
  readonly payments!: Money | null;

  @Field(() => Money, { nullable: true, description: `Refunds in it, less those that failed; negative. ${parts}` })
  readonly refunds!: Money | null;

  @Field(() => Money, { nullable: true, description: `Disputed money in it, less what came back; negative. ${parts}` })
  readonly disputes!: Money | null;

  @Field(() => Money, { nullable: true, description: `Stripe's and the platform's fees in it; negative. ${parts}` })
  readonly fees!: Money | null;

  @Field(() => Money, { nullable: true, description: `Everything else: an earlier payout that came back. ${parts}` })
  readonly adjustments!: Money | null;

  @Field(() => Money, { nullable: true, description: `The sum of all five: to the cent, the amount. ${parts}` })
  readonly total!: Money | null;

  @Field(() => DateTimeScalar, { description: 'When Stripe made it.' })
  readonly createdAt!: Date;
}

export const PayoutConnection = connectionOf('Payout', () => Payout);
