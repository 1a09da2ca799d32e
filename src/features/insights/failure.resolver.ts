import { type GraphQLResolveInfo } from 'graphql';
import { Arg, Args, ArgsType, Authorized, Ctx, Field, Info, InputType, Int, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { DateTimeScalar } from '../../shared/scalars.js';
import { tenantMembers } from '../tenants/roles.js';
import { failedPaymentReads } from './failed-payment.reads.js';
import { type FailedPayment, FailedPaymentConnection, FailureOutcome, FailurePeriod } from './failed-payment.types.js';
import { type Failures } from './failures.js';
import { ReportInterval } from './report-interval.js';

/** What these resolvers need of the request. */
export interface FailureContext {
  readonly reads: Reads;
  readonly failures: Failures;
}

@InputType({ description: 'Which tries; all conditions must hold.' })
class FailedPaymentFilter {
  @Field(() => FailureOutcome, { nullable: true, description: 'Those of which this became.' })
  outcome?: FailureOutcome | null;

  @Field(() => Int, { nullable: true, description: "Those of this customer: the PSA's id." })
  customerId?: number | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those that failed then or later.' })
  from?: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those that failed before then.' })
  to?: Date | null;
}

@ArgsType()
class FailedPaymentsArgs extends ForwardArgs {
  @Field(() => FailedPaymentFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: FailedPaymentFilter | null;
}

@Resolver()
export class FailureResolver {
  @Authorized(tenantMembers)
  @Query(() => FailedPaymentConnection, {
    description: 'Tries to pay that failed, the latest first, with their reasons.',
  })
  failedPayments(
    @Args(() => FailedPaymentsArgs) { filter, ...page }: FailedPaymentsArgs,
    @Ctx() { reads }: FailureContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<FailedPayment>> {
    return reads.connection(failedPaymentReads, { page, where: { ...filter } }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => [FailurePeriod], {
    description: 'What failed, why, and what of it was recovered or lost, by period and currency.',
  })
  paymentFailures(
    @Arg('from', () => DateTimeScalar, { description: 'An instant in the first period; the whole period is shown.' })
    from: Date,
    @Arg('to', () => DateTimeScalar, { description: 'The instant before which the last period begins.' }) to: Date,
    @Arg('interval', () => ReportInterval, { description: 'How long a period is.' }) interval: ReportInterval,
    @Ctx() { failures }: FailureContext,
  ): Promise<FailurePeriod[]> {
    return failures.periods({ from, to }, interval);
  }
}
