import { PrimaryKey, Property, Entity } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType, registerEnumType } from 'type-graphql';
import { PsaRow } from '../../db/tenant-entity.js';
import { UUIDScalar } from '../../shared/scalars.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';

/** What a user may do within the tenant. Platform admins belong to no tenant. */
export enum Role {
  ADMIN = 'admin',
  BILLING = 'billing',
  VIEWER = 'viewer',
  PLATFORM_ADMIN = 'platform_admin',
}
registerEnumType(Role, {
  name: 'Role',
  description: 'What a user may do.',
  valuesConfig: {
    ADMIN: { description: 'Everything within the tenant, the Stripe account included.' },
    BILLING: { description: 'Takes payments and manages payment methods, subscriptions and refunds.' },
    VIEWER: { description: 'Reads.' },
    PLATFORM_ADMIN: {
      description: 'Runs the platform: totals over all tenants and the fee rules. Sees no customer of any tenant.',
    },
  },
});

/** A managed service provider on the platform. */
@ObjectType({ description: 'A business on the platform, with its own Stripe account and customers.' })
@Entity({ tableName: 'tenants' })
export class Tenant {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  @PrimaryKey({ type: 'uuid', defaultRaw: 'uuidv7()' })
  id: Uuid = newUuid();

  @Field(() => String, { description: 'The name it trades under.' })
  @Property({ type: 'text' })
  name!: string;

  @Field(() => String, { description: 'IANA time zone in which its days and months begin: `Australia/Sydney`.' })
  @Property({ type: 'text', default: 'UTC' })
  timeZone!: string;

  @Property({ type: 'datetime', defaultRaw: 'now()' })
  createdAt!: Date;

  @Property({ type: 'datetime', defaultRaw: 'now()' })
  updatedAt!: Date;
}

/** A person who works for a tenant. */
@ObjectType({ description: 'A person who works for the tenant.' })
@Entity({ tableName: 'users' })
export class User extends PsaRow {
  @Field(() => Int, { description: "The PSA's id." })
  declare id: number;

  @Field(() => String, { description: 'The e-mail address.' })
  @Property({ type: 'text' })
  email!: string;

  @Field(() => String, { description: 'What the person is called.' })
  @Property({ type: 'text' })
  name!: string;

  /** As the PSA has it. What a request may do is said by its token. */
  @Property({ type: 'text' })
  role!: Exclude<Role, Role.PLATFORM_ADMIN>;
}
