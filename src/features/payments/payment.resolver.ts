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
  Mutation,
  ObjectType,
  Query,
  registerEnumType,
  Resolver,
} from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs, PageArgs } from '../../shared/connection.types.js';
import { CurrencyScalar, DateTimeScalar, JSONObjectScalar, SafeIntScalar, UUIDScalar } from '../../shared/scalars.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { Invoice } from '../invoices/invoice.entity.js';
import { StripeSubscription } from '../subscriptions/subscription.entity.js';
import { billingStaff, tenantMembers } from '../tenants/roles.js';
import { Payment, PaymentConnection } from './payment.entity.js';
import { paymentReads } from './payment.reads.js';
import { type AskedPayment, type PaymentService } from './payment.service.js';
import { PaymentStatus } from './payment-state.js';

/** What these resolvers need of the request. */
export interface PaymentContext {
  readonly reads: Reads;
  readonly payments: PaymentService;
}

/** The values are Stripe's. https://docs.stripe.com/api/payment_intents/cancel */
enum PaymentCancellationReason {
  ABANDONED = 'abandoned',
  DUPLICATE = 'duplicate',
  FRAUDULENT = 'fraudulent',
  REQUESTED_BY_CUSTOMER = 'requested_by_customer',
}
registerEnumType(PaymentCancellationReason, {
  name: 'PaymentCancellationReason',
  description: 'Why a payment is given up. Stripe keeps it.',
  valuesConfig: {
    ABANDONED: { description: 'The payer went away.' },
    DUPLICATE: { description: 'It was asked for twice.' },
    FRAUDULENT: { description: 'Somebody else was paying.' },
    REQUESTED_BY_CUSTOMER: { description: 'The payer wants it so.' },
  },
});

const keyDescription = 'The same key and input are the same request, however often they are sent. 1 to 255 characters.';

@InputType({ description: 'What is to be paid, and how. By invoice, or else `amount` and `currency`.' })
class CreatePaymentIntentInput {
  @Field(() => String, { description: keyDescription })
  idempotencyKey!: string;

  @Field(() => Int, {
    nullable: true,
    description: "Pays what is due on it, or `amount` of it: the PSA's id. Currency and customer come from it.",
  })
  invoiceId?: number | null;

  @Field(() => Int, { nullable: true, description: "Who pays, without an invoice: the PSA's id." })
  customerId?: number | null;

  @Field(() => SafeIntScalar, { nullable: true, description: 'Whole minor units, 1 to 99,999,999.' })
  amount?: number | null;

  @Field(() => CurrencyScalar, { nullable: true, description: 'In lower case. Needed without an invoice.' })
  currency?: string | null;

  @Field(() => UUIDScalar, { nullable: true, description: 'A saved payment method: our id of it.' })
  paymentMethodId?: string | null;

  @Field(() => Boolean, {
    defaultValue: false,
    description: 'Takes the money now, with `paymentMethodId`. Otherwise the browser confirms.',
  })
  confirm!: boolean;

  @Field(() => Boolean, {
    defaultValue: false,
    description: 'The payer is not there to answer questions: what would need them is declined. With `confirm`.',
  })
  offSession!: boolean;

  @Field(() => Boolean, { defaultValue: false, description: 'Keeps what it is paid with for later payments.' })
  savePaymentMethod!: boolean;

  @Field(() => Boolean, { defaultValue: false, description: 'Holds the money; `capturePayment` takes it.' })
  captureLater!: boolean;

  @Field(() => String, { nullable: true, description: 'What it is for; up to 1,000 characters.' })
  description?: string | null;

  @Field(() => JSONObjectScalar, {
    nullable: true,
    description:
      'Notes of your own, kept here and at Stripe: up to 48 keys of 40 characters, values of 500. No card numbers.',
  })
  metadata?: Record<string, unknown> | null;
}

@InputType({ description: 'Which held money is taken.' })
class CapturePaymentInput {
  @Field(() => UUIDScalar, { description: 'The payment.' })
  paymentId!: string;

  @Field(() => SafeIntScalar, {
    nullable: true,
    description: 'Minor units; all that is held unless given. The rest is released.',
  })
  amount?: number | null;

  @Field(() => String, { description: keyDescription })
  idempotencyKey!: string;
}

@InputType({ description: 'Which payment is given up.' })
class CancelPaymentInput {
  @Field(() => UUIDScalar, { description: 'The payment.' })
  paymentId!: string;

  @Field(() => PaymentCancellationReason, { nullable: true, description: 'Why.' })
  reason?: PaymentCancellationReason | null;

  @Field(() => String, { nullable: true, description: `${keyDescription} Not needed: repeating this is harmless.` })
  idempotencyKey?: string | null;
}

@InputType({ description: 'Which payments; all conditions must hold.' })
class PaymentFilter {
  @Field(() => [PaymentStatus], { nullable: true, description: 'Those in one of these states.' })
  status?: PaymentStatus[] | null;

  @Field(() => Int, { nullable: true, description: "Those of this customer: the PSA's id." })
  customerId?: number | null;

  @Field(() => Int, { nullable: true, description: "Those of this invoice: the PSA's id." })
  invoiceId?: number | null;

  @Field(() => UUIDScalar, { nullable: true, description: 'Those of this subscription.' })
  subscriptionId?: string | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those asked for after then.' })
  createdAfter?: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those asked for before then.' })
  createdBefore?: Date | null;

  @Field(() => CurrencyScalar, { nullable: true, description: 'Those in this currency.' })
  currency?: string | null;
}

