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
       values (?, ?, ?, ?, ?) on conflict (tenant_id, stripe_account_id, customer_id) do update
         set stripe_customer_id = excluded.stripe_customer_id, deleted_at = null, generation = stripe_customers.generation + 1
         where stripe_customers.deleted_at is not null and stripe_customers.stripe_customer_id <> excluded.stripe_customer_id`,
      [db.tenantId, db.livemode, plan.customerId, command.stripeAccountId, id],
    );
    return { stripeCustomerId: id };
  },

  async reject() {},

  keep: ({ customerId }) => ({ customerId }),
};

/** Who a customer is on an account; null when nobody asked Stripe yet, or it was deleted there. */
export async function knownStripeCustomer(
  em: EntityManager,
  customerId: number,
  stripeAccountId: AccountId,
): Promise<CustomerId | null> {
  const known = await em.findOne(StripeCustomer, { customerId, stripeAccountId, deletedAt: null });
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
    const which = await commands.db.transaction((em) => generationOf(em, customerId, accountId));
    const { outcome } = await commands.run(createStripeCustomer, {
      idempotencyKey: systemKey(
        'stripe-customer',
        accountId,
        String(customerId),
        ...(which > 0 ? [String(which)] : []),
      ),
      params: { customerId, accountId },
      actor,
    });
    return outcome.stripeCustomerId as CustomerId;
  } catch (error) {
    throw asFailure(error);
  }
}

/** Whose method or payment it is to be. */
interface Owner extends CreateStripeCustomer {
  /** Null when Stripe does not know the customer yet. */
  readonly known: CustomerId | null;
  readonly actor: string;
}

/**
 * Asks Stripe for something that needs a customer there. One that turns out to be deleted is made anew, and it is asked once more.
 * @param key Stripe's idempotency key of the request; with another customer it is another request
 * @throws StripeFailure
 */
export async function withStripeCustomer<T>(
  commands: Commands,
  { known, ...owner }: Owner,
  key: string,
  ask: (id: CustomerId, key: string) => Promise<T>,
): Promise<T> {
  const id = known ?? (await ensureStripeCustomer(commands, owner));
  try {
    return await ask(id, key);
  } catch (error) {
    if (!isGone(error)) throw error;
    await commands.db.transaction((em) => forgetStripeCustomer(em, id, owner.accountId));
    const next = await ensureStripeCustomer(commands, owner);
    return ask(next, `${key}:${next}`);
  }
}

/** Notes that a customer was deleted at Stripe. @returns ours, of whom there is none at Stripe now; null when we did not know it */
export async function forgetStripeCustomer(
  em: EntityManager,
  stripeCustomerId: CustomerId,
  stripeAccountId: AccountId,
): Promise<number | null> {
  const [row] = await em.execute<{ customer_id: number }[]>(
    `update stripe_customers set deleted_at = coalesce(deleted_at, now()) where stripe_customer_id = ? and stripe_account_id = ?
     returning customer_id`,
    [stripeCustomerId, stripeAccountId],
  );
  return row?.customer_id ?? null;
}

function isGone(error: unknown): boolean {
  return (
    error instanceof StripeFailure && error.facts.stripeCode === 'resource_missing' && error.facts.field === 'customer'
  );
}

async function generationOf(em: EntityManager, customerId: number, stripeAccountId: AccountId): Promise<number> {
  const row = await em.findOne(StripeCustomer, { customerId, stripeAccountId });
  return row ? row.generation + (row.deletedAt ? 1 : 0) : 0;
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
