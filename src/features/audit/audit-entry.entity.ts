import { type EntityManager, PrimaryKeyProp } from '@mikro-orm/core';
import { Entity, PrimaryKey, Property } from '@mikro-orm/decorators/legacy';
import { Field, ObjectType } from 'type-graphql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { DateTimeScalar, JSONObjectScalar, UUIDScalar } from '../../shared/scalars.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';

/** Who did what. Written with the change itself, in one transaction; never altered, never deleted: PostgreSQL refuses both. */
@ObjectType({ description: 'Who did what, and when. Never altered.' })
@Entity({ tableName: 'audit_log' })
export class AuditEntry {
  [PrimaryKeyProp]?: ['tenantId', 'id'];

  @PrimaryKey({ type: 'uuid', onCreate: (_: object, em: EntityManager) => tenantOf(em) })
  tenantId!: Uuid;

  @Field(() => UUIDScalar, { description: 'Our id.' })
  @PrimaryKey({ type: 'uuid', defaultRaw: 'uuidv7()' })
  id: Uuid = newUuid();

  @Property({ type: 'boolean', onCreate: (_: object, em: EntityManager) => livemodeOf(em) })
  livemode!: boolean;

  @Field(() => DateTimeScalar, { description: 'When it was done.' })
  @Property({ type: 'datetime', defaultRaw: 'now()' })
  at!: Date;

  @Field(() => String, { description: "Who did it: the subject of the user's token." })
  @Property({ type: 'text' })
  actor!: string;

  @Field(() => String, { description: 'What was done: `payment.create`.' })
  @Property({ type: 'text' })
  action!: string;

  @Field(() => String, { description: 'What kind of thing it was done to: `payment`.' })
  @Property({ type: 'text' })
  subjectType!: string;

  @Field(() => String, { nullable: true, description: 'The id of what it was done to.' })
  @Property({ type: 'text', nullable: true })
  subjectId: string | null = null;

  @Field(() => JSONObjectScalar, { description: 'What is needed to understand it: amounts, ids, the idempotency key.' })
  @Property({ type: 'json', defaultRaw: `'{}'` })
  details: Record<string, unknown> = {};
}

export const AuditEntryConnection = connectionOf('AuditEntry', () => AuditEntry);