@ArgsType()
class PaymentsArgs extends PageArgs {
  @Field(() => PaymentFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: PaymentFilter | null;
}

/** The payloads carry an id; the selection set decides what is read of the row. */
async function readPayment(
  { reads }: Pick<PaymentContext, 'reads'>,
  id: Uuid,
  info: GraphQLResolveInfo,
): Promise<Payment> {
  const payment = await reads.one(paymentReads, { id }, info);
  if (!payment) throw new Error('The payment that was just written is not there.');
  return payment;
}

@ObjectType({ description: 'A payment that was asked for, and what Stripe.js needs to confirm it.' })
class CreatePaymentIntentPayload {
  constructor(private readonly asked: AskedPayment) {}

  @Field(() => Payment, { description: 'The payment.' })
  payment(@Ctx() context: PaymentContext, @Info() info: GraphQLResolveInfo): Promise<Payment> {
    return readPayment(context, this.asked.paymentId, info);
  }

  @Field(() => String, {
    nullable: true,
    description: 'Pass it to `stripe.confirmPayment`. For this payer alone; not to be stored.',
  })
  clientSecret(@Ctx() { payments }: PaymentContext): Promise<string | null> {
    return payments.clientSecret(this.asked);
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

@ObjectType({ description: 'A payment whose held money was taken.' })
class CapturePaymentPayload {
  constructor(private readonly id: Uuid) {}

  @Field(() => Payment, { description: 'The payment.' })
  payment(@Ctx() context: PaymentContext, @Info() info: GraphQLResolveInfo): Promise<Payment> {
    return readPayment(context, this.id, info);
  }
}

@ObjectType({ description: 'A payment that was given up.' })
class CancelPaymentPayload {
  constructor(private readonly id: Uuid) {}

  @Field(() => Payment, { description: 'The payment.' })
  payment(@Ctx() context: PaymentContext, @Info() info: GraphQLResolveInfo): Promise<Payment> {
    return readPayment(context, this.id, info);
  }
}

@Resolver()
export class PaymentResolver {
  @Authorized(tenantMembers)
  @Query(() => Payment, { nullable: true, description: 'One payment; null if there is no such one.' })
  payment(
    @Arg('id', () => UUIDScalar, { description: 'Our id.' }) id: string,
    @Ctx() { reads }: PaymentContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Payment | null> {
    return reads.one(paymentReads, { id }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => PaymentConnection, { description: "The tenant's payments, newest first." })
  payments(
    @Args(() => PaymentsArgs) { filter, ...page }: PaymentsArgs,
    @Ctx() { reads }: PaymentContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<Payment>> {
    return reads.connection(paymentReads, { page, where: { ...filter } }, info);
  }

  @Authorized(billingStaff)
  @Mutation(() => CreatePaymentIntentPayload, {
    description: 'Asks for money: what is due on an invoice, or any amount.',
  })
  async createPaymentIntent(
    @Arg('input', () => CreatePaymentIntentInput, { description: 'What, and how.' }) input: CreatePaymentIntentInput,
    @Ctx() { payments }: PaymentContext,
  ): Promise<CreatePaymentIntentPayload> {
    const { idempotencyKey, confirm, offSession, savePaymentMethod, captureLater } = input;
    const { paymentMethodId } = input;
    const asked = await payments.createPaymentIntent({
      ...{ idempotencyKey, confirm, offSession, savePaymentMethod, captureLater },
      invoiceId: input.invoiceId ?? null,
      customerId: input.customerId ?? null,
      amount: input.amount ?? null,
      currency: input.currency ?? null,
      paymentMethodId: paymentMethodId ? readUuid(paymentMethodId, 'input.paymentMethodId') : null,
      description: input.description ?? null,
      metadata: input.metadata ?? null,
    });
    return new CreatePaymentIntentPayload(asked);
  }

  @Authorized(billingStaff)
  @Mutation(() => CapturePaymentPayload, {
    description: 'Takes the money that is held for a payment, or a part of it.',
  })
  async capturePayment(
    @Arg('input', () => CapturePaymentInput, { description: 'Which, and how much.' }) input: CapturePaymentInput,
    @Ctx() { payments }: PaymentContext,
  ): Promise<CapturePaymentPayload> {
    const { idempotencyKey, amount = null } = input;
    const paymentId = readUuid(input.paymentId, 'input.paymentId');
    return new CapturePaymentPayload(await payments.capturePayment({ paymentId, amount, idempotencyKey }));
  }

  @Authorized(billingStaff)
  @Mutation(() => CancelPaymentPayload, {
    description: 'Gives a payment up before its money came in, and releases what is held.',
  })
  async cancelPayment(
    @Arg('input', () => CancelPaymentInput, { description: 'Which, and why.' }) input: CancelPaymentInput,
    @Ctx() { payments }: PaymentContext,
  ): Promise<CancelPaymentPayload> {
    const { idempotencyKey = null, reason = null } = input;
    const paymentId = readUuid(input.paymentId, 'input.paymentId');
    return new CancelPaymentPayload(await payments.cancelPayment({ paymentId, reason, idempotencyKey }));
  }
}

/** What payments add to invoices. */
@Resolver(() => Invoice)
export class InvoicePaymentsResolver {
  @FieldResolver(() => PaymentConnection, { description: 'What was paid or tried on it, newest first.' })
  payments(@Args(() => ForwardArgs) _page: ForwardArgs): Connection<Payment> {
    return answeredByReadModel();
  }
}

/** What payments add to subscriptions. */
@Resolver(() => StripeSubscription)
export class SubscriptionPaymentsResolver {
  @FieldResolver(() => PaymentConnection, { description: 'Its payments, newest first.' })
  payments(@Args(() => ForwardArgs) _page: ForwardArgs): Connection<Payment> {
    return answeredByReadModel();
  }
}
