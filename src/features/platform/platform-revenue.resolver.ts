import { Arg, Ctx, FieldResolver, Resolver } from 'type-graphql';
import { DateTimeScalar } from '../../shared/scalars.js';
import { ReportInterval } from '../insights/report-interval.js';
import { type Revenue } from '../insights/revenue.js';
import { RevenuePeriod, TenantApplicationFees } from '../insights/revenue.types.js';
import { Platform } from './platform.types.js';

/** What these resolvers need of the request. */
export interface PlatformRevenueContext {
  /** Over all tenants for those who belong to none. */
  readonly revenue: Revenue;
}

/** What came in, over all tenants. */
@Resolver(() => Platform)
export class PlatformRevenueResolver {
  @FieldResolver(() => [RevenuePeriod], {
    description:
      'What all tenants together took, by period (UTC) and currency, from their ledgers. It reads all postings of the time.',
  })
  revenue(
    @Arg('from', () => DateTimeScalar, { description: 'An instant in the first period.' }) from: Date,
    @Arg('to', () => DateTimeScalar, { description: 'The instant before which the last period begins.' }) to: Date,
    @Arg('interval', () => ReportInterval, { description: 'How long a period is.' }) interval: ReportInterval,
    @Ctx() { revenue }: PlatformRevenueContext,
  ): Promise<RevenuePeriod[]> {
    return revenue.periods({ from, to }, interval);
  }

  @FieldResolver(() => [TenantApplicationFees], {
    description: 'What the platform took of each tenant, by name and currency, from their ledgers.',
  })
  applicationFees(
    @Arg('from', () => DateTimeScalar, { description: 'What was booked then or later.' }) from: Date,
    @Arg('to', () => DateTimeScalar, { description: 'What was booked before then.' }) to: Date,
    @Ctx() { revenue }: PlatformRevenueContext,
  ): Promise<TenantApplicationFees[]> {
    return revenue.feesByTenant({ from, to });
  }
}
