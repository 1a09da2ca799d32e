import { LockMode } from '@mikro-orm/core';
import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type Order } from '../../shared/ordering.js';
import { type PaymentMethodReport } from '../../stripe/reports.js';
import { type AccountId, type PaymentMethodId } from '../../stripe/types.js';
import { StripeCustomer } from '../customers/customer.entity.js';
import { PaymentMethod, paymentMethodTypeOf } from './payment-method.entity.js';

// The one place where what Stripe says of a payment method becomes a row.

/** Where a report comes from. */
export interface MethodSource {
  readonly accountId: AccountId;
  /** Stripe's stamp of the report. */
  readonly asOf: Date;
  /** Whether it was read from Stripe, and nothing was written in between. */
  readonly fetched: boolean;
}

/**
 * Records a method that Stripe reports. One that belongs to no customer of ours is none of ours.
 * @returns the row, with how the report stands to what was known; null when there is none, and none was made
 */
export async function recordMethod(
  em: EntityManager,
  report: PaymentMethodReport,
  source: MethodSource,
): Promise<{ method: PaymentMethod; order: Order } | null> {
  const method = (await lockMethod(em, report.id)) ?? (await addMethod(em, report, source.accountId));
  return method && { method, order: method.applyStripe(report, source.asOf, source.fetched) };
}

/** Marks a method as removed: final. Its payments keep naming it. */
export async function recordDetached(em: EntityManager, id: PaymentMethodId, asOf: Date): Promise<void> {
  (await lockMethod(em, id))?.detach(asOf);
}

export function lockMethod(em: EntityManager, stripePaymentMethodId: PaymentMethodId): Promise<PaymentMethod | null> {
  return em.findOne(PaymentMethod, { stripePaymentMethodId }, { lockMode: LockMode.PESSIMISTIC_WRITE });
}

/** Lets nobody else choose a default for this customer until the end of the transaction. Taken before any of the methods' own locks. */
export async function lockDefaults(em: EntityManager, customerId: number): Promise<void> {
  await em.execute('select id from customers where id = ? for no key update', [customerId]);
}

/** Makes one method the default of its customer, whose defaults are locked. */
export async function makeDefault(em: EntityManager, method: PaymentMethod): Promise<void> {
  const { customerId } = method;
  const others = await em.find(PaymentMethod, { customerId, isDefault: true, id: { $ne: method.id } });
  for (const other of others) other.isDefault = false;
  // There is never more than one, not even between two statements.
  await em.flush();
  method.isDefault = true;
}

/** The mutation and the webhook may both be first; the second takes the other's row. */
async function addMethod(
  em: EntityManager,
  { id, customerId: stripeCustomerId, type }: PaymentMethodReport,
  stripeAccountId: AccountId,
): Promise<PaymentMethod | null> {
  const owner = stripeCustomerId && (await em.findOne(StripeCustomer, { stripeCustomerId, stripeAccountId }));
  if (!owner) return null;
  await em.execute(
    `insert into payment_methods (tenant_id, livemode, customer_id, stripe_account_id, stripe_payment_method_id, type)
     values (?, ?, ?, ?, ?, ?) on conflict (tenant_id, stripe_payment_method_id) do nothing`,
    [tenantOf(em), livemodeOf(em), owner.customerId, stripeAccountId, id, paymentMethodTypeOf(type)],
  );
  return lockMethod(em, id);
}
