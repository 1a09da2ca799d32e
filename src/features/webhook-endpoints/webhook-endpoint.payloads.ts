import { type GraphQLResolveInfo } from 'graphql';
import { Ctx, Field, Info, ObjectType } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { WebhookDelivery } from './webhook-delivery.entity.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';
import { webhookDeliveryReads, webhookEndpointReads } from './webhook-endpoint.reads.js';

interface ReadContext {
  readonly reads: Reads;
}

/** The payloads carry ids; the selection set decides what is read of the rows. */
abstract class EndpointPayload {
  constructor(private readonly id: Uuid) {}

  protected async read({ reads }: ReadContext, info: GraphQLResolveInfo): Promise<WebhookEndpoint> {
    return there(await reads.one(webhookEndpointReads, { id: this.id }, info));
  }
}

abstract class SecretPayload extends EndpointPayload {
  constructor(
    id: Uuid,
    protected readonly shown: string,
  ) {
    super(id);
  }
}

abstract class DeliveryPayload {
  constructor(private readonly id: Uuid) {}

  protected async read({ reads }: ReadContext, info: GraphQLResolveInfo): Promise<WebhookDelivery> {
    return there(await reads.one(webhookDeliveryReads, { id: this.id }, info));
  }
}

@ObjectType({ description: 'The endpoint that was made, and its secret.' })
export class CreateWebhookEndpointPayload extends SecretPayload {
  @Field(() => String, { description: 'What its requests are signed with. It is shown this once: keep it.' })
  get secret(): string {
    return this.shown;
  }

  @Field(() => WebhookEndpoint, { description: 'The endpoint.' })
  webhookEndpoint(@Ctx() context: ReadContext, @Info() info: GraphQLResolveInfo): Promise<WebhookEndpoint> {
    return this.read(context, info);
  }
}

@ObjectType({ description: 'The endpoint as it is now.' })
export class UpdateWebhookEndpointPayload extends EndpointPayload {
  @Field(() => WebhookEndpoint, { description: 'The endpoint.' })
  webhookEndpoint(@Ctx() context: ReadContext, @Info() info: GraphQLResolveInfo): Promise<WebhookEndpoint> {
    return this.read(context, info);
  }
}

@ObjectType({ description: 'An endpoint that was deleted.' })
export class DeleteWebhookEndpointPayload {
  constructor(id: Uuid) {
    this.id = id;
  }

  @Field(() => UUIDScalar, { description: 'What its id was.' })
  id: Uuid;
}

@ObjectType({ description: 'The endpoint, and its new secret.' })
export class RotateWebhookSecretPayload extends SecretPayload {
  @Field(() => String, { description: 'What its requests are signed with. It is shown this once: keep it.' })
  get secret(): string {
    return this.shown;
  }

  @Field(() => WebhookEndpoint, { description: 'The endpoint.' })
  webhookEndpoint(@Ctx() context: ReadContext, @Info() info: GraphQLResolveInfo): Promise<WebhookEndpoint> {
    return this.read(context, info);
  }
}

@ObjectType({ description: 'What will be sent to try the endpoint.' })
export class PingWebhookEndpointPayload extends DeliveryPayload {
  @Field(() => WebhookDelivery, { description: 'The delivery.' })
  webhookDelivery(@Ctx() context: ReadContext, @Info() info: GraphQLResolveInfo): Promise<WebhookDelivery> {
    return this.read(context, info);
  }
}

@ObjectType({ description: 'What will be sent again.' })
export class ReplayWebhookDeliveryPayload extends DeliveryPayload {
  @Field(() => WebhookDelivery, { description: 'The delivery.' })
  webhookDelivery(@Ctx() context: ReadContext, @Info() info: GraphQLResolveInfo): Promise<WebhookDelivery> {
    return this.read(context, info);
  }
}

function there<Row>(row: Row | null): Row {
  if (!row) throw new Error('What was just written is not there.');
  return row;
}
