import { type GraphQLResolveInfo } from 'graphql';
import { Arg, Args, ArgsType, Authorized, Ctx, Field, Info, InputType, Int, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { tenantMembers } from '../tenants/roles.js';
import { Contract, ContractConnection, ContractStatus } from './contract.entity.js';
import { contractReads } from './contract.reads.js';

/** What these resolvers need of the request. */
export interface ContractContext {
  readonly reads: Reads;
}

@InputType({ description: 'Which contracts; all conditions must hold.' })
class ContractFilter {
  @Field(() => [ContractStatus], { nullable: true, description: 'Those in one of these states.' })
  status?: ContractStatus[] | null;

  @Field(() => Int, { nullable: true, description: "Those of this customer: the PSA's id." })
  customerId?: number | null;
}

@ArgsType()
class ContractsArgs extends ForwardArgs {
  @Field(() => ContractFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: ContractFilter | null;
}

@Resolver()
export class ContractResolver {
  @Authorized(tenantMembers)
  @Query(() => Contract, { nullable: true, description: 'One contract; null if there is no such one.' })
  contract(
    @Arg('id', () => Int, { description: "The PSA's id." }) id: number,
    @Ctx() { reads }: ContractContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Contract | null> {
    return reads.one(contractReads, { id }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => ContractConnection, { description: "The tenant's contracts, newest first." })
  contracts(
    @Args(() => ContractsArgs) { filter, ...page }: ContractsArgs,
    @Ctx() { reads }: ContractContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<Contract>> {
    return reads.connection(contractReads, { page, where: { ...filter } }, info);
  }
}
