import { type GraphQLResolveInfo } from 'graphql';
import {
  Arg,
  Authorized,
  Ctx,
  Field,
  Info,
  InputType,
  Mutation,
  ObjectType,
  Query,
  registerEnumType,
  Resolver,
} from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import {
  DateTimeScalar,
  DecimalScalar,
  EmailAddressScalar,
  SafeIntScalar,
  URLScalar,
  UUIDScalar,
} from '../../shared/scalars.js';
import { billingStaff, tenantMembers } from '../tenants/roles.js';
import { Role } from '../tenants/tenant.entity.js';
import { type ApplicationFees } from './application-fees.js';
import { type OnboardingService } from './onboarding.service.js';
import { StripeConfig } from './stripe-config.entity.js';
import { stripeConfigReads } from './stripe-config.reads.js';

/** What these resolvers need of the request. */
export interface OnboardingContext {
  readonly reads: Reads;
  readonly onboarding: OnboardingService;
  /** For platform admins only. */
  readonly applicationFees: ApplicationFees;
}

enum AccountLinkType {
  ONBOARDING = 'ONBOARDING',
  UPDATE = 'UPDATE',
}
registerEnumType(AccountLinkType, {
  name: 'AccountLinkType',
  description: "What Stripe's form is opened for.",
  valuesConfig: {
    ONBOARDING: { description: 'What is needed now.' },
    UPDATE: { description: 'What is needed now, and what will be needed later.' },
  },
});

@InputType({ description: 'A new Stripe account for the tenant.' })
class CreateConnectAccountInput {
  @Field(() => EmailAddressScalar, { description: 'Where Stripe writes to.' })
  email!: string;

  @Field(() => String, {
    description: 'Where the business is: ISO 3166-1, two letters, as in `US`. Stripe never changes it.',
  })
  country!: string;

  @Field(() => String, { nullable: true, description: "What the business is called; the tenant's name unless given." })
  businessName?: string | null;

  @Field(() => String, { description: 'The same key and input are the same request, however often they are sent.' })
  idempotencyKey!: string;
}

@InputType({ description: "A way into Stripe's form." })
class CreateAccountLinkInput {
  @Field(() => AccountLinkType, {
    defaultValue: AccountLinkType.ONBOARDING,
    description: 'What the form is opened for.',
  })
  type!: AccountLinkType;

  @Field(() => String, {
    nullable: true,
    description:
      "Where the user goes after the form: a path of the PSA's, or a URL on one of the allowed origins. The front page unless given.",
  })
  returnPath?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'Where the user goes when no new link can be made any more; the return path unless given.',
  })
  refreshPath?: string | null;
}

@InputType({ description: "What the platform takes of a tenant's payments. What is left out stays as it is." })
class UpdateApplicationFeeInput {
  @Field(() => UUIDScalar, { description: 'Whose payments.' })
  tenantId!: string;

  @Field(() => DecimalScalar, {
    nullable: true,
    description: 'Percent of each payment, 0 to 100 with at most two decimals.',
  })
  percent?: string | null;

  @Field(() => SafeIntScalar, {
    nullable: true,
    description:
      'Added per payment, in minor units of its currency: 0 to 99,999,999. Not to the first payment of a subscription: Stripe takes a percentage alone of that.',
  })
  fixed?: number | null;
}

/** The payloads carry no row: the selection set decides what is read of it. */
type Context = Pick<OnboardingContext, 'reads'>;

async function readConfig({ reads }: Context, info: GraphQLResolveInfo): Promise<StripeConfig> {
  const config = await reads.one(stripeConfigReads, {}, info);
  if (!config) throw new Error('The account that was just written is not there.');
  return config;
}

@ObjectType({ description: 'The account that was made.' })
class CreateConnectAccountPayload {
  @Field(() => StripeConfig, { description: 'The new account. It can do nothing until the form is filled in.' })
  stripeConfig(@Ctx() context: Context, @Info() info: GraphQLResolveInfo): Promise<StripeConfig> {
    return readConfig(context, info);
  }
}

@ObjectType({ description: "A way into Stripe's form." })
class CreateAccountLinkPayload {
  @Field(() => URLScalar, { description: 'Send the user there. Good once; whoever has it can use it.' })
  url!: string;

