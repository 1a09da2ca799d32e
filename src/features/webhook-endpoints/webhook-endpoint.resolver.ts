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
  Query,
  Resolver,
} from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, connectionOf, ForwardArgs } from '../../shared/connection.types.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { readUuid } from '../../shared/uuid.js';
import { Role } from '../tenants/tenant.entity.js';
import { WebhookDelivery, WebhookDeliveryConnection, WebhookDeliveryState } from './webhook-delivery.entity.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';
import { webhookDeliveryReads, webhookEndpointReads } from './webhook-endpoint.reads.js';
import {
  CreateWebhookEndpointPayload,
  DeleteWebhookEndpointPayload,
  PingWebhookEndpointPayload,
  ReplayWebhookDeliveryPayload,
  RotateWebhookSecretPayload,
  UpdateWebhookEndpointPayload,
} from './webhook-endpoint.payloads.js';
import { type WebhookEndpointService } from './webhook-endpoint.service.js';

/** What these resolvers need of the request. */
export interface WebhookEndpointContext {
  readonly reads: Reads;
  readonly webhookEndpoints: WebhookEndpointService;
}

const WebhookEndpointConnection = connectionOf('WebhookEndpoint', () => WebhookEndpoint);

const typesDescription =
  'What it is told of: payment.succeeded, payment.failed, payment.refunded, invoice.paid, subscription.created, subscription.updated, ' +
  'subscription.canceled, dispute.created, dispute.closed, payout.paid, payout.failed, account.updated.';
const urlDescription = 'Where requests are sent: https://, and a public address.';

@InputType({ description: 'An endpoint to make.' })
class CreateWebhookEndpointInput {
  @Field(() => String, { description: urlDescription })
  url!: string;

  @Field(() => [String], { description: typesDescription })
  types!: string[];

  @Field(() => String, { nullable: true, description: 'What it is for. At most 500 characters.' })
  description?: string | null;
}

@InputType({ description: 'What changes about an endpoint. What is left out stays.' })
class UpdateWebhookEndpointInput {
  @Field(() => UUIDScalar, { description: 'Which endpoint.' })
  id!: string;

  @Field(() => String, { nullable: true, description: urlDescription })
  url?: string | null;

  @Field(() => [String], { nullable: true, description: typesDescription })
  types?: string[] | null;

  @Field(() => String, { nullable: true, description: 'What it is for; null takes it away.' })
  description?: string | null;

  @Field(() => Boolean, { nullable: true, description: 'Whether it is told anything from now on.' })
  enabled?: boolean | null;
}

@InputType({ description: 'Which endpoint gets another secret.' })
class RotateWebhookSecretInput {
  @Field(() => UUIDScalar, { description: 'Which endpoint.' })
  id!: string;

  @Field(() => Int, {
    defaultValue: 24,
    description: 'For how many hours requests are also signed with the secret before: 0 to 168.',
  })
  keepPreviousHours!: number;
}

@InputType({ description: 'Which endpoint is forgotten.' })
class DeleteWebhookEndpointInput {
  @Field(() => UUIDScalar, { description: 'Our id of it.' })
  id!: string;
}

@InputType({ description: 'Which endpoint is tried.' })
class PingWebhookEndpointInput {
  @Field(() => UUIDScalar, { description: 'Our id of it.' })
  id!: string;
}

@InputType({ description: 'What is sent again.' })
class ReplayWebhookDeliveryInput {
  @Field(() => UUIDScalar, { description: 'Our id of the delivery.' })
  id!: string;
}

@InputType({ description: 'Which deliveries; all conditions must hold.' })
class WebhookDeliveryFilter {
  @Field(() => UUIDScalar, { nullable: true, description: 'Those of this endpoint.' })
  endpointId?: string | null;

  @Field(() => [WebhookDeliveryState], { nullable: true, description: 'Those in one of these states.' })
  state?: WebhookDeliveryState[] | null;

  @Field(() => [String], { nullable: true, description: 'Those of one of these types.' })
  type?: string[] | null;
}

