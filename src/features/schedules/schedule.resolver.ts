import { Arg, Authorized, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import { Role } from '../tenants/tenant.entity.js';
import { type ScheduleService } from './schedule.service.js';
import { Job } from './schedule.types.js';

/** What this resolver needs of the request. */
export interface ScheduleContext {
  readonly schedules: ScheduleService;
}

@Resolver()
export class ScheduleResolver {
  @Authorized(Role.PLATFORM_ADMIN)
  @Query(() => [Job], { description: 'What is done by the clock, and how it goes. Platform admins only.' })
  jobs(@Ctx() { schedules }: ScheduleContext): Promise<Job[]> {
    return schedules.jobs();
  }

  @Authorized(Role.PLATFORM_ADMIN)
  @Mutation(() => Job, {
    description:
      'Has a job run out of turn, within seconds, unless it runs already. Platform admins only; it is kept who did.',
  })
  runJob(
    @Arg('name', () => String, { description: 'What it is called.' }) name: string,
    @Ctx() { schedules }: ScheduleContext,
  ): Promise<Job> {
    return schedules.run(name);
  }
}
