import { Entity, Enum, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { DateTimeScalar, JSONObjectScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';
import { WebhookEndpoint } from './webhook-endpoint.entity.js';

export enum WebhookDeliveryState {
  PENDING = 'PENDING',
  DELIVERED = 'DELIVERED',
  FAILED = 'FAILED',
}
registerEnumType(WebhookDeliveryState, {
  name: 'WebhookDeliveryState',
  description: 'What became of a delivery.',
  valuesConfig: {
    PENDING: { description: 'It is sent as soon as it is due, and again until it arrives.' },
    DELIVERED: { description: 'The endpoint answered 2xx.' },
    FAILED: { description: 'It was given up. It can be replayed.' },
  },
});

/** One thing that one endpoint is to be told. Its id is the `webhook-id` of every request that is made for it. */
@ObjectType({ description: 'Something that an endpoint was told, or is to be told.' })
@Entity({ tableName: 'webhook_deliveries' })
export class WebhookDelivery extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id, and the `webhook-id` of its requests: the same each time.' })
  declare id: Uuid;

  @Property({ type: 'uuid' })
  endpointId!: Uuid;

  @Field(() => WebhookEndpoint, { nullable: true, description: 'Who is told; null once the endpoint was deleted.' })
  endpoint?: WebhookEndpoint | null;

  /** What happened, to what: each endpoint is told once. */
  @Property({ type: 'text' })
  key!: string;

  @Field(() => String, { description: 'What happened: `payment.succeeded`.' })
  @Property({ type: 'text' })
  type!: string;

  @Field(() => JSONObjectScalar, { description: 'What it is told about it.' })
  @Property({ type: 'json' })
  data!: Record<string, unknown>;

  @Field(() => WebhookDeliveryState, { description: 'What became of it.' })
  @Enum({ items: () => WebhookDeliveryState })
  state: WebhookDeliveryState = WebhookDeliveryState.PENDING;

  @Field(() => Int, { description: 'How often it was tried.' })
  @Property({ type: 'integer' })
  attempts = 0;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it is tried next; null when it is not.' })
  @Property({ type: 'datetime', nullable: true })
  nextAttemptAt: Date | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was last tried.' })
  @Property({ type: 'datetime', nullable: true })
  lastAttemptAt: Date | null = null;

  @Field(() => Int, {
    nullable: true,
    description: 'The status that the endpoint last answered with; null without one.',
  })
  @Property({ type: 'integer', nullable: true })
  responseStatus: number | null = null;

  @Field(() => String, { nullable: true, description: 'Why the last try failed; null when it did not.' })
  @Property({ type: 'text', nullable: true })
  error: string | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it arrived.' })
  @Property({ type: 'datetime', nullable: true })
  deliveredAt: Date | null = null;

  @Property({ type: 'uuid', nullable: true })
  leaseToken: Uuid | null = null;

  @Property({ type: 'datetime', nullable: true })
  leaseUntil: Date | null = null;

  @Field(() => DateTimeScalar, { description: 'When it happened.' })
  declare createdAt: Date;
}

export const WebhookDeliveryConnection = connectionOf('WebhookDelivery', () => WebhookDelivery);
