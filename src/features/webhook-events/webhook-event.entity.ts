import { PrimaryKeyProp } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Field, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { connectionOf } from '../../shared/connection.types.js';
import { DateTimeScalar, JSONObjectScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';

export enum WebhookKind {
  SNAPSHOT = 'SNAPSHOT',
  THIN = 'THIN',
}
registerEnumType(WebhookKind, {
  name: 'WebhookKind',
  description: 'How much of its object an event carries.',
  valuesConfig: {
    SNAPSHOT: { description: 'The object as it was when the event was made.' },
    THIN: { description: 'Only which object it is about; that is read from Stripe.' },
  },
});

export enum WebhookEventStatus {
  RECEIVED = 'RECEIVED',
  PROCESSING = 'PROCESSING',
  PROCESSED = 'PROCESSED',
  FAILED = 'FAILED',
  IGNORED = 'IGNORED',
  PARKED = 'PARKED',
  DEAD = 'DEAD',
}
registerEnumType(WebhookEventStatus, {
  name: 'WebhookEventStatus',
  description: 'What became of an event so far.',
  valuesConfig: {
    RECEIVED: { description: 'Stored, and waiting to be processed.' },
    PROCESSING: { description: 'A worker is at it.' },
    PROCESSED: { description: 'Done, and its effects are there.' },
    FAILED: { description: 'The last try failed without leaving anything behind; it will be tried again.' },
    IGNORED: { description: 'Of a type, or about something, that is of no interest here.' },
    PARKED: { description: 'Of an account or a mode that is not known here, or not yet.' },
    DEAD: { description: 'Given up after many tries. It can be replayed once the cause is gone.' },
  },
});

/** Something Stripe told us. Stored as it came, for ever repeatable until its retention is over. */
@ObjectType({ description: 'Something that Stripe told us about the tenant’s account.' })
@Entity({ tableName: 'stripe_webhook_events' })
export class WebhookEvent {
  [PrimaryKeyProp]?: ['id', 'stripeCreatedAt'];

  @Field(() => UUIDScalar, { description: 'Our id.' })
  @PrimaryKey({ type: 'uuid', defaultRaw: 'uuidv7()' })
  id!: Uuid;

  @Field(() => String, { description: "Stripe's id of the event." })
  @Property({ type: 'text' })
  stripeEventId!: string;

  @Field(() => String, { description: "Stripe's name for what happened: `payment_intent.succeeded`." })
  @Property({ type: 'text' })
  type!: string;

  @Field(() => WebhookKind, { description: 'How much of its object it carries.' })
  @Property({ type: 'text' })
  kind!: WebhookKind;

  @Field(() => WebhookEventStatus, { description: 'What became of it so far.' })
  @Property({ type: 'text' })
  status!: WebhookEventStatus;

  @Field(() => String, { nullable: true, description: 'The account it is about; null for the platform itself.' })
  @Property({ type: 'text', nullable: true })
  stripeAccountId!: string | null;

  /** The object whose events are kept in order. */
  @Property({ type: 'text' })
  objectKey!: string;

  @Field(() => Boolean, {
    description: 'Whether it is kept for a later version: its type belongs here, and nothing handled it when it came.',
  })
  @Property({ type: 'boolean' })
  awaitsHandler: boolean = false;

  @Field(() => Boolean, { description: 'Whether it is about real money.' })
  @Property({ type: 'boolean' })
  livemode!: boolean;

  @Field(() => Int, { description: 'Tries that came to an end, well or not.' })
  @Property({ type: 'integer' })
  attempts!: number;

  @Field(() => String, { nullable: true, description: 'Why the last try failed; null when it did not.' })
  @Property({ type: 'text', nullable: true })
  lastError!: string | null;

  @Field(() => JSONObjectScalar, { description: 'What Stripe sent.' })
  @Property({ type: 'json' })
  payload!: Record<string, unknown>;

  @Field(() => DateTimeScalar, { description: 'When it happened, by Stripe.' })
  @PrimaryKey({ type: 'datetime' })
  stripeCreatedAt!: Date;

  @Field(() => DateTimeScalar, { description: 'When it was first stored here.' })
  @Property({ type: 'datetime', defaultRaw: 'now()' })
  receivedAt!: Date;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it was done with; null until then.' })
  @Property({ type: 'datetime', nullable: true })
  processedAt!: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When it is next tried; null when it is not to be.' })
  nextAttemptAt!: Date | null;
}

export const WebhookEventConnection = connectionOf('WebhookEvent', () => WebhookEvent);

@InputType({ description: 'Which events to list. All conditions must hold.' })
export class WebhookEventFilter {
  @Field(() => [WebhookEventStatus], { nullable: true, description: 'One of these.' })
  status?: WebhookEventStatus[] | null;

  @Field(() => [String], { nullable: true, description: 'One of these types.' })
  type?: string[] | null;

  @Field(() => Boolean, {
    nullable: true,
    description: 'Those that wait for a version that handles them, or the others.',
  })
  awaitsHandler?: boolean | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Stored at that time or later.' })
  receivedAfter?: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Stored before that time.' })
  receivedBefore?: Date | null;
}
