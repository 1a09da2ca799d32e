import { type GraphQLResolveInfo } from 'graphql';
import { Arg, Args, Authorized, Ctx, Field, Info, Mutation, ObjectType, Query, Resolver } from 'type-graphql';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs } from '../../shared/connection.types.js';
import { readUuid, type Uuid } from '../../shared/uuid.js';
import { Role } from '../tenants/tenant.entity.js';
import { ResendMailInput, UpdateMailSettingsInput } from './mail.input.js';
import { Mail, MailConnection, MailFilter } from './mail.entity.js';
import { mailReads } from './mail.reads.js';
import { type MailService } from './mail.service.js';
import { MailSettings } from './mail-settings.entity.js';

/** What these resolvers need of the request. */
export interface MailContext {
  readonly reads: Reads;
  readonly mail: MailService;
}

@ObjectType({ description: 'How mail looks from now on.' })
class UpdateMailSettingsPayload {
  @Field(() => MailSettings, { description: 'All of the settings.' })
  settings!: MailSettings;
}

@ObjectType({ description: 'The mail that is sent again.' })
class ResendMailPayload {
  constructor(private readonly id: Uuid) {}

  @Field(() => Mail, { description: 'The mail.' })
  mail(@Ctx() { reads }: MailContext, @Info() info: GraphQLResolveInfo): Promise<Mail | null> {
    return reads.one(mailReads, { id: this.id }, info);
  }
}

@Resolver()
export class MailResolver {
  @Authorized(Role.ADMIN)
  @Query(() => MailConnection, {
    description: 'What was mailed, or is to be, newest first. Empty where there is no mail server.',
  })
  mails(
    @Args(() => ForwardArgs) page: ForwardArgs,
    @Arg('filter', () => MailFilter, { nullable: true, description: 'Which ones; all when left out.' })
    filter: MailFilter | null,
    @Ctx() { reads }: MailContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<Mail>> {
    return reads.connection(mailReads, { page, where: { ...filter } }, info);
  }

  @Authorized(Role.ADMIN)
  @Query(() => MailSettings, { description: 'How the tenant’s mail looks, and what is mailed.' })
  mailSettings(@Ctx() { mail }: MailContext): Promise<MailSettings> {
    return mail.settings();
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => UpdateMailSettingsPayload, {
    description: 'Changes how the tenant’s mail looks, and what is mailed.',
  })
  async updateMailSettings(
    @Arg('input', () => UpdateMailSettingsInput, { description: 'What changes.' }) input: UpdateMailSettingsInput,
    @Ctx() { mail }: MailContext,
  ): Promise<UpdateMailSettingsPayload> {
    return { settings: await mail.updateSettings(input) };
  }

  @Authorized(Role.ADMIN)
  @Mutation(() => ResendMailPayload, {
    description:
      'Sends a mail once more that has come to an end, well or not. One to a customer goes to the address that the customer has now.',
  })
  async resendMail(
    @Arg('input', () => ResendMailInput, { description: 'Which mail.' }) input: ResendMailInput,
    @Ctx() { mail }: MailContext,
  ): Promise<ResendMailPayload> {
    const id = readUuid(input.id, 'input.id');
    await mail.resend(id);
    return new ResendMailPayload(id);
  }
}
