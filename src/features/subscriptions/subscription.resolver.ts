import { type GraphQLResolveInfo } from 'graphql';
import {
  Arg,
  Args,
  ArgsType,
  Authorized,
  Ctx,
  Field,
  FieldResolver,
  Info,
  InputType,
  Int,
  Query,
  Resolver,
} from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, connectionOf, ForwardArgs } from '../../shared/connection.types.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { Contract } from '../contracts/contract.entity.js';
import { tenantMembers } from '../tenants/roles.js';
import { StripeSubscription } from './subscription.entity.js';
import { subscriptionReads } from './subscription.reads.js';
import { SubscriptionStatus } from './subscription-state.js';

/** What these resolvers need of the request. */
export interface SubscriptionContext {
  readonly reads: Reads;
}

const SubscriptionConnection = connectionOf('Subscription', () => StripeSubscription);

@InputType({ description: 'Which subscriptions; all conditions must hold.' })
class SubscriptionFilter {
  @Field(() => [SubscriptionStatus], { nullable: true, description: 'Those in one of these states.' })
  status?: SubscriptionStatus[] | null;

  @Field(() => Int, { nullable: true, description: "Those of this customer: the PSA's id." })
  customerId?: number | null;

  @Field(() => Int, { nullable: true, description: "Those of this contract: the PSA's id." })
  contractId?: number | null;
}

@ArgsType()
class SubscriptionsArgs extends ForwardArgs {
  @Field(() => SubscriptionFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: SubscriptionFilter | null;
}

@Resolver()
export class SubscriptionResolver {
  @Authorized(tenantMembers)
  @Query(() => StripeSubscription, { nullable: true, description: 'One subscription; null if there is no such one.' })
  subscription(
    @Arg('id', () => UUIDScalar, { description: 'Our id.' }) id: string,
    @Ctx() { reads }: SubscriptionContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<StripeSubscription | null> {
    return reads.one(subscriptionReads, { id }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => SubscriptionConnection, { description: "The tenant's subscriptions, newest first." })
  subscriptions(
    @Args(() => SubscriptionsArgs) { filter, ...page }: SubscriptionsArgs,
    @Ctx() { reads }: SubscriptionContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<StripeSubscription>> {
    return reads.connection(subscriptionReads, { page, where: { ...filter } }, info);
  }
}

/** What subscriptions add to contracts. */
@Resolver(() => Contract)
export class ContractSubscriptionResolver {
  @FieldResolver(() => StripeSubscription, {
    nullable: true,
    description: 'What bills it at Stripe: the live one, else the one that ended last.',
  })
  subscription(): StripeSubscription | null {
    return answeredByReadModel();
  }
}
