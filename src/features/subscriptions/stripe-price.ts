import { type EntityManager } from '@mikro-orm/postgresql';
import { type Commands } from '../../jobs/commands/commands.js';
import { type CommandKind, systemKey } from '../../jobs/commands/kind.js';
import { AppError, notFound } from '../../shared/errors.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import { type AccountId, idOf, type Price, type PriceId, type ProductId } from '../../stripe/types.js';
import { type BillingInterval, Contract } from '../contracts/contract.entity.js';
import { StripePrice } from './stripe-price.entity.js';
import { contractKey } from './subscription-record.js';
import { stripeIntervalOf } from './subscription-state.js';

/** What tells one price of a contract from another. */
export interface WantedPrice {
  readonly contractId: number;
  readonly accountId: AccountId;
  /** Minor units, per piece and interval. */
  readonly unitAmount: number;
  readonly currency: string;
  readonly interval: BillingInterval;
}

interface PricePlan extends WantedPrice {
  /** Null for the contract's first price: the product is made along with it. */
  readonly productId: ProductId | null;
  readonly name: string;
}

/** Makes a price of a contract on the tenant's account, and with the first one its product. */
export const createStripePrice: CommandKind<WantedPrice, PricePlan, Price> = {
  name: 'subscriptions.create-price',
  // A second price that nobody uses costs nothing and charges nobody.
  isRepeatable: true,

  async prepare(em, wanted, command) {
    const contract = await em.findOne(Contract, { id: wanted.contractId });
    if (!contract) throw notFound('contract');
    command.subjectId = String(wanted.contractId);
    command.stripeAccountId = wanted.accountId;
    return { ...wanted, productId: await knownProduct(em, wanted), name: contract.name };
  },

  send({ stripe, plan }, key) {
    const { productId, name, unitAmount, currency, interval, contractId } = plan;
    const product = productId ? { id: productId } : { name };
    const metadata = { [contractKey]: String(contractId) };
    return stripe.createPrice({ product, unitAmount, currency, ...stripeIntervalOf(interval), metadata }, { key });
  },

  find: () => Promise.resolve(null),

  async apply(em, { db, plan }, price) {
    const productId = idOf<ProductId>(price.product)!;
    await em.execute(
      `insert into stripe_prices (tenant_id, livemode, stripe_account_id, contract_id, unit_amount, currency, billing_interval,
         stripe_product_id, stripe_price_id) values (?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict do nothing`,
      [
        ...[db.tenantId, db.livemode, plan.accountId, plan.contractId, plan.unitAmount, plan.currency, plan.interval],
        ...[productId, price.id],
      ],
    );
    return { stripePriceId: price.id, stripeProductId: productId };
  },

  reject: () => Promise.resolve(),
};

/** The product that all prices of a contract are of; null before the first. */
export async function knownProduct(
  em: EntityManager,
  { contractId, accountId }: Pick<WantedPrice, 'contractId' | 'accountId'>,
): Promise<ProductId | null> {
  const where = { contractId, stripeAccountId: accountId };
  const [earliest] = await em.find(StripePrice, where, { orderBy: { createdAt: 'asc' }, limit: 1 });
  return earliest?.stripeProductId ?? null;
}

/**
 * Finds a price of a contract on the tenant's account, or makes it there. Asked for the same one by many at once, it makes one.
 * @throws StripeFailure always one that says: what the price was needed for was not tried
 */
export async function ensureStripePrice(commands: Commands, wanted: WantedPrice, actor: string): Promise<PriceId> {
  const { accountId, contractId, unitAmount, currency, interval } = wanted;
  try {
    const { outcome } = await commands.run(createStripePrice, {
      idempotencyKey: systemKey('stripe-price', accountId, String(contractId), String(unitAmount), currency, interval),
      params: wanted,
      actor,
    });
    return outcome.stripePriceId as PriceId;
  } catch (error) {
    const isSettled = error instanceof AppError && error.code !== 'OUTCOME_UNKNOWN' && error.code !== 'CONFLICT';
    if (isSettled) {
      const { field: _, ...facts } = error.details;
      throw new StripeFailure(error.code, error.message, 'refused', facts, { cause: error });
    }
    const message = 'Stripe cannot be reached at the moment. Nothing was changed.';
    throw new StripeFailure('STRIPE_UNAVAILABLE', message, 'never', {}, { cause: error });
  }
}
