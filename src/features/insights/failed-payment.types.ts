import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { DateTimeScalar, DecimalScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { Payment } from '../payments/payment.entity.js';
import { DeclineReason } from './decline-reason.js';

/** What became of what could not be taken. */
export enum FailureOutcome {
  OPEN = 'OPEN',
  RECOVERED = 'RECOVERED',
  LOST = 'LOST',
}
registerEnumType(FailureOutcome, {
  name: 'FailureOutcome',
  description: 'What became of a payment that failed.',
  valuesConfig: {
    OPEN: { description: 'It may yet be paid.' },
    RECOVERED: { description: 'It was paid after all, or its invoice was.' },
    LOST: { description: 'It was given up: canceled, or its invoice withdrawn or written off.' },
  },
});

/** One try to pay that failed. Also of payments that succeeded in the end. */
@ObjectType({ description: 'One try to pay that failed, also of a payment that succeeded later.' })
export class FailedPayment {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  readonly id!: Uuid;

  @Field(() => Payment, { description: 'The payment that was tried.' })
  readonly payment!: Payment;

  @Field(() => Money, { description: 'What was to be paid.' })
  readonly amount!: Money;

  @Field(() => String, { description: "Stripe's code: `card_declined`." })
  readonly code!: string;

  @Field(() => String, { nullable: true, description: "The bank's code as Stripe gives it: `insufficient_funds`." })
  readonly declineCode!: string | null;

  @Field(() => DeclineReason, { description: 'What both amount to.' })
  readonly reason!: DeclineReason;

  @Field(() => Boolean, {
    description: 'Whether the same method will not do again: the payer has to act. Otherwise another try may succeed.',
  })
  readonly isHard!: boolean;

  @Field(() => FailureOutcome, { description: 'What became of it.' })
  readonly outcome!: FailureOutcome;

  @Field(() => DateTimeScalar, { description: 'When it failed.' })
  readonly failedAt!: Date;
}

export const FailedPaymentConnection = connectionOf('FailedPayment', () => FailedPayment);

@ObjectType({ description: 'How many tries failed for one reason.' })
export class FailureReasonCount {
  @Field(() => DeclineReason, { description: 'The reason.' })
  readonly reason!: DeclineReason;

  @Field(() => Int, { description: 'How many tries.' })
  readonly tries!: number;

  @Field(() => Int, { description: 'In how many of them the same method will not do again.' })
  readonly hard!: number;
}

/** What could not be taken at first within one period, and what became of it since. */
@ObjectType({
  description:
    'What failed for the first time within one period, in one currency, and what became of it since: failed = recovered + lost + open. An invoice counts once, however often it was tried.',
})
export class FailurePeriod {
  @Field(() => DateTimeScalar, { description: 'When the period begins: midnight where the tenant is.' })
  readonly start!: Date;

  @Field(() => Int, { description: 'How many invoices and payments without one failed for the first time.' })
  readonly count!: number;

  @Field(() => Money, { description: 'What they were about.' })
  readonly failed!: Money;

  @Field(() => Money, { description: 'What of it was paid after all.' })
  readonly recovered!: Money;

  @Field(() => Money, { description: 'What of it was given up.' })
  readonly lost!: Money;

  @Field(() => Money, { description: 'What of it may yet be paid.' })
  readonly open!: Money;

  @Field(() => DecimalScalar, {
    nullable: true,
    description: 'recovered ÷ (recovered + lost), as a fraction: `"0.7500"`; null while nothing is decided.',
  })
  readonly recoveryRate!: string | null;

  @Field(() => [FailureReasonCount], {
    description: 'Why tries failed within the period, repeated ones included; the most frequent reason first.',
  })
  readonly reasons!: FailureReasonCount[];
}
