import { type GraphQLResolveInfo } from 'graphql';
import { Args, ArgsType, Ctx, Field, FieldResolver, Info, InputType, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { Money } from '../../shared/money.types.js';
import { CurrencyScalar } from '../../shared/scalars.js';
import { LedgerAccount } from '../ledger/chart.js';
import { platformBalances, platformEntryReads } from '../ledger/platform-ledger.reads.js';
import {
  PlatformLedgerBalance,
  type PlatformLedgerEntry,
  PlatformLedgerEntryConnection,
} from '../ledger/platform-ledger.types.js';
import { Platform } from './platform.types.js';

/** What these resolvers need of the request. */
export interface PlatformLedgerContext {
  /** Reads as the platform for those who belong to no tenant. */
  readonly reads: Reads;
}

@InputType({ description: 'Which lines; all conditions must hold.' })
class PlatformLedgerFilter {
  @Field(() => LedgerAccount, { nullable: true, description: 'Those of this account.' })
  account?: LedgerAccount | null;

  @Field(() => CurrencyScalar, { nullable: true, description: 'Those in this currency.' })
  currency?: string | null;
}

@ArgsType()
class PlatformLedgerArgs extends ForwardArgs {
  @Field(() => PlatformLedgerFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: PlatformLedgerFilter | null;
}

/** The platform's own books. */
@Resolver(() => Platform)
export class PlatformLedgerResolver {
  @FieldResolver(() => PlatformLedgerEntryConnection, {
    description: "The platform's own books, the latest line first: the fees that it earned, and what became of them.",
  })
  ledger(
    @Args(() => PlatformLedgerArgs) { filter, ...page }: PlatformLedgerArgs,
    @Ctx() { reads }: PlatformLedgerContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<PlatformLedgerEntry>> {
    return reads.connection(platformEntryReads, { page, where: { ...filter, isOfThisMode: true } }, info);
  }

  @FieldResolver(() => [PlatformLedgerBalance], {
    description: "What the accounts of the platform's own books stand at, by account and currency.",
  })
  async ledgerBalances(@Ctx() { reads }: PlatformLedgerContext): Promise<PlatformLedgerBalance[]> {
    const rows = await reads.figures(platformBalances);
    return rows.map(([account, currency, sum]) => ({
      account: account as LedgerAccount,
      balance: new Money(Number(sum), currency!),
    }));
  }
}
