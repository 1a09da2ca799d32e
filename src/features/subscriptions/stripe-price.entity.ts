import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { ModeRow } from '../../db/tenant-entity.js';
import { type AccountId, type PriceId, type ProductId } from '../../stripe/types.js';
import { type BillingInterval } from '../contracts/contract.entity.js';

/** What a contract costs, as the tenant's Stripe account has it. A price cannot be changed there: another amount is another one. */
@Entity({ tableName: 'stripe_prices' })
export class StripePrice extends ModeRow {
  @Property({ type: 'text' })
  stripeAccountId!: AccountId;

  @Property({ type: 'integer' })
  contractId!: number;

  /** Minor units, per piece and interval. */
  @Property({ type: 'bigint' })
  unitAmount!: number;

  @Property({ type: 'character', length: 3 })
  currency!: string;

  @Property({ type: 'text' })
  billingInterval!: BillingInterval;

  @Property({ type: 'text' })
  stripeProductId!: ProductId;

  @Property({ type: 'text' })
  stripePriceId!: PriceId;
}
