import { type Commands } from '../../jobs/commands/commands.js';
import { type AnyCommandKind, type CommandKind } from '../../jobs/commands/kind.js';
import { notFound } from '../../shared/errors.js';
import { type AccountId, type CustomerId } from '../../stripe/types.js';
import { audit } from '../audit/audit.js';
import { Customer } from '../customers/customer.entity.js';
import { ensureStripeCustomer, knownStripeCustomer } from '../customers/stripe-customer.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import { type ReturnUrls } from '../onboarding/return-url.js';

interface PortalSession {
  readonly customerId: number;
  /** Checked: on one of the origins that are allowed. */
  readonly returnUrl: string;
}

interface PortalPlan extends PortalSession {
  /** Null when Stripe does not know the customer yet. */
  readonly stripeCustomerId: CustomerId | null;
}

/** Opens a way into Stripe's own pages for one customer. Another one does no harm; the unused ones run out within minutes. */
const createPortalSession: CommandKind<PortalSession, PortalPlan, { readonly url: string }> = {
  name: 'portal.create-session',
  isRepeatable: true,

  async prepare(em, params, command) {
    const config = await connectedAccount(em);
    const { customerId } = params;
    if (!(await em.findOne(Customer, { id: customerId }))) throw notFound('customer', 'input.customerId');
    command.subjectId = String(customerId);
    command.stripeAccountId = config.stripeAccountId;
    audit(em, {
      actor: command.actor,
      action: 'billing-portal.open',
      subjectType: 'customer',
      subjectId: String(customerId),
    });
    return { ...params, stripeCustomerId: await knownStripeCustomer(em, customerId, config.stripeAccountId) };
  },

  async send({ plan, stripe, command, commands }, key) {
    const accountId = command.stripeAccountId as AccountId;
    const { customerId, returnUrl } = plan;
    const known = plan.stripeCustomerId;
    const id = known ?? (await ensureStripeCustomer(commands, { customerId, accountId, actor: command.actor }));
    return stripe.createBillingPortalSession({ customerId: id, returnUrl }, { key });
  },

  find: () => Promise.resolve(null),
  // The URL lets whoever has it act as the customer: it is never stored.
  apply: () => Promise.resolve({}),
  reject: () => Promise.resolve(),
};

/** For the recovery of commands that were cut off. */
export const portalCommands: AnyCommandKind[] = [createPortalSession];

export interface PortalRequest {
  readonly customerId: number;
  /** A path on the first of the allowed origins, or a URL on any of them; null for its front page. */
  readonly returnPath: string | null;
}

/** Lets the customers of one tenant look after their methods, invoices and subscriptions on Stripe's own pages. */
export class PortalService {
  constructor(
    private readonly commands: Commands,
    private readonly returnUrls: ReturnUrls,
    /** The subject of the verified token. */
    private readonly actor: string,
  ) {}

  /**
   * A way into Stripe's pages for one customer, for some minutes. Never the same one twice: it is not kept.
   * @throws AppError BAD_USER_INPUT · NOT_FOUND · TENANT_NOT_READY · ACCOUNT_DISCONNECTED; and what {@link Commands.run} throws
   */
  async createSession({ customerId, returnPath }: PortalRequest): Promise<string> {
    const returnUrl =
      returnPath === null ? this.returnUrls.home : this.returnUrls.resolve(returnPath, 'input.returnPath');
    const request = { idempotencyKey: null, params: { customerId, returnUrl }, actor: this.actor };
    const { report } = await this.commands.run(createPortalSession, request);
    return report!.url;
  }
}
