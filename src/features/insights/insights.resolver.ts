import { Arg, Authorized, Ctx, Query, Resolver } from 'type-graphql';
import { DateTimeScalar } from '../../shared/scalars.js';
import { tenantMembers } from '../tenants/roles.js';
import { type Mrr } from './mrr.js';
import { MrrCohort, MrrPeriod, TrialPeriod } from './mrr.types.js';
import { ReportInterval } from './report-interval.js';
import { type Revenue } from './revenue.js';
import { RevenuePeriod } from './revenue.types.js';

/** What these resolvers need of the request. */
export interface InsightsContext {
  readonly revenue: Revenue;
  readonly mrr: Mrr;
}

const fromDescription = 'An instant in the first period; the whole period is shown.';
const toDescription = 'The instant before which the last period begins; that is shown whole, too.';

const fromMonth = 'An instant in the first month; the whole month is shown.';
const toMonth = 'The instant before which the last month begins.';

@Resolver()
export class InsightsResolver {
  @Authorized(tenantMembers)
  @Query(() => [RevenuePeriod], {
    description:
      "The tenant's revenue by period and currency, from the ledger. Periods without any are there, too, with zeros.",
  })
  revenue(
    @Arg('from', () => DateTimeScalar, { description: fromDescription }) from: Date,
    @Arg('to', () => DateTimeScalar, { description: toDescription }) to: Date,
    @Arg('interval', () => ReportInterval, { description: 'How long a period is.' }) interval: ReportInterval,
    @Ctx() { revenue }: InsightsContext,
  ): Promise<RevenuePeriod[]> {
    return revenue.periods({ from, to }, interval);
  }

  @Authorized(tenantMembers)
  @Query(() => [MrrPeriod], {
    description:
      'Monthly recurring revenue and its movements, by month and currency, up to the present month. docs/metrics.md says what counts.',
  })
  mrr(
    @Arg('from', () => DateTimeScalar, { description: fromMonth }) from: Date,
    @Arg('to', () => DateTimeScalar, { description: toMonth }) to: Date,
    @Ctx() { mrr }: InsightsContext,
  ): Promise<MrrPeriod[]> {
    return mrr.months({ from, to });
  }

  @Authorized(tenantMembers)
  @Query(() => [MrrCohort], { description: 'What is left of the customers who began in each month, by currency.' })
  mrrCohorts(
    @Arg('from', () => DateTimeScalar, { description: fromMonth }) from: Date,
    @Arg('to', () => DateTimeScalar, { description: toMonth }) to: Date,
    @Ctx() { mrr }: InsightsContext,
  ): Promise<MrrCohort[]> {
    return mrr.cohorts({ from, to });
  }

  @Authorized(tenantMembers)
  @Query(() => [TrialPeriod], {
    description: 'How many trials became paying subscriptions, by the month in which they began.',
  })
  trialConversion(
    @Arg('from', () => DateTimeScalar, { description: fromMonth }) from: Date,
    @Arg('to', () => DateTimeScalar, { description: toMonth }) to: Date,
    @Ctx() { mrr }: InsightsContext,
  ): Promise<TrialPeriod[]> {
    return mrr.trials({ from, to });
  }
}
