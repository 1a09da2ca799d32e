import { type EntityManager } from '@mikro-orm/postgresql';
import { AppError } from '../../shared/errors.js';
import { StripeConfig } from './stripe-config.entity.js';

/**
 * The tenant's account, for what needs no more of it than that it is there: saving a payment method.
 * @throws AppError TENANT_NOT_READY before onboarding · ACCOUNT_DISCONNECTED
 */
export async function connectedAccount(em: EntityManager): Promise<StripeConfig> {
  const config = await em.findOne(StripeConfig, {});
  if (!config) throw new AppError('TENANT_NOT_READY', 'There is no Stripe account yet: begin the onboarding.');
  if (config.disconnectedAt) throw new AppError('ACCOUNT_DISCONNECTED', 'The Stripe account is disconnected.');
  return config;
}

/**
 * The tenant's account, when it can take payments.
 * @throws AppError TENANT_NOT_READY · ACCOUNT_DISCONNECTED
 */
export async function chargeableAccount(em: EntityManager): Promise<StripeConfig> {
  const config = await connectedAccount(em);
  if (!config.chargesEnabled)
    throw new AppError('TENANT_NOT_READY', 'Stripe does not let this account take payments yet.');
  return config;
}
