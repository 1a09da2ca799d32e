import { Arg, Authorized, Ctx, Field, InputType, Int, Mutation, ObjectType, Resolver } from 'type-graphql';
import { URLScalar } from '../../shared/scalars.js';
import { billingStaff } from '../tenants/roles.js';
import { type PortalService } from './portal.service.js';

/** What these resolvers need of the request. */
export interface PortalContext {
  readonly portal: PortalService;
}

@InputType({ description: "Who is let into Stripe's pages, and where they come back to." })
class CreateBillingPortalSessionInput {
  @Field(() => Int, { description: "The customer: the PSA's id." })
  customerId!: number;

  @Field(() => String, {
    nullable: true,
    description:
      'Where the pages lead back to: a path on the first allowed origin, or a whole URL on any of them. The front page unless given.',
  })
  returnPath?: string | null;
}

@ObjectType({ description: "A way into Stripe's pages for one customer." })
class CreateBillingPortalSessionPayload {
  constructor(url: string) {
    this.url = url;
  }

  @Field(() => URLScalar, {
    description:
      'Whoever has it acts as the customer, for some minutes: send the browser there at once, and do not store it.',
  })
  readonly url: string;
}

@Resolver()
export class PortalResolver {
  @Authorized(billingStaff)
  @Mutation(() => CreateBillingPortalSessionPayload, {
    description: "Lets a customer look after methods, invoices and subscriptions on Stripe's own pages.",
  })
  async createBillingPortalSession(
    @Arg('input', () => CreateBillingPortalSessionInput, { description: 'Who, and where to come back to.' })
    { customerId, returnPath = null }: CreateBillingPortalSessionInput,
    @Ctx() { portal }: PortalContext,
  ): Promise<CreateBillingPortalSessionPayload> {
    return new CreateBillingPortalSessionPayload(await portal.createSession({ customerId, returnPath }));
  }
}
