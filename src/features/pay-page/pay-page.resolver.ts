import { Arg, Authorized, Ctx, Field, InputType, Int, Mutation, ObjectType, Resolver } from 'type-graphql';
import { DateTimeScalar, URLScalar } from '../../shared/scalars.js';
import { billingStaff } from '../tenants/roles.js';
import { type PayPageService } from './pay-page.service.js';

/** What these resolvers need of the request. */
export interface PayPageContext {
  readonly payPage: PayPageService;
}

@InputType({ description: 'Which invoice, and for how long.' })
class CreateInvoicePayLinkInput {
  @Field(() => Int, { description: "The invoice: the PSA's id. It must be open; one of a subscription's may be, too." })
  invoiceId!: number;

  @Field(() => Int, {
    defaultValue: 168,
    description: 'Hours until the link stops working: 1 to 2160. A week unless given.',
  })
  expiresInHours!: number;
}

@ObjectType({ description: 'A page on which an invoice is paid without a login.' })
class CreateInvoicePayLinkPayload {
  constructor(link: { readonly url: string; readonly expiresAt: Date }) {
    this.url = link.url;
    this.expiresAt = link.expiresAt;
  }

  @Field(() => URLScalar, {
    description: 'Whoever has it sees the invoice and can pay it, and nothing else. For the customer.',
  })
  readonly url: string;

  @Field(() => DateTimeScalar, { description: 'When it stops working.' })
  readonly expiresAt: Date;
}

@Resolver()
export class PayPageResolver {
  @Authorized(billingStaff)
  @Mutation(() => CreateInvoicePayLinkPayload, {
    description: 'Makes a link under which a customer pays an invoice without an account.',
  })
  async createInvoicePayLink(
    @Arg('input', () => CreateInvoicePayLinkInput, { description: 'Which, and for how long.' })
    { invoiceId, expiresInHours }: CreateInvoicePayLinkInput,
    @Ctx() { payPage }: PayPageContext,
  ): Promise<CreateInvoicePayLinkPayload> {
    return new CreateInvoicePayLinkPayload(await payPage.createLink({ invoiceId, expiresInHours }));
  }
}
