import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, InputType, Int, ObjectType, registerEnumType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { connectionOf } from '../../shared/connection.types.js';
import { DateTimeScalar, UUIDScalar } from '../../shared/scalars.js';
import { type Uuid } from '../../shared/uuid.js';

export enum MailState {
  QUEUED = 'QUEUED',
  SENDING = 'SENDING',
  SENT = 'SENT',
  BOUNCED = 'BOUNCED',
  FAILED = 'FAILED',
  EXPIRED = 'EXPIRED',
}
registerEnumType(MailState, {
  name: 'MailState',
  description: 'How far a mail has come.',
  valuesConfig: {
    QUEUED: { description: 'It waits to be sent, for the first time or again.' },
    SENDING: { description: 'It is being sent.' },
    SENT: { description: 'The mail server has taken it.' },
    BOUNCED: { description: 'The mail server refused it for good: there is no such address, for one.' },
    FAILED: { description: 'It cannot be sent as it is.' },
    EXPIRED: { description: 'It could not be sent while what it says was so.' },
  },
});

/** An e-mail: to be sent, sent, or not to be sent. */
@ObjectType({ description: 'An e-mail to a customer or to one of the tenant’s admins.' })
@Entity({ tableName: 'mails' })
export class Mail extends ModeRow {
  @Field(() => UUIDScalar, { description: 'Our id.' })
  declare id: Uuid;

  @Field(() => String, { description: 'What it is about, and which step of that; there is one mail for each.' })
  @Property({ type: 'text' })
  key!: string;

  @Field(() => String, { description: 'What kind of mail it is: `receipt`.' })
  @Property({ type: 'text' })
  template!: string;

  @Field(() => Int, { nullable: true, description: "The PSA's id of the customer; null when it goes to an admin." })
  @Property({ type: 'integer', nullable: true })
  customerId: number | null = null;

  @Field(() => String, { nullable: true, description: 'The address; null once it was erased.' })
  @Property({ type: 'text', nullable: true })
  recipient: string | null = null;

  @Field(() => String, { nullable: true, description: 'Its subject; null until it was first tried.' })
  @Property({ type: 'text', nullable: true })
  subject: string | null = null;

  @Property({ type: 'json' })
  data!: Record<string, unknown>;

  @Field(() => MailState, { description: 'How far it has come.' })
  @Property({ type: 'text' })
  state: MailState = MailState.QUEUED;

  @Field(() => Int, { description: 'How often it was tried.' })
  @Property({ type: 'integer' })
  attempts: number = 0;

  /** How often somebody had it sent again. */
  @Property({ type: 'integer' })
  generation: number = 0;

  @Property({ type: 'datetime', defaultRaw: 'now()' })
  nextAttemptAt!: Date;

  @Field(() => DateTimeScalar, { description: 'After that it is not sent any more.' })
  @Property({ type: 'datetime', defaultRaw: "now() + interval '3 days'" })
  sendUntil!: Date;

  @Property({ type: 'datetime', nullable: true })
  leaseUntil: Date | null = null;

  @Property({ type: 'uuid', nullable: true })
  leaseToken: Uuid | null = null;

  @Field(() => String, {
    nullable: true,
    description: 'Its Message-ID, by which a mail server’s log knows it. The same with every try.',
  })
  @Property({ type: 'text', nullable: true })
  messageId: string | null = null;

  @Field(() => String, { nullable: true, description: 'Why the last try failed; null when it did not.' })
  @Property({ type: 'text', nullable: true })
  lastError: string | null = null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'When the mail server took it.' })
  @Property({ type: 'datetime', nullable: true })
  sentAt: Date | null = null;

  @Field(() => DateTimeScalar, { description: 'When it was taken down.' })
  declare createdAt: Date;
}

export const MailConnection = connectionOf('Mail', () => Mail);

@InputType({ description: 'Which mails to list. All conditions must hold.' })
export class MailFilter {
  @Field(() => [MailState], { nullable: true, description: 'In one of these states.' })
  state?: MailState[] | null;

  @Field(() => [String], { nullable: true, description: 'One of these kinds: `receipt`.' })
  template?: string[] | null;

  @Field(() => Int, { nullable: true, description: 'To this customer.' })
  customerId?: number | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Taken down at that time or later.' })
  createdAfter?: Date | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Taken down before that time.' })
  createdBefore?: Date | null;
}
