import { Arg, Authorized, Ctx, Field, InputType, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { Role } from '../tenants/tenant.entity.js';
import { type ScheduleService } from './schedule.service.js';
import { Job } from './schedule.types.js';

/** What this resolver needs of the request. */
export interface ScheduleContext {
  readonly schedules: ScheduleService;
}

@InputType({ description: 'Which job is to run.' })
class RunJobInput {
  @Field(() => String, { description: 'What it is called.' })
  name!: string;
}

@ObjectType({ description: 'The job that will run.' })
class RunJobPayload {
  constructor(job: Job) {
    this.job = job;
  }

  @Field(() => Job, { description: 'The job.' })
  job: Job;
}

@Resolver()
export class ScheduleResolver {
  @Authorized(Role.PLATFORM_ADMIN)
  @Query(() => [Job], { description: 'What is done by the clock, and how it goes. Platform admins only.' })
  jobs(@Ctx() { schedules }: ScheduleContext): Promise<Job[]> {
    return schedules.jobs();
  }

  @Authorized(Role.PLATFORM_ADMIN)
  @Mutation(() => RunJobPayload, {
    description:
      'Has a job run out of turn, within seconds, unless it runs already. Platform admins only; it is kept who did.',
  })
  async runJob(
    @Arg('input', () => RunJobInput, { description: 'Which job.' }) { name }: RunJobInput,
    @Ctx() { schedules }: ScheduleContext,
  ): Promise<RunJobPayload> {
    return new RunJobPayload(await schedules.run(name));
  }
}
