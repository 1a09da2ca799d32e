import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { Field, Int, ObjectType } from 'type-graphql';
import { ModeRow } from '../../db/tenant-entity.js';
import { MailTopic } from './mail-topic.js';

/** How a tenant's mail looks, and what is mailed at all. Without a row of its own a tenant has what stands here. */
@ObjectType({ description: 'How the tenant’s mail looks, and what is mailed.' })
@Entity({ tableName: 'mail_settings' })
export class MailSettings extends ModeRow {
  @Field(() => String, {
    nullable: true,
    description: 'The name that mails come from; the tenant’s own when null. The address is the platform’s.',
  })
  @Property({ type: 'text', nullable: true })
  senderName: string | null = null;

  @Field(() => String, { nullable: true, description: 'Where answers go; to the platform when null.' })
  @Property({ type: 'text', nullable: true })
  replyTo: string | null = null;

  @Field(() => String, { nullable: true, description: 'The postal address that stands in mails and on receipts.' })
  @Property({ type: 'text', nullable: true })
  postalAddress: string | null = null;

  @Field(() => String, { nullable: true, description: 'A picture at the head of mails: an https address.' })
  @Property({ type: 'text', nullable: true })
  logoUrl: string | null = null;

  @Field(() => String, { nullable: true, description: 'The colour of head and buttons: `#1d4ed8`.' })
  @Property({ type: 'text', nullable: true })
  brandColor: string | null = null;

  @Field(() => String, { description: 'How amounts and dates are written, as a BCP 47 tag: `en-AU`, `de`.' })
  @Property({ type: 'text', default: 'en' })
  locale: string = 'en';

  @Field(() => [String], {
    description:
      'Who is told of low balances, disputes and failed payments; the users with the role `admin` when empty.',
  })
  @Property({ type: 'text[]', defaultRaw: `'{}'` })
  alertAddresses: string[] = [];

  @Field(() => [MailTopic], { description: 'What is not mailed.' })
  @Property({ type: 'text[]', defaultRaw: `'{}'` })
  muted: MailTopic[] = [];

  @Field(() => Int, { description: 'How many days before a renewal the customer is reminded of it.' })
  @Property({ type: 'integer', default: 7 })
  renewalDays: number = 7;

  /** Since when receipts are mailed again that had not been. Payments of before that are not caught up on. */
  @Property({ type: 'datetime', nullable: true })
  unmutedAt: Date | null = null;
}
