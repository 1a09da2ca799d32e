import { Field, ObjectType } from 'type-graphql';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { CurrencyScalar, DateTimeScalar, SafeIntScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { StripeConfig } from '../onboarding/stripe-config.entity.js';

/** What the platform's own people see. Higher features add their fields to it. */
@ObjectType({ description: 'All tenants together. How much, never who: no customer of any tenant is shown here.' })
export class Platform {}

/** A tenant as the platform sees it: the business and its account, and nobody who buys from it. */
@ObjectType({
  description: 'A tenant as the platform sees it: its account and its fee rule, and nothing of its customers.',
})
export class PlatformTenant {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  id!: Uuid;

  @Field(() => String, { description: 'The name it trades under.' })
  name!: string;

  @Field(() => StripeConfig, {
    nullable: true,
    description: 'Its Stripe account and fee rule; null before onboarding.',
  })
  stripeConfig!: StripeConfig | null;

  @Field(() => DateTimeScalar, { description: 'When it came to the platform.' })
  createdAt!: Date;
}

export const PlatformTenantConnection = connectionOf('PlatformTenant', () => PlatformTenant);

/** Payments over all tenants, as far as they are in one currency. */
@ObjectType({ description: 'What all tenants together took in one currency, in the mode of this server.' })
export class PlatformTotals {
  @Field(() => CurrencyScalar, { description: 'The currency.' })
  currency!: string;

  @Field(() => SafeIntScalar, { description: 'How many payments in it succeeded.' })
  payments!: number;

  @Field(() => Money, { description: 'What customers paid in it.' })
  gross!: Money;

  @Field(() => Money, { description: 'What of that was given back.' })
  refunded!: Money;

  @Field(() => Money, {
    description:
      'What Stripe booked as its fees in it. A payment may be settled in another currency than it was paid in.',
  })
  stripeFees!: Money;

  @Field(() => Money, { description: "What Stripe booked as the platform's fees in it." })
  applicationFees!: Money;

  @Field(() => Money, { description: 'What was left to the tenants in it, before refunds.' })
  net!: Money;
}