  @Field(() => DateTimeScalar, { description: 'When it stops working.' })
  expiresAt!: Date;
}

@ObjectType({ description: 'The account as Stripe has it now.' })
class SyncConnectAccountPayload {
  @Field(() => StripeConfig, { description: 'The account.' })
  stripeConfig(@Ctx() context: Context, @Info() info: GraphQLResolveInfo): Promise<StripeConfig> {
    return readConfig(context, info);
  }
}

@ObjectType({ description: 'The rule that holds from now on.' })
class UpdateApplicationFeePayload {
  @Field(() => StripeConfig, { description: "The tenant's account, with the rule." })
  stripeConfig!: StripeConfig;
}

@ObjectType({ description: 'The account that was given up.' })
class DisconnectAccountPayload {
  @Field(() => StripeConfig, { description: 'The account. Nothing can be charged any more; the history stays.' })
  stripeConfig(@Ctx() context: Context, @Info() info: GraphQLResolveInfo): Promise<StripeConfig> {
    return readConfig(context, info);
  }

  @Field(() => Boolean, {
    description:
      "Whether Stripe took the platform's access away. Where it did not, the account's owner can do so in Stripe's dashboard.",
  })
  isRevoked!: boolean;
}

@Resolver()
export class OnboardingResolver {
  @Authorized(tenantMembers)
  @Query(() => StripeConfig, { nullable: true, description: "The tenant's Stripe account; null before onboarding." })
  stripeConfig(@Ctx() { reads }: OnboardingContext, @Info() info: GraphQLResolveInfo): Promise<StripeConfig | null> {
    return reads.one(stripeConfigReads, {}, info);
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => CreateConnectAccountPayload, {
    description:
      "Makes the tenant's Stripe account. There is one at a time; after a disconnection another may be made.",
  })
  async createConnectAccount(
    @Arg('input', () => CreateConnectAccountInput, { description: 'The business.' }) input: CreateConnectAccountInput,
    @Ctx() { onboarding }: OnboardingContext,
  ): Promise<CreateConnectAccountPayload> {
    await onboarding.createConnectAccount({ ...input, businessName: input.businessName ?? null });
    return new CreateConnectAccountPayload();
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => CreateAccountLinkPayload, {
    description: "Makes a way into Stripe's form. Coming back from it does not mean that it is complete.",
  })
  createAccountLink(
    @Arg('input', () => CreateAccountLinkInput, { description: 'What for, and where to go afterwards.' })
    input: CreateAccountLinkInput,
    @Ctx() { onboarding }: OnboardingContext,
  ): Promise<CreateAccountLinkPayload> {
    return onboarding.createAccountLink(input);
  }

  @Authorized(billingStaff)
  @Mutation(() => SyncConnectAccountPayload, {
    description: 'Reads the account from Stripe, for those who cannot wait.',
  })
  async syncConnectAccount(@Ctx() { onboarding }: OnboardingContext): Promise<SyncConnectAccountPayload> {
    await onboarding.syncConnectAccount();
    return new SyncConnectAccountPayload();
  }

  @Authorized(Role.PLATFORM_ADMIN)
  @Mutation(() => UpdateApplicationFeePayload, {
    description: "Sets what the platform takes of a tenant's payments from now on. Platform admins only.",
  })
  async updateApplicationFee(
    @Arg('input', () => UpdateApplicationFeeInput, { description: 'Whose, and how much.' })
    input: UpdateApplicationFeeInput,
    @Ctx() { applicationFees }: OnboardingContext,
  ): Promise<UpdateApplicationFeePayload> {
    return { stripeConfig: await applicationFees.update(input) };
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => DisconnectAccountPayload, {
    description: 'Gives the Stripe account up. Nothing is charged from here on; what was stays to be seen.',
  })
  async disconnectAccount(@Ctx() { onboarding }: OnboardingContext): Promise<DisconnectAccountPayload> {
    const { isRevoked } = await onboarding.disconnectAccount();
    return Object.assign(new DisconnectAccountPayload(), { isRevoked });
  }
}
