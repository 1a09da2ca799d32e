import { Field, InputType, ObjectType } from 'type-graphql';
import { formatMoney } from './money.js';
import { CurrencyScalar, SafeIntScalar } from './scalars.js';

/** An amount with its currency. Never added to another currency, never a float. */
@ObjectType({ description: 'An amount of money in one currency.' })
export class Money {
  @Field(() => SafeIntScalar, {
    description: 'Whole minor units, as Stripe counts them: 1000 is 10.00 USD, and 1000 JPY.',
  })
  readonly amount: number;

  @Field(() => CurrencyScalar, { description: 'The currency, in lower case.' })
  readonly currency: string;

  constructor(amount: number, currency: string) {
    this.amount = amount;
    this.currency = currency;
  }

  @Field(() => String, { description: 'For people: `USD 1,234.50`.' })
  get formatted(): string {
    return formatMoney(this.amount, this.currency);
  }
}

/** An amount that a client sends. */
@InputType({ description: 'An amount of money in one currency.' })
export class MoneyInput {
  @Field(() => SafeIntScalar, { description: 'Whole minor units of the currency.' })
  amount!: number;

  @Field(() => CurrencyScalar, { description: 'The currency, in lower case.' })
  currency!: string;
}