@ArgsType()
class WebhookDeliveriesArgs extends ForwardArgs {
  @Field(() => WebhookDeliveryFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: WebhookDeliveryFilter | null;
}

@Resolver(() => WebhookDelivery)
export class WebhookEndpointResolver {
  @Authorized(Role.ADMIN)
  @Query(() => WebhookEndpointConnection, { description: 'Where the tenant is told what happened. For its admins.' })
  webhookEndpoints(
    @Args(() => ForwardArgs) page: ForwardArgs,
    @Ctx() { reads }: WebhookEndpointContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<WebhookEndpoint>> {
    return reads.connection(webhookEndpointReads, { page }, info);
  }

  @Authorized(Role.ADMIN)
  @Query(() => WebhookDeliveryConnection, {
    description:
      'What endpoints were told, or are to be told, newest first; kept for 30 days. For the tenant’s admins.',
  })
  webhookDeliveries(
    @Args(() => WebhookDeliveriesArgs) { filter, ...page }: WebhookDeliveriesArgs,
    @Ctx() { reads }: WebhookEndpointContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<WebhookDelivery>> {
    return reads.connection(webhookDeliveryReads, { page, where: { ...filter } }, info);
  }

  @FieldResolver(() => WebhookEndpoint, {
    nullable: true,
    description: 'Who is told; null once the endpoint was deleted.',
  })
  endpoint(): WebhookEndpoint | null {
    return answeredByReadModel();
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => CreateWebhookEndpointPayload, {
    description: 'Makes an endpoint. It is told what happens from now on. A tenant has ten at most.',
  })
  async createWebhookEndpoint(
    @Arg('input', () => CreateWebhookEndpointInput, { description: 'The endpoint.' }) input: CreateWebhookEndpointInput,
    @Ctx() { webhookEndpoints }: WebhookEndpointContext,
  ): Promise<CreateWebhookEndpointPayload> {
    const { id, secret } = await webhookEndpoints.create(input);
    return new CreateWebhookEndpointPayload(id, secret);
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => UpdateWebhookEndpointPayload, { description: 'Changes an endpoint, or switches it on or off.' })
  async updateWebhookEndpoint(
    @Arg('input', () => UpdateWebhookEndpointInput, { description: 'What changes.' }) input: UpdateWebhookEndpointInput,
    @Ctx() { webhookEndpoints }: WebhookEndpointContext,
  ): Promise<UpdateWebhookEndpointPayload> {
    return new UpdateWebhookEndpointPayload(await webhookEndpoints.update(readUuid(input.id, 'input.id'), input));
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => DeleteWebhookEndpointPayload, { description: 'Forgets an endpoint. It is told nothing any more.' })
  async deleteWebhookEndpoint(
    @Arg('input', () => DeleteWebhookEndpointInput, { description: 'Which.' }) input: DeleteWebhookEndpointInput,
    @Ctx() { webhookEndpoints }: WebhookEndpointContext,
  ): Promise<DeleteWebhookEndpointPayload> {
    return new DeleteWebhookEndpointPayload(await webhookEndpoints.delete(readUuid(input.id, 'input.id')));
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => RotateWebhookSecretPayload, {
    description: 'Gives an endpoint another secret. For a while requests carry a signature with each.',
  })
  async rotateWebhookSecret(
    @Arg('input', () => RotateWebhookSecretInput, { description: 'Which.' }) input: RotateWebhookSecretInput,
    @Ctx() { webhookEndpoints }: WebhookEndpointContext,
  ): Promise<RotateWebhookSecretPayload> {
    const { id, secret } = await webhookEndpoints.rotate(readUuid(input.id, 'input.id'), input.keepPreviousHours);
    return new RotateWebhookSecretPayload(id, secret);
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => PingWebhookEndpointPayload, {
    description: 'Sends an endpoint an event of the type `ping`, to try it.',
  })
  async pingWebhookEndpoint(
    @Arg('input', () => PingWebhookEndpointInput, { description: 'Which.' }) input: PingWebhookEndpointInput,
    @Ctx() { webhookEndpoints }: WebhookEndpointContext,
  ): Promise<PingWebhookEndpointPayload> {
    return new PingWebhookEndpointPayload(await webhookEndpoints.ping(readUuid(input.id, 'input.id')));
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => ReplayWebhookDeliveryPayload, {
    description: 'Sends something again, under the same `webhook-id`: whoever has it already can tell.',
  })
  async replayWebhookDelivery(
    @Arg('input', () => ReplayWebhookDeliveryInput, { description: 'What.' }) input: ReplayWebhookDeliveryInput,
    @Ctx() { webhookEndpoints }: WebhookEndpointContext,
  ): Promise<ReplayWebhookDeliveryPayload> {
    return new ReplayWebhookDeliveryPayload(await webhookEndpoints.replay(readUuid(input.id, 'input.id')));
  }
}
