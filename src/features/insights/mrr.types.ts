import { Field, Int, ObjectType } from 'type-graphql';
import { Money } from '../../shared/money.types.js';
import { CurrencyScalar, DateTimeScalar, DecimalScalar } from '../../shared/scalars.js';

const rate = 'As a fraction, `"0.0250"` is 2.5 %; null when there was nothing that could be lost.';

/** How the recurring revenue of one month came about, in one currency. What the words mean is written in docs/metrics.md. */
@ObjectType({
  description:
    'Monthly recurring revenue of one month in one currency: closing = opening + new + expansion + reactivation − contraction − churn.',
})
export class MrrPeriod {
  @Field(() => DateTimeScalar, { description: 'When the month begins where the tenant is.' })
  readonly month!: Date;

  @Field(() => Money, { description: 'What recurred each month when it began: the closing of the month before.' })
  readonly opening!: Money;

  @Field(() => Money, { description: 'Of customers who never had any before.' })
  readonly new!: Money;

  @Field(() => Money, { description: 'What customers who had some have more.' })
  readonly expansion!: Money;

  @Field(() => Money, { description: 'What customers who still have some have less.' })
  readonly contraction!: Money;

  @Field(() => Money, { description: 'Of customers who have none any more.' })
  readonly churn!: Money;

  @Field(() => Money, { description: 'Of customers who had none for a while.' })
  readonly reactivation!: Money;

  @Field(() => Money, { description: 'What recurred when it ended; of the current month, what recurs now.' })
  readonly closing!: Money;

  @Field(() => Money, { description: 'Twelve times the closing.' })
  readonly arr!: Money;

  @Field(() => Int, { description: 'How many customers it recurred of when the month ended.' })
  readonly customers!: number;

  @Field(() => Int, { description: 'How many of those were new.' })
  readonly newCustomers!: number;

  @Field(() => Int, { description: 'How many had come back.' })
  readonly reactivatedCustomers!: number;

  @Field(() => Int, { description: 'How many had left.' })
  readonly churnedCustomers!: number;

  @Field(() => DecimalScalar, {
    nullable: true,
    description: `Which part of the customers of its beginning had left when it ended. ${rate}`,
  })
  readonly customerChurnRate!: string | null;

  @Field(() => DecimalScalar, {
    nullable: true,
    description: `Which part of the opening was lost: (churn + contraction) ÷ opening. ${rate}`,
  })
  readonly revenueChurnRate!: string | null;

  @Field(() => DecimalScalar, {
    nullable: true,
    description: `The same less what the customers of its beginning have more: (churn + contraction − expansion) ÷ opening. Below zero they grew. ${rate}`,
  })
  readonly netRevenueChurnRate!: string | null;
}

/** What is left of those who began in one month. */
@ObjectType({ description: 'What is left, some months later, of those who began in one month.' })
export class MrrCohortMonth {
  @Field(() => DateTimeScalar, { description: 'When the month begins where the tenant is.' })
  readonly month!: Date;

  @Field(() => Int, { description: 'How many of them it recurs of when that month ends.' })
  readonly customers!: number;

  @Field(() => Money, { description: 'What recurs of them each month by then.' })
  readonly mrr!: Money;
}

@ObjectType({ description: 'The customers who began in one month, in one currency, and what became of them.' })
export class MrrCohort {
  @Field(() => DateTimeScalar, { description: 'When the month begins in which they began.' })
  readonly start!: Date;

  @Field(() => CurrencyScalar, { description: 'The currency.' })
  readonly currency!: string;

  @Field(() => [MrrCohortMonth], { description: 'Month by month, the first one included, to the last one asked for.' })
  readonly months!: MrrCohortMonth[];
}

/** What became of the trials that began in one month. */
@ObjectType({ description: 'What became of the trials that began in one month: started = converted + lost + open.' })
export class TrialPeriod {
  @Field(() => DateTimeScalar, { description: 'When the month begins where the tenant is.' })
  readonly month!: Date;

  @Field(() => Int, { description: 'How many trials began in it.' })
  readonly started!: number;

  @Field(() => Int, { description: 'For how many of them a period was paid since.' })
  readonly converted!: number;

  @Field(() => Int, { description: 'How many of them ended without.' })
  readonly lost!: number;

  @Field(() => Int, { description: 'How many of them are still in their trial, or not paid yet.' })
  readonly open!: number;

  @Field(() => DecimalScalar, {
    nullable: true,
    description: 'converted ÷ (converted + lost). As a fraction; null while none has come to an end.',
  })
  readonly conversionRate!: string | null;
}
