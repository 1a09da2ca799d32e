import { type EntityManager, LockMode } from '@mikro-orm/postgresql';
import { AppError } from '../../shared/errors.js';
import { StripeAccount, StripeConfig } from './stripe-config.entity.js';

/** Whether nobody else may change the account until the end of the transaction. */
interface Locking {
  readonly lock?: boolean;
}

/** The tenant's account, connected or not; null before onboarding. */
export async function stripeConfigOf(em: EntityManager, { lock = false }: Locking = {}): Promise<StripeConfig | null> {
  // Row-level security leaves at most one: that of this tenant and this mode.
  const [config] = await em.find(StripeConfig, {}, { limit: 1, ...(lock && { lockMode: LockMode.PESSIMISTIC_WRITE }) });
  return config ?? null;
}

/**
 * The tenant's account, for what needs no more of it than that it is there: saving a payment method.
 * @throws AppError TENANT_NOT_READY before onboarding · ACCOUNT_DISCONNECTED
 */
export async function connectedAccount(em: EntityManager, locking: Locking = {}): Promise<StripeConfig> {
  return connected(await stripeConfigOf(em, locking));
}

function connected(config: StripeConfig | null): StripeConfig {
  if (!config) throw new AppError('TENANT_NOT_READY', 'There is no Stripe account yet: begin the onboarding.');
  if (config.disconnectedAt) throw new AppError('ACCOUNT_DISCONNECTED', 'The Stripe account is disconnected.');
  return config;
}

/**
 * The tenant's account, when it can take payments.
 * @throws AppError TENANT_NOT_READY · ACCOUNT_DISCONNECTED
 */
export async function chargeableAccount(em: EntityManager): Promise<StripeConfig> {
  return chargeable(await stripeConfigOf(em));
}

/** The same for an account that was read before. @throws AppError as {@link chargeableAccount} */
export function chargeable(account: StripeConfig | null): StripeConfig {
  const config = connected(account);
  if (!config.chargesEnabled)
    throw new AppError('TENANT_NOT_READY', 'Stripe does not let this account take payments yet.');
  return config;
}

/** Marks an account in the directory; nothing is deleted, so that what still arrives for it finds its tenant. */
export async function noteDisconnection(
  em: EntityManager,
  stripeAccountId: StripeAccount['stripeAccountId'],
  at: Date,
): Promise<void> {
  await em.nativeUpdate(StripeAccount, { stripeAccountId, disconnectedAt: null }, { disconnectedAt: at });
}
