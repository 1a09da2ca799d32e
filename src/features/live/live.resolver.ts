import { type GraphQLResolveInfo } from 'graphql';
import { Arg, Authorized, Ctx, Info, Int, Resolver, Root, Subscription } from 'type-graphql';
import { type ReadModel } from '../../db/reads/model.js';
import { type Reads } from '../../db/reads/reads.js';
import { AppError } from '../../shared/errors.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { readUuid } from '../../shared/uuid.js';
import { StripeConfig } from '../onboarding/stripe-config.entity.js';
import { stripeConfigReads } from '../onboarding/stripe-config.reads.js';
import { Payment } from '../payments/payment.entity.js';
import { paymentReads } from '../payments/payment.reads.js';
import { tenantMembers } from '../tenants/roles.js';
import { type LiveRow, type LiveService } from './live.service.js';

/** What these resolvers need of the request. */
export interface LiveContext {
  readonly reads: Reads;
  readonly live: LiveService;
}

interface PaymentUpdatedArgs {
  readonly paymentId?: string | null;
  readonly invoiceId?: number | null;
}

const state =
  'First as it is now, then after each change; several changes at once may be told as one. After a reconnect the same again.';

@Resolver()
export class LiveResolver {
  @Authorized(tenantMembers)
  @Subscription(() => Payment, {
    description: `A payment, those of an invoice, or all of them: the newest 20 at first. ${state}`,
    subscribe: ({ context, args }: { context: LiveContext; args: PaymentUpdatedArgs }) =>
      context.live.payments({
        paymentId: args.paymentId ? readUuid(args.paymentId, 'paymentId') : null,
        invoiceId: args.invoiceId ?? null,
      }),
  })
  paymentUpdated(
    @Arg('paymentId', () => UUIDScalar, { nullable: true, description: 'Only this one: our id.' })
    _paymentId: string | null,
    @Arg('invoiceId', () => Int, { nullable: true, description: "Only those of this invoice: the PSA's id." })
    _invoiceId: number | null,
    @Root() row: LiveRow | undefined,
    @Ctx() context: LiveContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Payment> {
    return read(context, paymentReads, row, info);
  }

  @Authorized(tenantMembers)
  @Subscription(() => StripeConfig, {
    description: `The tenant's Stripe account, once there is one. ${state}`,
    subscribe: ({ context }: { context: LiveContext }) => context.live.stripeConfig(),
  })
  stripeConfigUpdated(
    @Root() row: LiveRow | undefined,
    @Ctx() context: LiveContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<StripeConfig> {
    return read(context, stripeConfigReads, row, info);
  }
}

/** The selection set decides what is read of a row that changed. */
async function read<T extends object>(
  { reads }: LiveContext,
  model: ReadModel<T, string>,
  row: LiveRow | undefined,
  info: GraphQLResolveInfo,
): Promise<T> {
  if (!row?.id) throw new AppError('BAD_USER_INPUT', 'Subscriptions are asked over WebSocket: graphql-transport-ws.');
  const found = await reads.one(model, { id: row.id }, info);
  if (!found) throw new AppError('NOT_FOUND', 'It is not there any more.');
  return found;
}
