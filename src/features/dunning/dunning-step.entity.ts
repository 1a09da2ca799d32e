import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { DateTimeScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';

export enum DunningStepKind {
  NOTICE = 'NOTICE',
  RETRY = 'RETRY',
  END = 'END',
}
registerEnumType(DunningStepKind, {
  name: 'DunningStepKind',
  description: 'What is done in a step.',
  valuesConfig: {
    NOTICE: { description: 'The customer is told.' },
    RETRY: { description: 'It is tried again, and the customer is told when that fails, too.' },
    END: { description: 'The chosen end, and the last notice.' },
  },
});

export enum DunningOutcome {
  PLANNED = 'PLANNED',
  RUNNING = 'RUNNING',
  PAID = 'PAID',
  PROCESSING = 'PROCESSING',
  DECLINED = 'DECLINED',
  ACTION_REQUIRED = 'ACTION_REQUIRED',
  REFUSED = 'REFUSED',
  METHOD_NEEDED = 'METHOD_NEEDED',
  DONE = 'DONE',
  FAILED = 'FAILED',
  SKIPPED = 'SKIPPED',
}
registerEnumType(DunningOutcome, {
  name: 'DunningOutcome',
  description: 'What came of a step.',
  valuesConfig: {
    PLANNED: { description: 'It is still to come.' },
    RUNNING: { description: 'It is under way.' },
    PAID: { description: 'The invoice was paid by it.' },
    PROCESSING: { description: 'Money is on its way; a bank debit takes days.' },
    DECLINED: { description: 'The bank declined.' },
    ACTION_REQUIRED: { description: 'The bank wants the payer to confirm.' },
    REFUSED: { description: 'Stripe did not try: there is no method to charge, for one.' },
    METHOD_NEEDED: { description: 'Not tried: this method will never work, and the customer was asked for another.' },
    DONE: { description: 'Done.' },
    FAILED: { description: 'It could not be carried out.' },
    SKIPPED: { description: 'Not needed any more.' },
  },
});

/** One thing that is done about a failed payment, or is to be. */
@ObjectType({ description: 'One thing that is done about a failed payment, or is to be.' })
@Entity({ tableName: 'dunning_steps' })
export class DunningStep extends ModeRow {
  @Property({ type: 'uuid' })
  caseId!: Uuid;

  @Field(() => Int, { description: 'Tells the steps of a case apart. From 1000 on they were asked for by hand.' })
  @Property({ type: 'integer' })
  number!: number;

  @Field(() => DunningStepKind, { description: 'What is done.' })
  @Property({ type: 'text' })
  kind!: DunningStepKind;

  @Property({ type: 'integer', nullable: true })
  day: number | null = null;

  @Field(() => DateTimeScalar, { description: 'When it is to be done.' })
  @Property({ type: 'datetime' })
  at!: Date;

  @Field(() => DunningOutcome, { description: 'What came of it.' })
  @Property({ type: 'text' })
  outcome: DunningOutcome = DunningOutcome.PLANNED;

  @Field(() => String, { nullable: true, description: "The bank's reason, where it gave one: `insufficient_funds`." })
  @Property({ type: 'text', nullable: true })
  declineCode: string | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was done, or found to be needless.' })
  @Property({ type: 'datetime', nullable: true })
  doneAt: Date | null = null;

  @Field(() => Boolean, { description: 'Whether the customer was told by e-mail.' })
  @Property({ type: 'boolean' })
  mailed: boolean = false;

  @Property({ type: 'text', nullable: true })
  requestKey: string | null = null;
}
