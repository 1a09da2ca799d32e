import { type GraphQLResolveInfo } from 'graphql';
import { Arg, Args, ArgsType, Authorized, Ctx, Field, Info, Int, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { tenantMembers } from '../tenants/roles.js';
import { Customer, CustomerConnection } from './customer.entity.js';
import { customerReads } from './customer.reads.js';

/** What these resolvers need of the request. */
export interface CustomerContext {
  readonly reads: Reads;
}

@ArgsType()
class CustomersArgs extends ForwardArgs {
  @Field(() => String, { nullable: true, description: 'Part of the name or of the e-mail address.' })
  search?: string | null;
}

@Resolver()
export class CustomerResolver {
  @Authorized(tenantMembers)
  @Query(() => Customer, { nullable: true, description: 'One customer; null if there is no such one.' })
  customer(
    @Arg('id', () => Int, { description: "The PSA's id." }) id: number,
    @Ctx() { reads }: CustomerContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Customer | null> {
    return reads.one(customerReads, { id }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => CustomerConnection, { description: "The tenant's customers, by name." })
  customers(
    @Args(() => CustomersArgs) { search, ...page }: CustomersArgs,
    @Ctx() { reads }: CustomerContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<Customer>> {
    return reads.connection(customerReads, { page, where: { search } }, info);
  }
}
