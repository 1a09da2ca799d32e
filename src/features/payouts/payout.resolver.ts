import { type GraphQLResolveInfo } from 'graphql';
import { Arg, Args, Authorized, Ctx, FieldResolver, Info, Query, Resolver } from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { LedgerTransaction, LedgerTransactionConnection } from '../ledger/ledger.types.js';
import { Payment } from '../payments/payment.entity.js';
import { tenantMembers } from '../tenants/roles.js';
import { Balance, type BalanceService } from './balance.js';
import { Payout, PayoutConnection } from './payout.entity.js';
import { payoutReads } from './payout.reads.js';

/** What these resolvers need of the request. */
export interface PayoutContext {
  readonly reads: Reads;
  readonly balances: BalanceService;
}

@Resolver()
export class PayoutResolver {
  @Authorized(tenantMembers)
  @Query(() => Payout, { nullable: true, description: 'One payout; null if there is no such one.' })
  payout(
    @Arg('id', () => UUIDScalar, { description: 'Our id.' }) id: string,
    @Ctx() { reads }: PayoutContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Payout | null> {
    return reads.one(payoutReads, { id }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => PayoutConnection, { description: "What Stripe sent to the tenant's bank, newest first." })
  payouts(
    @Args(() => ForwardArgs) page: ForwardArgs,
    @Ctx() { reads }: PayoutContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<Payout>> {
    return reads.connection(payoutReads, { page }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => Balance, { description: 'What lies at Stripe right now, and what the books say of it.' })
  balance(@Ctx() { balances }: PayoutContext): Promise<Balance> {
    return balances.balance();
  }
}

/** What a payout contains. */
@Resolver(() => Payout)
export class PayoutContentsResolver {
  @FieldResolver(() => LedgerTransactionConnection, {
    description: 'Every transaction in it, newest first: each payment with its invoice, each refund, each fee.',
  })
  transactions(@Args(() => ForwardArgs) _page: ForwardArgs): Connection<LedgerTransaction> {
    return answeredByReadModel();
  }
}

/** What payouts add to payments. */
@Resolver(() => Payment)
export class PaymentPayoutResolver {
  @FieldResolver(() => Payout, { nullable: true, description: 'The deposit that brought its money to the bank.' })
  payout(): Payout | null {
    return answeredByReadModel();
  }
}

/** What payouts add to the books. */
@Resolver(() => LedgerTransaction)
export class TransactionPayoutResolver {
  @FieldResolver(() => Payout, { nullable: true, description: 'The deposit that it went out with.' })
  payout(): Payout | null {
    return answeredByReadModel();
  }
}
