import { type GraphQLResolveInfo } from 'graphql';
import {
  Arg,
  Authorized,
  Ctx,
  Field,
  Info,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Query,
  registerEnumType,
  Resolver,
} from 'type-graphql';
import { MoneyInput } from '../../shared/money.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { billingStaff, tenantMembers } from '../tenants/roles.js';
import { InvoicePreview } from './invoice-preview.js';
import { StripeSubscription } from './subscription.entity.js';
import { subscriptionReads } from './subscription.reads.js';
import { type SubscriptionContext } from './subscription.resolver.js';
import { type AskedSubscription, type SubscriptionService } from './subscription.service.js';
import { SubscriptionPauseBehavior } from './subscription-state.js';

/** What these resolvers need of the request. */
export interface SubscriptionChangesContext extends SubscriptionContext {
  readonly subscriptions: SubscriptionService;
}

enum SubscriptionConfirmation {
  PAYMENT = 'payment',
  SETUP = 'setup',
}
registerEnumType(SubscriptionConfirmation, {
  name: 'SubscriptionConfirmation',
  description: 'What the payer confirms for a subscription to begin.',
  valuesConfig: {
    PAYMENT: { description: 'The first payment: `stripe.confirmPayment`.' },
    SETUP: { description: 'That a payment method is kept for later: `stripe.confirmSetup`.' },
  },
});

const keyDescription = 'The same key and input are the same request, however often they are sent. 1 to 255 characters.';
const harmless = `${keyDescription} Not needed: repeating this is harmless.`;

@InputType({ description: 'Which contract is billed, and how.' })
class CreateSubscriptionInput {
  @Field(() => String, { description: keyDescription })
  idempotencyKey!: string;

  @Field(() => Int, {
    description:
      "The contract: the PSA's id. Its price, interval, later start and end are taken over; it must be active, and have no subscription.",
  })
  contractId!: number;

  @Field(() => Int, { nullable: true, description: "How many units; the contract's own number unless given." })
  quantity?: number | null;

  @Field(() => Int, { nullable: true, description: 'Days without charge, 1 to 730, counted from the start.' })
  trialDays?: number | null;

  @Field(() => UUIDScalar, {
    nullable: true,
    description:
      "A saved payment method of the contract's customer: it is charged at once, and at each renewal. Without one, the first payment waits to be confirmed with `clientSecret`, and what it was paid with is kept.",
  })
  paymentMethodId?: string | null;
}

@InputType({ description: 'What of a subscription is to be different.' })
class UpdateSubscriptionInput {
  @Field(() => UUIDScalar, { description: 'The subscription.' })
  id!: string;

  @Field(() => Int, { nullable: true, description: 'How many units from now on; as before unless given.' })
  quantity?: number | null;

  @Field(() => MoneyInput, {
    nullable: true,
    description: "The price of one unit from now on, in the subscription's currency; as before unless given.",
  })
  unitAmount?: MoneyInput | null;

  @Field(() => Boolean, {
    defaultValue: true,
    description: 'Charges or gives back the rest of the period, on the next invoice.',
  })
  prorate!: boolean;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'The instant to prorate by, as a preview said it; now unless given.',
  })
  prorationDate?: Date | null;

  @Field(() => String, { description: `${keyDescription} A preview takes no notice of it.` })
  idempotencyKey!: string;
}

@InputType({ description: 'Which subscription ends, and when.' })
class CancelSubscriptionInput {
  @Field(() => UUIDScalar, { description: 'The subscription.' })
  id!: string;

  @Field(() => Boolean, {
    defaultValue: true,
    description: 'It runs until the end of the paid period; otherwise it ends now, for good.',
  })
  atPeriodEnd!: boolean;

  @Field(() => Boolean, {
    defaultValue: false,
    description: "Takes back that it ends with its period. What then holds is the contract's end, if it has one.",
  })
  undo!: boolean;

  @Field(() => Boolean, {
    defaultValue: false,
    description: "Gives the rest of the period back to the customer's balance, when it ends now.",
  })
  prorate!: boolean;

  @Field(() => String, { nullable: true, description: harmless })
  idempotencyKey?: string | null;
}

@InputType({ description: 'Which subscription is paused, and how.' })
class PauseSubscriptionInput {
  @Field(() => UUIDScalar, { description: 'The subscription.' })
  id!: string;

