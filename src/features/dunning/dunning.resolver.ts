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
  Resolver,
} from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, PageArgs } from '../../shared/connection.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { Invoice } from '../invoices/invoice.entity.js';
import { billingStaff, tenantMembers } from '../tenants/roles.js';
import { Role } from '../tenants/tenant.entity.js';
import { DunningCase, DunningCaseConnection, DunningState } from './dunning-case.entity.js';
import { DunningEnd, DunningRetries, DunningSettings } from './dunning-settings.entity.js';
import { dunningCaseReads, readSettings } from './dunning.reads.js';
import { type DunningService } from './dunning.service.js';

/** What these resolvers need of the request. */
export interface DunningContext {
  readonly reads: Reads;
  readonly dunning: DunningService;
}

@InputType({ description: 'Which cases; all conditions must hold.' })
class DunningCaseFilter {
  @Field(() => [DunningState], { nullable: true, description: 'In one of these states.' })
  state?: DunningState[] | null;

  @Field(() => Int, { nullable: true, description: "Those of this customer: the PSA's id." })
  customerId?: number | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Begun at that time or later.' })
  openedAfter?: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Begun before that time.' })
  openedBefore?: Date | null;
}

@ArgsType()
class DunningCasesArgs extends PageArgs {
  @Field(() => DunningCaseFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: DunningCaseFilter | null;
}

@InputType({ description: 'What changes in how failed payments are gone about. What is left out stays.' })
class UpdateDunningSettingsInput {
  @Field(() => DunningRetries, { nullable: true, description: 'Who tries again.' })
  retries?: DunningRetries | null;

  @Field(() => [Int], {
    nullable: true,
    description: 'On which days after the first failure: 1 to 8 of them, each 1 to 60 and later than the one before.',
  })
  retryDays?: number[] | null;

  @Field(() => DunningEnd, { nullable: true, description: 'What becomes of the subscription in the end.' })
  end?: DunningEnd | null;

  @Field(() => Boolean, { nullable: true, description: 'Whether the customer is told by e-mail.' })
  emails?: boolean | null;
}

@ObjectType({ description: 'How failed payments are gone about from now on.' })
class UpdateDunningSettingsPayload {
  @Field(() => DunningSettings, { description: 'All of the settings.' })
  settings!: DunningSettings;
}

@InputType({ description: 'Which case is stopped.' })
class StopDunningInput {
  @Field(() => UUIDScalar, { description: 'Our id of it.' })
  caseId!: string;
}

@InputType({ description: 'What is tried again now.' })
class RetryDunningNowInput {
  @Field(() => UUIDScalar, { description: 'Our id of the case.' })
  caseId!: string;

  @Field(() => String, {
    description: 'The same key is the same retry, however often it is sent. 1 to 255 characters.',
  })
  idempotencyKey!: string;
}

@ObjectType({ description: 'The case that is stopped.' })
class StopDunningPayload {
  constructor(private readonly id: Uuid) {}

  @Field(() => DunningCase, { description: 'The case.' })
  dunningCase(@Ctx() { reads }: DunningContext, @Info() info: GraphQLResolveInfo): Promise<DunningCase | null> {
    return reads.one(dunningCaseReads, { id: this.id }, info);
  }
}

@ObjectType({ description: 'The case whose invoice is tried again.' })
class RetryDunningNowPayload {
  constructor(private readonly id: Uuid) {}

  @Field(() => DunningCase, { description: 'The case, with the step that was added.' })
  dunningCase(@Ctx() { reads }: DunningContext, @Info() info: GraphQLResolveInfo): Promise<DunningCase | null> {
    return reads.one(dunningCaseReads, { id: this.id }, info);
  }
}

@Resolver()
export class DunningResolver {
  @Authorized(tenantMembers)
  @Query(() => DunningSettings, { description: 'How the tenant goes about failed payments.' })
  dunningSettings(@Ctx() { reads }: DunningContext): Promise<DunningSettings> {
    return readSettings(reads);
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => UpdateDunningSettingsPayload, {
    description:
      'Changes how failed payments are gone about. It counts for what fails from then on; whether mails are sent counts at once.',
  })
  async updateDunningSettings(
    @Arg('input', () => UpdateDunningSettingsInput, { description: 'What changes.' }) input: UpdateDunningSettingsInput,
    @Ctx() { dunning }: DunningContext,
  ): Promise<UpdateDunningSettingsPayload> {
    return { settings: await dunning.updateSettings(input) };
  }

  @Authorized(tenantMembers)
  @Query(() => DunningCaseConnection, {
    description: 'Invoices that could not be collected, and what is done about them; newest first.',
  })
  dunningCases(
    @Args(() => DunningCasesArgs) { filter, ...page }: DunningCasesArgs,
    @Ctx() { reads }: DunningContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<DunningCase>> {
    return reads.connection(dunningCaseReads, { page, where: { ...filter } }, info);
  }

  @Authorized(billingStaff)
  @Mutation(() => StopDunningPayload, {
    description: 'Stops the dunning of an invoice for good. The invoice stays as it is.',
  })
  async stopDunning(
    @Arg('input', () => StopDunningInput, { description: 'Which case.' }) input: StopDunningInput,
    @Ctx() { dunning }: DunningContext,
  ): Promise<StopDunningPayload> {
    const id = readUuid(input.caseId, 'input.caseId');
    await dunning.stop(id);
    return new StopDunningPayload(id);
  }

  @Authorized(billingStaff)
  @Mutation(() => RetryDunningNowPayload, {
    description:
      'Has an invoice tried again out of turn, within a minute; what comes of it is shown by its step. The schedule stays.',
  })
  async retryDunningNow(
    @Arg('input', () => RetryDunningNowInput, { description: 'Which case.' }) input: RetryDunningNowInput,
    @Ctx() { dunning }: DunningContext,
  ): Promise<RetryDunningNowPayload> {
    const id = readUuid(input.caseId, 'input.caseId');
    await dunning.retryNow(id, input.idempotencyKey);
    return new RetryDunningNowPayload(id);
  }
}

/** What dunning adds to invoices. */
@Resolver(() => Invoice)
export class InvoiceDunningResolver {
  @FieldResolver(() => DunningCase, {
    nullable: true,
    description: 'What is done because it could not be collected; null when nothing had to be.',
  })
  dunning(): DunningCase | null {
    return answeredByReadModel();
  }
}
