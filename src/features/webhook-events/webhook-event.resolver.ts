import { type GraphQLResolveInfo } from 'graphql';
import {
  Arg,
  Args,
  Authorized,
  Ctx,
  Field,
  Info,
  InputType,
  Int,
  Mutation,
  ObjectType,
  Query,
  Resolver,
} from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { tenantMembers } from '../tenants/roles.js';
import { Role } from '../tenants/tenant.entity.js';
import { WebhookEvent, WebhookEventConnection, WebhookEventFilter } from './webhook-event.entity.js';
import { webhookEventReads } from './webhook-event.reads.js';
import { type WebhookEventService } from './webhook-event.service.js';

/** What these resolvers need of the request. */
export interface WebhookEventContext {
  readonly reads: Reads;
  readonly webhookEvents: WebhookEventService;
}

@InputType({ description: 'Which event is processed again.' })
class ReplayWebhookEventInput {
  @Field(() => UUIDScalar, { description: 'Our id of it.' })
  id!: string;

  @Field(() => Boolean, {
    defaultValue: false,
    description: 'Only say what it would change: it is processed, and everything is undone again.',
  })
  dryRun!: boolean;
}

@ObjectType({ description: 'What processing an event would change in a table.' })
class ReplayChange {
  @Field(() => String, { description: 'The table.' })
  table!: string;

  @Field(() => Int, { description: 'Rows that would be added.' })
  inserted!: number;

  @Field(() => Int, { description: 'Rows that would be changed.' })
  updated!: number;

  @Field(() => Int, { description: 'Rows that would be deleted.' })
  deleted!: number;
}

@ObjectType({ description: 'The event that will be processed again, or what that would do.' })
class ReplayWebhookEventPayload {
  constructor(
    private readonly id: Uuid,
    rehearsed: readonly ReplayChange[] | null,
  ) {
    this.changes = rehearsed;
  }

  @Field(() => [ReplayChange], {
    nullable: true,
    description: 'What it would change; empty when nothing. Null unless it is a dry run.',
  })
  changes: readonly ReplayChange[] | null;

  @Field(() => WebhookEvent, { description: 'The event. Waiting to be processed, unless it is a dry run.' })
  webhookEvent(@Ctx() { reads }: WebhookEventContext, @Info() info: GraphQLResolveInfo): Promise<WebhookEvent | null> {
    return reads.one(webhookEventReads, { id: this.id }, info);
  }
}

@Resolver()
export class WebhookEventResolver {
  @Authorized(tenantMembers)
  @Query(() => WebhookEvent, {
    nullable: true,
    description: 'An event of Stripe’s; null when there is none with this id.',
  })
  webhookEvent(
    @Arg('id', () => UUIDScalar, { description: 'Our id of it.' }) id: string,
    @Ctx() { reads }: WebhookEventContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<WebhookEvent | null> {
    return reads.one(webhookEventReads, { id: readUuid(id, 'id') }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => WebhookEventConnection, { description: 'What Stripe told us about the tenant’s account, newest first.' })
  async webhookEvents(
    @Args(() => ForwardArgs) page: ForwardArgs,
    @Arg('filter', () => WebhookEventFilter, { nullable: true, description: 'Which ones; all when left out.' })
    filter: WebhookEventFilter | null,
    @Ctx() { reads, webhookEvents }: WebhookEventContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<WebhookEvent>> {
    const where = { ...filter, accounts: await webhookEvents.accounts() };
    return reads.connection(webhookEventReads, { page, where }, info);
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => ReplayWebhookEventPayload, {
    description: 'Processes an event again. What it did already is not done twice.',
  })
  async replayWebhookEvent(
    @Arg('input', () => ReplayWebhookEventInput, { description: 'Which event.' }) input: ReplayWebhookEventInput,
    @Ctx() { webhookEvents }: WebhookEventContext,
  ): Promise<ReplayWebhookEventPayload> {
    const id = readUuid(input.id, 'input.id');
    const changes = input.dryRun ? await webhookEvents.rehearse(id) : null;
    if (!changes) await webhookEvents.replay(id);
    return new ReplayWebhookEventPayload(id, changes);
  }
}
