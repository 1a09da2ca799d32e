import { Entity, Enum, Property } from '@mikro-orm/decorators/legacy';
import { Field, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';

export enum WebhookEndpointStatus {
  ENABLED = 'ENABLED',
  DISABLED = 'DISABLED',
}
registerEnumType(WebhookEndpointStatus, {
  name: 'WebhookEndpointStatus',
  description: 'Whether an endpoint is told anything.',
  valuesConfig: {
    ENABLED: { description: 'It is told what happens from now on.' },
    DISABLED: { description: 'It is told nothing, and what happens meanwhile is not kept for it.' },
  },
});

/** Where a tenant's own software wants to be told what happened. */
@ObjectType({ description: 'Where the tenant’s own software is told what happened, by signed HTTP requests.' })
@Entity({ tableName: 'webhook_endpoints' })
export class WebhookEndpoint extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Field(() => String, { description: 'Where requests are sent.' })
  @Property({ type: 'text' })
  url!: string;

  @Field(() => String, { nullable: true, description: 'What it is for.' })
  @Property({ type: 'text', nullable: true })
  description: string | null = null;

  @Field(() => [String], { description: 'What it is told of: `payment.succeeded`.' })
  @Property({ type: 'text[]' })
  types!: string[];

  @Field(() => WebhookEndpointStatus, { description: 'Whether it is told anything.' })
  @Enum({ items: () => WebhookEndpointStatus })
  status: WebhookEndpointStatus = WebhookEndpointStatus.ENABLED;

  @Field(() => String, {
    nullable: true,
    description: 'Why it was switched off, when nobody of the tenant did; otherwise null.',
  })
  @Property({ type: 'text', nullable: true })
  disabledReason: string | null = null;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'Since when nothing has arrived; null while all is well.',
  })
  @Property({ type: 'datetime', nullable: true })
  failingSince: Date | null = null;

  /** Which of its secrets is in use. Secrets are derived, see endpoint-secret.ts. */
  @Property({ type: 'integer' })
  secretVersion = 1;

  @Property({ type: 'text' })
  secretCheck!: string;

  @Field(() => DateTimeScalar, {
    nullable: true,
    description: 'Until then requests are also signed with the secret before this one. Null or past: with one only.',
  })
  @Property({ type: 'datetime', nullable: true })
  previousSecretUntil: Date | null = null;

  @Property({ type: 'datetime', nullable: true })
  deletedAt: Date | null = null;

  @Field(() => DateTimeScalar, { description: 'When it was made.' })
  declare createdAt: Date;

  @Field(() => DateTimeScalar, { description: 'When it was last changed.' })
  declare updatedAt: Date;
}
