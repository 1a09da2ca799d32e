import { type GraphQLResolveInfo } from 'graphql';
import { Args, ArgsType, Authorized, Ctx, Field, Info, InputType, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { CurrencyScalar, DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { tenantMembers } from '../tenants/roles.js';
import { LedgerAccount } from './chart.js';
import { ledgerCheckReads, ledgerEntryReads } from './ledger.reads.js';
import { LedgerCheck, type LedgerEntry, LedgerEntryConnection } from './ledger.types.js';

/** What these resolvers need of the request. */
export interface LedgerContext {
  readonly reads: Reads;
}

@InputType({ description: 'Which lines; all conditions must hold.' })
class LedgerFilter {
  @Field(() => LedgerAccount, { nullable: true, description: 'Those of this account.' })
  account?: LedgerAccount | null;

  @Field(() => CurrencyScalar, { nullable: true, description: 'Those in this currency.' })
  currency?: string | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those booked then or later.' })
  from?: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those booked before then.' })
  to?: Date | null;

  @Field(() => UUIDScalar, { nullable: true, description: 'Those of this payment: its charge, refunds and disputes.' })
  paymentId?: string | null;
}

@ArgsType()
class LedgerArgs extends ForwardArgs {
  @Field(() => LedgerFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: LedgerFilter | null;
}

@Resolver()
export class LedgerResolver {
  @Authorized(tenantMembers)
  @Query(() => LedgerEntryConnection, {
    description: "The tenant's books, the latest line first. Filter by account and currency to read its balance.",
  })
  ledger(
    @Args(() => LedgerArgs) { filter, ...page }: LedgerArgs,
    @Ctx() { reads }: LedgerContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<LedgerEntry>> {
    return reads.connection(ledgerEntryReads, { page, where: { ...filter } }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => LedgerCheck, {
    nullable: true,
    description: 'What the last comparison of the books found; null before the first.',
  })
  async ledgerCheck(@Ctx() { reads }: LedgerContext, @Info() info: GraphQLResolveInfo): Promise<LedgerCheck | null> {
    const [latest] = await reads.list(ledgerCheckReads, {}, info, 1);
    return latest ?? null;
  }
}
