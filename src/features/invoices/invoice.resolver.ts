import { type GraphQLResolveInfo } from 'graphql';
import {
  Arg,
  Args,
  ArgsType,
  Authorized,
  Ctx,
  Field,
  FieldResolver,
  Info,
  InputType,
  Int,
  Query,
  Resolver,
} from 'type-graphql';
import { answeredByReadModel } from '../../db/reads/attach.js';
import { type Reads } from '../../db/reads/reads.js';
import { type Connection, ForwardArgs, PageArgs } from '../../shared/connection.types.js';
import { DateTimeScalar } from '../../shared/scalars.js';
import { tenantMembers } from '../tenants/roles.js';
import { Invoice, InvoiceConnection, InvoicePaymentStatus } from './invoice.entity.js';
import { invoiceReads } from './invoice.reads.js';
import { type InvoiceLine, InvoiceLineConnection } from './invoice-line.entity.js';

/** What these resolvers need of the request. */
export interface InvoiceContext {
  readonly reads: Reads;
}

@InputType({ description: 'Which invoices; all conditions must hold.' })
class InvoiceFilter {
  @Field(() => [InvoicePaymentStatus], { nullable: true, description: 'Those that are paid this far.' })
  paymentStatus?: InvoicePaymentStatus[] | null;

  @Field(() => Int, { nullable: true, description: "Those of this customer: the PSA's id." })
  customerId?: number | null;

  @Field(() => DateTimeScalar, { nullable: true, description: 'Those that are due before then.' })
  dueBefore?: Date | null;
}

@ArgsType()
class InvoicesArgs extends PageArgs {
  @Field(() => InvoiceFilter, { nullable: true, description: 'Which ones; all unless given.' })
  filter?: InvoiceFilter | null;
}

@Resolver()
export class InvoiceResolver {
  @Authorized(tenantMembers)
  @Query(() => Invoice, { nullable: true, description: 'One invoice; null if there is no such one.' })
  invoice(
    @Arg('id', () => Int, { description: "The PSA's id." }) id: number,
    @Ctx() { reads }: InvoiceContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Invoice | null> {
    return reads.one(invoiceReads, { id }, info);
  }

  @Authorized(tenantMembers)
  @Query(() => InvoiceConnection, { description: "The tenant's invoices, newest first." })
  invoices(
    @Args(() => InvoicesArgs) { filter, ...page }: InvoicesArgs,
    @Ctx() { reads }: InvoiceContext,
    @Info() info: GraphQLResolveInfo,
  ): Promise<Connection<Invoice>> {
    return reads.connection(invoiceReads, { page, where: { ...filter } }, info);
  }
}

/** What an invoice is made of. */
@Resolver(() => Invoice)
export class InvoiceLinesResolver {
  @FieldResolver(() => InvoiceLineConnection, {
    description: 'What it is made of, in order, where a subscription made it; otherwise nothing.',
  })
  lines(@Args(() => ForwardArgs) _page: ForwardArgs): Connection<InvoiceLine> {
    return answeredByReadModel();
  }
}
