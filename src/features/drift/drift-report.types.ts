import { Field, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { type DriftKind as Kind } from '../../jobs/drift.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { LedgerCheck } from '../ledger/ledger.types.js';

enum DriftKind {
  MISSING_HERE = 'MISSING_HERE',
  MISSING_AT_STRIPE = 'MISSING_AT_STRIPE',
  DIFFERENT = 'DIFFERENT',
}
registerEnumType(DriftKind, {
  name: 'DriftKind',
  description: 'How Stripe and this server differ on an object.',
  valuesConfig: {
    MISSING_HERE: { description: 'Stripe has it, and it is not here.' },
    MISSING_AT_STRIPE: { description: 'It is here, and Stripe does not know it.' },
    DIFFERENT: { description: 'A field has another value.' },
  },
});

/** One difference, as it is kept with its report. */
@ObjectType({ description: 'Something on which Stripe and this server differ.' })
export class DriftDifference {
  @Field(() => String, { description: 'What kind of object: `payment`.' })
  object!: string;

  @Field(() => String, { description: "Stripe's id of the object." })
  stripeId!: string;

  @Field(() => String, { nullable: true, description: 'Our id of the object; null when it is not here.' })
  localId!: string | null;

  @Field(() => DriftKind, { description: 'How they differ.' })
  kind!: Kind;

  @Field(() => String, {
    nullable: true,
    description: 'Which field differs; null when the whole object is missing on one side.',
  })
  field!: string | null;

  @Field(() => String, { nullable: true, description: 'What this server has.' })
  ours!: string | null;

  @Field(() => String, { nullable: true, description: 'What Stripe has.' })
  stripes!: string | null;

  @Field(() => Boolean, { description: 'Whether it was put right since.' })
  repaired!: boolean;
}

@ObjectType({ description: 'What differed between Stripe and this server when they were last compared.' })
export class DriftReport {
  @Field(() => UUIDScalar, { nullable: true, description: 'Our id of it; null before the first check.' })
  id!: Uuid | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the check began; null before the first.' })
  startedAt!: Date | null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When it ended; null while it runs, or when its process was killed.',
  })
  finishedAt!: Date | null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'Objects made since then were compared, and older ones that can still change.',
  })
  since!: Date | null;

  @Field(() => Boolean, { description: 'Whether differences were only looked for, and nothing was changed.' })
  dryRun!: boolean;

  @Field(() => Boolean, { description: 'Whether all was looked at; false when time ran out or Stripe was away.' })
  isComplete!: boolean;

  @Field(() => String, { nullable: true, description: 'Why it is not complete.' })
  problem!: string | null;

  @Field(() => Int, { description: 'Objects that were compared.' })
  examined!: number;

  @Field(() => Int, { description: 'Differences found.' })
  differenceCount!: number;

  @Field(() => Int, { description: 'Differences that were put right.' })
  repairedCount!: number;

  @Field(() => [DriftDifference], { description: 'The differences, the first thousand of them.' })
  differences!: DriftDifference[];

  @Field(() => LedgerCheck, {
    nullable: true,
    description: 'What the last comparison of the books with Stripe found, by the clock; null before the first.',
  })
  books!: LedgerCheck | null;
}

@InputType({ description: 'How Stripe and this server are compared.' })
export class ReconcileInput {
  @Field(() => Boolean, {
    defaultValue: true,
    description: 'Only look. False also puts right what differs, as Stripe’s webhooks would have.',
  })
  dryRun!: boolean;

  @Field(() => Int, {
    defaultValue: 7,
    description: 'How many days back objects are compared, 1 to 90. Older ones that can still change always are.',
  })
  days!: number;
}

@ObjectType({ description: 'What the comparison found.' })
export class ReconcilePayload {
  @Field(() => DriftReport, { description: 'The report.' })
  report!: DriftReport;
}