  @Field(() => SubscriptionPauseBehavior, {
    defaultValue: SubscriptionPauseBehavior.VOID,
    description: 'What becomes of the invoices meanwhile, or that there are none.',
  })
  behavior!: SubscriptionPauseBehavior;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'When it is collected again by itself; by hand unless given. Not with STOP.',
  })
  resumesAt?: Date | null;

  @Field(() => String, { nullable: true, description: harmless })
  idempotencyKey?: string | null;
}

@InputType({ description: 'Which subscription goes on.' })
class ResumeSubscriptionInput {
  @Field(() => UUIDScalar, { description: 'The subscription.' })
  id!: string;

  @Field(() => String, {
    nullable: true,
    description: `${keyDescription} Worth giving where the subscription itself was stopped: resuming it begins a new period, and bills it.`,
  })
  idempotencyKey?: string | null;
}

/** The payloads carry an id; the selection set decides what is read of the row. */
async function readSubscription(
  { reads }: SubscriptionContext,
  id: Uuid,
  info: GraphQLResolveInfo,
): Promise<StripeSubscription> {
  const subscription = await reads.one(subscriptionReads, { id }, info);
  if (!subscription) throw new Error('The subscription that was just written is not there.');
  return subscription;
}

@ObjectType({ description: 'A subscription that was asked for, and what Stripe.js needs to confirm it.' })
class CreateSubscriptionPayload {
  constructor(private readonly asked: AskedSubscription) {}

  @Field(() => StripeSubscription, { description: 'The subscription.' })
  subscription(@Ctx() context: SubscriptionContext, @Info() info: GraphQLResolveInfo): Promise<StripeSubscription> {
    return readSubscription(context, this.asked.subscriptionId, info);
  }

  @Field(() => String, {
    nullable: true,
    description:
      'Null when nothing is to be confirmed. Otherwise pass it to what `confirms` says. For this payer alone; not to be stored.',
  })
  async clientSecret(@Ctx() { subscriptions }: SubscriptionChangesContext): Promise<string | null> {
    return (await subscriptions.confirmation(this.asked))?.clientSecret ?? null;
  }

