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
  Mutation,
  ObjectType,
  Query,
  Resolver,
} from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { type FileId } from '../../stripe/types.js';
import { Payment } from '../payments/payment.entity.js';
import { DisputeState } from '../payments/payment-state.js';
import { billingStaff, tenantMembers } from '../tenants/roles.js';
import { Dispute, DisputeConnection } from './dispute.entity.js';
import { disputeReads } from './dispute.reads.js';
import { type DisputeService } from './dispute.service.js';
import { DisputeEvidenceFileInput, DisputeEvidenceInput } from './evidence.input.js';

/** What these resolvers need of the request. */
export interface DisputeContext {
  readonly reads: Reads;
  readonly disputes: DisputeService;
}

const keyDescription = 'The same key and input are the same request, however often they are sent. 1 to 255 characters.';

@InputType({ description: 'What is said about a dispute.' })
class SubmitDisputeEvidenceInput {
  @Field(() => UUIDScalar, { description: 'The dispute.' })
  disputeId!: string;

  @Field(() => DisputeEvidenceInput, {
    nullable: true,
    description: 'In words; what is left out stays as it was. At most 150,000 characters together.',
  })
  evidence?: DisputeEvidenceInput | null;

  @Field(() => [DisputeEvidenceFileInput], { nullable: true, description: 'As files, one of each kind.' })
  files?: DisputeEvidenceFileInput[] | null;

  @Field(() => Boolean, {
    defaultValue: true,
    description:
      'Whether it goes to the bank now, with all that was kept before; most banks take it once. Otherwise it is kept.',
  })
  submit!: boolean;

  @Field(() => String, { description: keyDescription })
  idempotencyKey!: string;
}

@InputType({ description: 'Which dispute is given up.' })
class AcceptDisputeInput {
  @Field(() => UUIDScalar, { description: 'The dispute.' })
  disputeId!: string;

  @Field(() => String, { description: keyDescription })
  idempotencyKey!: string;
}

@InputType({ description: 'Which disputes; all conditions must hold.' })
class DisputeFilter {
  @Field(() => [DisputeState], { nullable: true, description: 'Those in one of these states.' })
  status?: DisputeState[] | null;

  @Field(() => String, { nullable: true, description: 'Those with this reason, in the word of Stripe.' })
  reason?: string | null;

  @Field(() => UUIDScalar, { nullable: true, description: 'Those of this payment.' })
  paymentId?: string | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those whose evidence is due before then.' })
  dueBefore?: Date | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'True for those that wait for evidence, and it is due within three days or was; false for the others.',
  })
  dueSoon?: boolean | null;
}

@ArgsType()
class DisputesArgs extends ForwardArgs {
  @Field(() => DisputeFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: DisputeFilter | null;
}

/** The payloads carry an id; the selection set decides what is read of the row. */
async function readDispute(
  { reads }: Pick<DisputeContext, 'reads'>,
  id: Uuid,
  info: GraphQLResolveInfo,
): Promise<Dispute> {
  const dispute = await reads.one(disputeReads, { id }, info);
  if (!dispute) throw new Error('The dispute that was just changed is not there.');
  return dispute;
}

@ObjectType({ description: 'A dispute that was answered.' })
class SubmitDisputeEvidencePayload {
  constructor(private readonly id: Uuid) {}

  @Field(() => Dispute, { description: 'The dispute.' })
  dispute(@Ctx() context: DisputeContext, @Info() info: GraphQLResolveInfo): Promise<Dispute> {
    return readDispute(context, this.id, info);
  }
}

@ObjectType({ description: 'A dispute that was given up.' })
class AcceptDisputePayload {
  constructor(private readonly id: Uuid) {}

  @Field(() => Dispute, { description: 'The dispute.' })
  dispute(@Ctx() context: DisputeContext, @Info() info: GraphQLResolveInfo): Promise<Dispute> {
    return readDispute(context, this.id, info);
  }
}

@Resolver(() => Dispute)
export class DisputeResolver {
  @Authorized(tenantMembers)
  @Query(() => Dispute, { nullable: true, description: 'One dispute; null if there is no such one.' })
  dispute(
    @Arg('id', () => UUIDScalar, { description: 'Our id.' }) id: string,
    @Ctx() { reads }: DisputeContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Dispute | null> {
    return reads.one(disputeReads, { id }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => DisputeConnection, { description: "The tenant's disputes, newest first." })
  disputes(
    @Args(() => DisputesArgs) { filter, ...page }: DisputesArgs,
    @Ctx() { reads }: DisputeContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<Dispute>> {
    return reads.connection(disputeReads, { page, where: { ...filter } }, info);
  }

  @Authorized(billingStaff)
  @Mutation(() => SubmitDisputeEvidencePayload, {
    description: 'Answers a dispute or an inquiry with evidence, or keeps evidence to be submitted later.',
  })
  async submitDisputeEvidence(
    @Arg('input', () => SubmitDisputeEvidenceInput, { description: 'Which, and what.' })
    input: SubmitDisputeEvidenceInput,
    @Ctx() { disputes }: DisputeContext,
  ): Promise<SubmitDisputeEvidencePayload> {
    const { submit, idempotencyKey } = input;
    const disputeId = readUuid(input.disputeId, 'input.disputeId');
    const given = Object.entries(input.evidence ?? {}).filter(([, text]) => text !== null && text !== undefined);
    const files = (input.files ?? []).map(({ kind, stripeFileId, filename, content }) => ({
      ...{ kind, filename: filename ?? null, content: content ?? null },
      stripeFileId: (stripeFileId as FileId | null | undefined) ?? null,
    }));
    const texts = Object.fromEntries(given) as Record<string, string>;
    await disputes.submitEvidence({ disputeId, texts, files, submit, idempotencyKey });
    return new SubmitDisputeEvidencePayload(disputeId);
  }

  @Authorized(billingStaff)
  @Mutation(() => AcceptDisputePayload, {
    description: 'Gives a dispute up: the payer keeps the money. This cannot be undone.',
  })
  async acceptDispute(
    @Arg('input', () => AcceptDisputeInput, { description: 'Which.' }) input: AcceptDisputeInput,
    @Ctx() { disputes }: DisputeContext,
  ): Promise<AcceptDisputePayload> {
    const { idempotencyKey } = input;
    const disputeId = readUuid(input.disputeId, 'input.disputeId');
    return new AcceptDisputePayload(await disputes.acceptDispute({ disputeId, idempotencyKey }));
  }
}

/** What disputes add to payments. */
@Resolver(() => Payment)
export class PaymentDisputeResolver {
  @FieldResolver(() => Dispute, { nullable: true, description: 'The latest dispute of it; null when there was none.' })
  dispute(): Dispute | null {
    return answeredByReadModel();
  }
}
