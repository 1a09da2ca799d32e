import { type EntityManager } from '@mikro-orm/postgresql';
import { type Commands } from '../../jobs/commands/commands.js';
import { type CommandKind, systemKey } from '../../jobs/commands/kind.js';
import { AppError, notFound } from '../../shared/errors.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import { type AccountId, type Customer as CustomerAtStripe, type CustomerId } from '../../stripe/types.js';
import { Customer, StripeCustomer } from './customer.entity.js';

interface CreateStripeCustomer {
  readonly customerId: number;
  readonly accountId: AccountId;
}

/** What the customer is made from, as it was when it was first asked for. */
interface CustomerPlan {
  readonly customerId: number;
  readonly name: string;
  readonly email?: string;
  readonly phone?: string;
}

/** What a customer of ours carries at Stripe. */
const customerKey = 'psa_customer_id';

/** Makes a customer on the tenant's account. Only ever one for each of ours, and account. */
export const createStripeCustomer: CommandKind<CreateStripeCustomer, CustomerPlan, CustomerAtStripe> = {
  name: 'customers.create',

  async prepare(em, { customerId, accountId }, command) {
    const customer = await em.findOne(Customer, { id: customerId });
    if (!customer) throw notFound('customer');
    command.subjectId = String(customerId);
    command.stripeAccountId = accountId;
    const { name, email, phone } = customer;
    return { customerId, name, ...(email && { email }), ...(phone && { phone }) };
  },

  send({ stripe, plan: { customerId, ...about } }, key) {
    return stripe.createCustomer({ ...about, metadata: { [customerKey]: String(customerId) } }, { key });
  },

  find({ stripe, plan, command }) {
    const metadata = { [customerKey]: String(plan.customerId) };
    return stripe.findCustomer({ metadata, since: command.sentAt ?? command.createdAt });
  },

  async apply(em, { plan, command, db }, { id }) {
    await em.execute(
      `insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id)
       values (?, ?, ?, ?, ?) on conflict do nothing`,
      [db.tenantId, db.livemode, plan.customerId, command.stripeAccountId, id],
    );
    return { stripeCustomerId: id };
  },

  async reject() {},

  keep: ({ customerId }) => ({ customerId }),
};

/** Who a customer is on an account; null when nobody asked Stripe yet. */
export async function knownStripeCustomer(
  em: EntityManager,
  customerId: number,
  stripeAccountId: AccountId,
): Promise<CustomerId | null> {
  const known = await em.findOne(StripeCustomer, { customerId, stripeAccountId });
  return known?.stripeCustomerId ?? null;
}

/**
 * Finds a customer on the tenant's account, or makes one there. Asked for the same one by many at once, it makes one.
 * @throws StripeFailure always one that says: what the customer was needed for was not tried
 */
export async function ensureStripeCustomer(
  commands: Commands,
  { customerId, accountId, actor }: CreateStripeCustomer & { readonly actor: string },
): Promise<CustomerId> {
  try {
    const { outcome } = await commands.run(createStripeCustomer, {
      idempotencyKey: systemKey('stripe-customer', accountId, String(customerId)),
      params: { customerId, accountId },
      actor,
    });
    return outcome.stripeCustomerId as CustomerId;
  } catch (error) {
    throw asFailure(error);
  }
}

/** Whatever became of the customer, what it was needed for never left: an open question here is none there. */
function asFailure(error: unknown): StripeFailure {
  const isSettled = error instanceof AppError && error.code !== 'OUTCOME_UNKNOWN' && error.code !== 'CONFLICT';
  if (!isSettled) {
    const message = 'Stripe cannot be reached at the moment. Nothing was changed.';
    return new StripeFailure('STRIPE_UNAVAILABLE', message, 'never', {}, { cause: error });
  }
  // The field at fault is one of the customer's own, not of the request at hand.
  const { field: _, ...facts } = error.details;
  return new StripeFailure(error.code, error.message, 'refused', facts, { cause: error });
}
