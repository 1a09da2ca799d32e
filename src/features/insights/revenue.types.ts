import { Field, Int, ObjectType } from 'type-graphql';
import { Money } from '../../shared/money.types.js';
import { CurrencyScalar, DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';

/** What came in within one period, in one currency, as the ledger has it. */
@ObjectType({
  description:
    'What came in within one period in one currency, as the ledger has it: net = gross − refunds − disputes − Stripe fees − application fees.',
})
export class RevenuePeriod {
  @Field(() => DateTimeScalar, {
    description: 'When the period begins: midnight where the tenant is. For the platform, midnight UTC.',
  })
  readonly start!: Date;

  @Field(() => Money, { description: 'What customers paid, less debits that bounced.' })
  readonly gross!: Money;

  @Field(() => Money, { description: 'What they were given back, less refunds that failed.' })
  readonly refunds!: Money;

  @Field(() => Money, { description: 'What banks took back for disputes, less what they returned.' })
  readonly disputes!: Money;

  @Field(() => Money, { description: 'What Stripe took.' })
  readonly stripeFees!: Money;

  @Field(() => Money, { description: 'What the platform took, less what it gave back.' })
  readonly applicationFees!: Money;

  @Field(() => Money, { description: 'What is left of it all.' })
  readonly net!: Money;

  @Field(() => Int, { description: 'How many payments were booked.' })
  readonly payments!: number;
}

/** What the platform took of one tenant. */
@ObjectType({ description: 'What the platform took of one tenant in one currency.' })
export class TenantApplicationFees {
  @Field(() => UUIDScalar, { description: "The tenant's id." })
  readonly tenantId!: Uuid;

  @Field(() => String, { description: 'The name it trades under.' })
  readonly tenantName!: string;

  @Field(() => CurrencyScalar, { description: 'The currency.' })
  readonly currency!: string;

  @Field(() => Int, { description: "How many of the tenant's payments were booked." })
  readonly payments!: number;

  @Field(() => Money, { description: "What the tenant's customers paid, less debits that bounced." })
  readonly gross!: Money;

  @Field(() => Money, { description: 'What the platform took of it, less what it gave back.' })
  readonly applicationFees!: Money;
}
