import { Arg, Authorized, Ctx, Query, Resolver } from 'type-graphql';
import { DateTimeScalar } from '../../shared/scalars.js';
import { tenantMembers } from '../tenants/roles.js';
import { ReportInterval } from './report-interval.js';
import { type Revenue } from './revenue.js';
import { RevenuePeriod } from './revenue.types.js';

/** What these resolvers need of the request. */
export interface InsightsContext {
  readonly revenue: Revenue;
}

const fromDescription = 'An instant in the first period; the whole period is shown.';
const toDescription = 'The instant before which the last period begins; that is shown whole, too.';

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
}