  @Field(() => SubscriptionConfirmation, {
    nullable: true,
    description: 'What `clientSecret` is for; null when there is none.',
  })
  async confirms(@Ctx() { subscriptions }: SubscriptionChangesContext): Promise<SubscriptionConfirmation | null> {
    const confirmation = await subscriptions.confirmation(this.asked);
    return (confirmation?.confirms as SubscriptionConfirmation | undefined) ?? null;
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

abstract class ChangePayload {
  constructor(protected readonly id: Uuid) {}
}

@ObjectType({ description: 'A subscription that was changed.' })
class UpdateSubscriptionPayload extends ChangePayload {
  @Field(() => StripeSubscription, { description: 'The subscription.' })
  subscription(@Ctx() context: SubscriptionContext, @Info() info: GraphQLResolveInfo): Promise<StripeSubscription> {
    return readSubscription(context, this.id, info);
  }
}

@ObjectType({ description: 'A subscription whose end was decided.' })
class CancelSubscriptionPayload extends ChangePayload {
  @Field(() => StripeSubscription, { description: 'The subscription.' })
  subscription(@Ctx() context: SubscriptionContext, @Info() info: GraphQLResolveInfo): Promise<StripeSubscription> {
    return readSubscription(context, this.id, info);
  }
}

@ObjectType({ description: 'A subscription that was paused.' })
class PauseSubscriptionPayload extends ChangePayload {
  @Field(() => StripeSubscription, { description: 'The subscription.' })
  subscription(@Ctx() context: SubscriptionContext, @Info() info: GraphQLResolveInfo): Promise<StripeSubscription> {
    return readSubscription(context, this.id, info);
  }
}

@ObjectType({ description: 'A subscription that goes on.' })
class ResumeSubscriptionPayload extends ChangePayload {
  @Field(() => StripeSubscription, {
    description: 'The subscription. Where an invoice is due at once, it is PAUSED until that is paid.',
  })
  subscription(@Ctx() context: SubscriptionContext, @Info() info: GraphQLResolveInfo): Promise<StripeSubscription> {
    return readSubscription(context, this.id, info);
  }
}

/** What changes subscriptions, and what a change would cost. */
@Resolver()
export class SubscriptionChangesResolver {
  @Authorized(tenantMembers)
  @Query(() => InvoicePreview, {
    description: 'What the next invoice of a subscription would be after a change, prorations included.',
  })
  async subscriptionPreview(
    @Arg('input', () => UpdateSubscriptionInput, { description: 'The change, as `updateSubscription` takes it.' })
    input: UpdateSubscriptionInput,
    @Ctx() { subscriptions }: SubscriptionChangesContext,
  ): Promise<InvoicePreview> {
    return new InvoicePreview(await subscriptions.preview(changeOf(input)));
  }

  @Authorized(billingStaff)
  @Mutation(() => CreateSubscriptionPayload, { description: 'Bills a contract through Stripe, cycle by cycle.' })
  async createSubscription(
    @Arg('input', () => CreateSubscriptionInput, { description: 'Which contract, and how.' })
    { idempotencyKey, contractId, quantity = null, trialDays = null, paymentMethodId }: CreateSubscriptionInput,
    @Ctx() { subscriptions }: SubscriptionChangesContext,
  ): Promise<CreateSubscriptionPayload> {
    const method = paymentMethodId ? readUuid(paymentMethodId, 'input.paymentMethodId') : null;
    const request = { idempotencyKey, contractId, quantity, trialDays, paymentMethodId: method };
    return new CreateSubscriptionPayload(await subscriptions.createSubscription(request));
  }

  @Authorized(billingStaff)
  @Mutation(() => UpdateSubscriptionPayload, { description: 'Changes how many units are billed, or their price.' })
  async updateSubscription(
    @Arg('input', () => UpdateSubscriptionInput, { description: 'Which, and what of it.' })
    input: UpdateSubscriptionInput,
    @Ctx() { subscriptions }: SubscriptionChangesContext,
  ): Promise<UpdateSubscriptionPayload> {
    const { idempotencyKey } = input;
    return new UpdateSubscriptionPayload(
      await subscriptions.updateSubscription({ ...changeOf(input), idempotencyKey }),
    );
  }

  @Authorized(billingStaff)
  @Mutation(() => CancelSubscriptionPayload, {
    description: 'Lets a subscription end with its period, or ends it now; or takes back that it will end.',
  })
  async cancelSubscription(
    @Arg('input', () => CancelSubscriptionInput, { description: 'Which, and when.' })
    { idempotencyKey = null, atPeriodEnd, undo, prorate, ...input }: CancelSubscriptionInput,
    @Ctx() { subscriptions }: SubscriptionChangesContext,
  ): Promise<CancelSubscriptionPayload> {
    const id = readUuid(input.id, 'input.id');
    return new CancelSubscriptionPayload(
      await subscriptions.cancelSubscription({ id, atPeriodEnd, undo, prorate, idempotencyKey }),
    );
  }

  @Authorized(billingStaff)
  @Mutation(() => PauseSubscriptionPayload, {
    description: 'Stops collecting for a while; with STOP, the subscription itself.',
  })
  async pauseSubscription(
    @Arg('input', () => PauseSubscriptionInput, { description: 'Which, and how.' })
    { idempotencyKey = null, behavior, resumesAt, ...input }: PauseSubscriptionInput,
    @Ctx() { subscriptions }: SubscriptionChangesContext,
  ): Promise<PauseSubscriptionPayload> {
    const id = readUuid(input.id, 'input.id');
    const request = { id, behavior, resumesAt: resumesAt?.toISOString() ?? null, idempotencyKey };
    return new PauseSubscriptionPayload(await subscriptions.pauseSubscription(request));
  }

  @Authorized(billingStaff)
  @Mutation(() => ResumeSubscriptionPayload, {
    description: 'Collects again after a pause; a subscription that was stopped begins a new period, and is billed.',
  })
  async resumeSubscription(
    @Arg('input', () => ResumeSubscriptionInput, { description: 'Which.' })
    { idempotencyKey = null, ...input }: ResumeSubscriptionInput,
    @Ctx() { subscriptions }: SubscriptionChangesContext,
  ): Promise<ResumeSubscriptionPayload> {
    const id = readUuid(input.id, 'input.id');
    return new ResumeSubscriptionPayload(await subscriptions.resumeSubscription({ id, idempotencyKey }));
  }
}

function changeOf({ id, quantity = null, unitAmount = null, prorate, prorationDate }: UpdateSubscriptionInput) {
  return {
    id: readUuid(id, 'input.id'),
    quantity,
    unitAmount: unitAmount && { amount: unitAmount.amount, currency: unitAmount.currency },
    prorate,
    prorationDate: prorationDate?.toISOString() ?? null,
  };
}
