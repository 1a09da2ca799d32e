import { Field, InputType, Int } from 'type-graphql';
import { EmailAddressScalar, UUIDScalar } from '../../shared/scalars.js';
import { MailTopic } from './mail-topic.js';

@InputType({
  description: 'What changes in how mail looks and what is mailed. What is left out stays; null takes it away.',
})
export class UpdateMailSettingsInput {
  @Field(() => String, {
    nullable: true,
    description: 'The name that mails come from; at most 100 characters.',
  })
  senderName?: string | null;

  @Field(() => EmailAddressScalar, { nullable: true, description: 'Where answers go.' })
  replyTo?: string | null;

  @Field(() => String, { nullable: true, description: 'The postal address, line by line; at most 500 characters.' })
  postalAddress?: string | null;

  @Field(() => String, { nullable: true, description: 'A picture at the head of mails: an https address.' })
  logoUrl?: string | null;

  @Field(() => String, { nullable: true, description: 'The colour of head and buttons: `#1d4ed8`.' })
  brandColor?: string | null;

  @Field(() => String, {
    nullable: true,
    description: 'How amounts and dates are written, as a BCP 47 tag: `en-AU`, `de`. English when null.',
  })
  locale?: string | null;

  @Field(() => [EmailAddressScalar], {
    nullable: true,
    description:
      'Who is told of low balances, disputes and failed payments, at most 20; the users with the role `admin` when empty.',
  })
  alertAddresses?: string[] | null;

  @Field(() => [MailTopic], { nullable: true, description: 'What is not mailed.' })
  muted?: MailTopic[] | null;

  @Field(() => Int, {
    nullable: true,
    description: 'How many days before a renewal the customer is reminded of it: 1 to 60. A week when null.',
  })
  renewalDays?: number | null;
}

@InputType({ description: 'Which mail is sent again.' })
export class ResendMailInput {
  @Field(() => UUIDScalar, { description: 'Our id of it.' })
  id!: string;
}
