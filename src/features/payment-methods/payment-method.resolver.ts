import { type GraphQLResolveInfo } from 'graphql';
import { Arg, Authorized, Ctx, Field, Info, InputType, Int, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { billingStaff, tenantMembers } from '../tenants/roles.js';
import { PaymentMethod, PaymentMethodStatus } from './payment-method.entity.js';
import { paymentMethodReads } from './payment-method.reads.js';
import { type AskedSetup, type PaymentMethodService } from './payment-method.service.js';

/** What these resolvers need of the request. */
export interface PaymentMethodContext {
  readonly reads: Reads;
  readonly paymentMethods: PaymentMethodService;
}

const keyDescription =
  'The same key and input are the same request, however often they are sent. Not needed: repeating this is harmless.';

@InputType({ description: 'A way to pay that is to be saved.' })
class CreateSetupIntentInput {
  @Field(() => Int, { description: "Whose it will be: the PSA's id." })
  customerId!: number;

  @Field(() => String, { nullable: true, description: keyDescription })
  idempotencyKey?: string | null;
}

@InputType({ description: 'A payment method that the browser made, and whose it is.' })
class AttachPaymentMethodInput {
  @Field(() => Int, { description: "Whose it is: the PSA's id." })
  customerId!: number;

  @Field(() => String, { description: "Stripe's id of it, as Stripe.js gave it: `pm_…`." })
  stripePaymentMethodId!: string;

  @Field(() => Boolean, { defaultValue: false, description: "Whether it becomes the customer's default." })
  setAsDefault!: boolean;

  @Field(() => String, { nullable: true, description: keyDescription })
  idempotencyKey?: string | null;
}

@InputType({ description: 'Which payment method becomes the default.' })
class SetDefaultPaymentMethodInput {
  @Field(() => UUIDScalar, { description: 'Our id of it.' })
  paymentMethodId!: string;

  @Field(() => String, { nullable: true, description: keyDescription })
  idempotencyKey?: string | null;
}

@InputType({ description: 'Which payment method is removed.' })
class DetachPaymentMethodInput {
  @Field(() => UUIDScalar, { description: 'Our id of it.' })
  paymentMethodId!: string;

  @Field(() => Boolean, {
    defaultValue: false,
    description: 'Even when a running subscription of the customer is left without any.',
  })
  force!: boolean;

  @Field(() => String, { nullable: true, description: keyDescription })
  idempotencyKey?: string | null;
}

@ObjectType({ description: 'What Stripe.js needs to save a way to pay.' })
class CreateSetupIntentPayload {
  constructor(private readonly asked: AskedSetup) {}

  @Field(() => String, {
    nullable: true,
    description: 'Pass it to `stripe.confirmSetup`. For this payer alone; not to be stored.',
  })
  clientSecret(@Ctx() { paymentMethods }: PaymentMethodContext): Promise<string | null> {
    return paymentMethods.clientSecret(this.asked);
  }

  @Field(() => String, { description: "The platform's key for the browser." })
  get publishableKey(): string {
    return this.asked.publishableKey;
  }

  @Field(() => String, { description: 'Pass it to `Stripe(publishableKey, { stripeAccount })`.' })
  get stripeAccountId(): string {
    return this.asked.stripeAccountId;
  }
}

/** The payloads carry an id; the selection set decides what is read of the row. */
abstract class MethodPayload {
  constructor(protected readonly id: Uuid) {}

  protected async read(
    { reads }: Pick<PaymentMethodContext, 'reads'>,
    info: GraphQLResolveInfo,
  ): Promise<PaymentMethod> {
    const method = await reads.one(paymentMethodReads, { id: this.id }, info);
    if (!method) throw new Error('The payment method that was just written is not there.');
    return method;
  }
}

@ObjectType({ description: 'The payment method that was attached.' })
class AttachPaymentMethodPayload extends MethodPayload {
  @Field(() => PaymentMethod, { description: 'The payment method.' })
  paymentMethod(@Ctx() context: PaymentMethodContext, @Info() info: GraphQLResolveInfo): Promise<PaymentMethod> {
    return this.read(context, info);
  }
}

@ObjectType({ description: 'The payment method that is the default now.' })
class SetDefaultPaymentMethodPayload extends MethodPayload {
  @Field(() => PaymentMethod, { description: 'The payment method.' })
  paymentMethod(@Ctx() context: PaymentMethodContext, @Info() info: GraphQLResolveInfo): Promise<PaymentMethod> {
    return this.read(context, info);
  }
}

@ObjectType({ description: 'The payment method that was removed.' })
class DetachPaymentMethodPayload extends MethodPayload {
  @Field(() => PaymentMethod, { description: 'The payment method. Its payments keep naming it.' })
  paymentMethod(@Ctx() context: PaymentMethodContext, @Info() info: GraphQLResolveInfo): Promise<PaymentMethod> {
    return this.read(context, info);
  }
}

@Resolver()
export class PaymentMethodResolver {
  @Authorized(tenantMembers)
  @Query(() => [PaymentMethod], {
    description: 'What a customer can pay with, newest first; without what was removed.',
  })
  paymentMethods(
    @Arg('customerId', () => Int, { description: "Whose: the PSA's id." }) customerId: number,
    @Ctx() { reads }: PaymentMethodContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<PaymentMethod[]> {
    const storedStatus = [PaymentMethodStatus.ACTIVE, PaymentMethodStatus.EXPIRED];
    return reads.list(paymentMethodReads, { customerId, storedStatus }, info);
  }

  @Authorized(billingStaff)
  @Mutation(() => CreateSetupIntentPayload, { description: 'Prepares to save a way to pay, without charging it.' })
  async createSetupIntent(
    @Arg('input', () => CreateSetupIntentInput, { description: 'Whose.' })
    { customerId, idempotencyKey = null }: CreateSetupIntentInput,
    @Ctx() { paymentMethods }: PaymentMethodContext,
  ): Promise<CreateSetupIntentPayload> {
    return new CreateSetupIntentPayload(await paymentMethods.createSetupIntent({ customerId, idempotencyKey }));
  }

  @Authorized(billingStaff)
  @Mutation(() => AttachPaymentMethodPayload, {
    description: 'Gives a payment method that the browser made to a customer.',
  })
  async attachPaymentMethod(
    @Arg('input', () => AttachPaymentMethodInput, { description: 'Which, and whose.' })
    { idempotencyKey = null, ...input }: AttachPaymentMethodInput,
    @Ctx() { paymentMethods }: PaymentMethodContext,
  ): Promise<AttachPaymentMethodPayload> {
    return new AttachPaymentMethodPayload(await paymentMethods.attachPaymentMethod({ ...input, idempotencyKey }));
  }

  @Authorized(billingStaff)
  @Mutation(() => SetDefaultPaymentMethodPayload, {
    description: 'Makes a payment method the one that is used when none is named.',
  })
  async setDefaultPaymentMethod(
    @Arg('input', () => SetDefaultPaymentMethodInput, { description: 'Which.' })
    { paymentMethodId, idempotencyKey = null }: SetDefaultPaymentMethodInput,
    @Ctx() { paymentMethods }: PaymentMethodContext,
  ): Promise<SetDefaultPaymentMethodPayload> {
    const id = readUuid(paymentMethodId, 'input.paymentMethodId');
    return new SetDefaultPaymentMethodPayload(
      await paymentMethods.setDefaultPaymentMethod({ paymentMethodId: id, idempotencyKey }),
    );
  }

  @Authorized(billingStaff)
  @Mutation(() => DetachPaymentMethodPayload, { description: 'Removes a payment method for good.' })
  async detachPaymentMethod(
    @Arg('input', () => DetachPaymentMethodInput, { description: 'Which.' })
    { paymentMethodId, force, idempotencyKey = null }: DetachPaymentMethodInput,
    @Ctx() { paymentMethods }: PaymentMethodContext,
  ): Promise<DetachPaymentMethodPayload> {
    const id = readUuid(paymentMethodId, 'input.paymentMethodId');
    return new DetachPaymentMethodPayload(
      await paymentMethods.detachPaymentMethod({ paymentMethodId: id, force, idempotencyKey }),
    );
  }
}
