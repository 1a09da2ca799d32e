import { Arg, Authorized, Ctx, Mutation, Query, Resolver } from 'type-graphql';
import { badInput } from '../../shared/errors.js';
import { tenantMembers } from '../tenants/roles.js';
import { Role } from '../tenants/tenant.entity.js';
import { DriftReport, ReconcileInput, ReconcilePayload } from './drift-report.types.js';
import { type DriftService } from './drift.service.js';

/** What this resolver needs of the request. */
export interface DriftContext {
  readonly drift: DriftService;
}

/** A request is not kept waiting for longer; `npm run reconcile` takes the time it needs. */
const withinMs = 20_000;

@Resolver()
export class DriftResolver {
  @Authorized(tenantMembers)
  @Query(() => DriftReport, { description: 'What differed between Stripe and this server at the last check.' })
  driftReport(@Ctx() { drift }: DriftContext): Promise<DriftReport> {
    return drift.latest();
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => ReconcilePayload, {
    description: 'Compares this server with Stripe now and, unless it is a dry run, puts right what differs.',
  })
  async reconcile(
    @Arg('input', () => ReconcileInput, { description: 'What is compared, and whether anything is changed.' })
    { dryRun, days }: ReconcileInput,
    @Ctx() { drift }: DriftContext,
  ): Promise<ReconcilePayload> {
    if (days < 1 || days > 90) throw badInput('input.days', 'Between 1 and 90 days.');
    return { report: await drift.run({ dryRun, days, withinMs }) };
  }
}
