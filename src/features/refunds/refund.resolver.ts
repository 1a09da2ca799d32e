import { type GraphQLResolveInfo } from 'graphql';
import {
  Arg,
  Authorized,
  Ctx,
  Field,
  FieldResolver,
  Info,
  InputType,
  Mutation,
  ObjectType,
  Resolver,
} from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { SafeIntScalar, UUIDScalar } from '../../shared/scalars.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { Payment } from '../payments/payment.entity.js';
import { paymentReads } from '../payments/payment.reads.js';
import { billingStaff } from '../tenants/roles.js';
import { Refund } from './refund.entity.js';
import { refundReads } from './refund.reads.js';
import { type RefundService } from './refund.service.js';
import { RefundReason } from './refund-state.js';

/** What these resolvers need of the request. */
export interface RefundContext {
  readonly reads: Reads;
  readonly refunds: RefundService;
}

@InputType({ description: 'What is given back.' })
class RefundPaymentInput {
  @Field(() => UUIDScalar, { description: 'The payment.' })
  paymentId!: string;

  @Field(() => SafeIntScalar, {
    nullable: true,
    description: 'Minor units, at most what is left of it; all that is left unless given.',
  })
  amount?: number | null;

  @Field(() => RefundReason, { nullable: true, description: 'Why. Stripe keeps it.' })
  reason?: RefundReason | null;

  @Field(() => Boolean, {
    defaultValue: false,
    description: "Whether the platform's fee goes back, too: in proportion, and with the last part what is left of it.",
  })
  refundApplicationFee!: boolean;

  @Field(() => String, {
    description: 'The same key and input are the same request, however often they are sent. 1 to 255 characters.',
  })
  idempotencyKey!: string;
}

/** Carries ids; the selection set decides what is read of the rows. */
@ObjectType({ description: 'Money that is given back, and the payment it is a part of.' })
class RefundPaymentPayload {
  constructor(
    private readonly refundId: Uuid,
    private readonly paymentId: Uuid,
  ) {}

  @Field(() => Refund, { description: 'The refund. It may be pending for days, and may still fail.' })
  async refund(@Ctx() { reads }: RefundContext, @Info() info: GraphQLResolveInfo): Promise<Refund> {
    const refund = await reads.one(refundReads, { id: this.refundId }, info);
    if (!refund) throw new Error('The refund that was just written is not there.');
    return refund;
  }

  @Field(() => Payment, { description: 'The payment, with what is left of it.' })
  async payment(@Ctx() { reads }: RefundContext, @Info() info: GraphQLResolveInfo): Promise<Payment> {
    const payment = await reads.one(paymentReads, { id: this.paymentId }, info);
    if (!payment) throw new Error('The payment that was just given back is not there.');
    return payment;
  }
}

@Resolver(() => Refund)
export class RefundResolver {
  @Authorized(billingStaff)
  @Mutation(() => RefundPaymentPayload, { description: 'Gives money back: all that is left of a payment, or a part.' })
  async refundPayment(
    @Arg('input', () => RefundPaymentInput, { description: 'Which, and how much.' }) input: RefundPaymentInput,
    @Ctx() { refunds }: RefundContext,
  ): Promise<RefundPaymentPayload> {
    const { amount = null, reason = null, refundApplicationFee, idempotencyKey } = input;
    const paymentId = readUuid(input.paymentId, 'input.paymentId');
    const made = await refunds.refundPayment({ paymentId, amount, reason, refundApplicationFee, idempotencyKey });
    return new RefundPaymentPayload(made.refundId, made.paymentId);
  }
}

/** What refunds add to payments. */
@Resolver(() => Payment)
export class PaymentRefundsResolver {
  @FieldResolver(() => [Refund], {
    description: 'What was given back of it, or is to be; newest first, a hundred at most.',
  })
  refunds(): Refund[] {
    return answeredByReadModel();
  }
}
