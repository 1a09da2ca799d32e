import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { DateTimeScalar } from '../../shared/scalars.js';

/** How a run of a job ended. */
export enum JobOutcome {
  SUCCEEDED = 'SUCCEEDED',
  FAILED = 'FAILED',
  INTERRUPTED = 'INTERRUPTED',
}
registerEnumType(JobOutcome, {
  name: 'JobOutcome',
  description: 'How a run of a job ended.',
  valuesConfig: {
    SUCCEEDED: { description: 'It did all that was due.' },
    FAILED: { description: 'It is tried again soon, later each time.' },
    INTERRUPTED: { description: 'The process was stopped in the middle; the run is made again.' },
  },
});

@ObjectType({ description: 'A run of a job.' })
export class JobRun {
  @Field(() => DateTimeScalar, { description: 'When it began.' })
  startedAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it ended; null while it runs.' })
  endedAt!: Date | null;

  @Field(() => JobOutcome, { nullable: true, description: 'How it ended; null while it runs.' })
  outcome!: JobOutcome | null;
}

/** Something that is done by the clock. */
@ObjectType('ScheduledJob', { description: 'Something that is done by the clock, at most once at a time.' })
export class Job {
  @Field(() => String, { description: 'What it is called.' })
  name!: string;

  @Field(() => String, { description: 'What it does.' })
  description!: string;

  @Field(() => String, { description: 'When it is due: minute, hour, day, month, weekday, in UTC.' })
  cron!: string;

  @Field(() => DateTimeScalar, {
    description: 'When it is due the next time. In the past when it is late: then no process works that has it.',
  })
  nextRunAt!: Date;

  @Field(() => Boolean, {
    description: 'Whether it runs. When its process dies, this is noticed within a minute.',
  })
  isRunning!: boolean;

  @Field(() => JobRun, { nullable: true, description: 'The run that began last; null before the first.' })
  lastRun!: JobRun | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it last succeeded; null when it never did.' })
  lastSucceededAt!: Date | null;

  @Field(() => Int, { description: 'How often it failed since.' })
  failures!: number;

  @Field(() => String, { nullable: true, description: 'What the last failure said; null when it did not fail since.' })
  error!: string | null;

  @Field(() => String, { nullable: true, description: 'Who last had it run out of turn: the subject of the token.' })
  requestedBy!: string | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When that was.' })
  requestedAt!: Date | null;
}
