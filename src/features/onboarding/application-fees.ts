import { LockMode } from '@mikro-orm/postgresql';
import { type Database } from '../../db/database.js';
import { AppError, badInput, notFound } from '../../shared/errors.js';
import { isUuid } from '../../shared/uuid.js';
import { Tenant } from '../tenants/tenant.entity.js';
import { readFeeRule } from './fee-rule.js';
import { completeRequirements, StripeConfig } from './stripe-config.entity.js';

export interface NewFeeRule {
  readonly tenantId: string;
  readonly percent?: string | null;
  readonly fixed?: number | null;
}

/** What the platform takes of its tenants' payments. For the platform's own people, who belong to no tenant. */
export class ApplicationFees {
  constructor(
    private readonly database: Database,
    private readonly actor: string,
  ) {}

  /**
   * Sets the rule for payments made from now on; those under way keep theirs. What is left out stays.
   * @throws AppError BAD_USER_INPUT · NOT_FOUND · TENANT_NOT_READY before the tenant has an account
   */
  async update({ percent, fixed, ...wanted }: NewFeeRule): Promise<StripeConfig> {
    const tenantId = wanted.tenantId.toLowerCase();
    const isNothing = (percent ?? null) === null && (fixed ?? null) === null;
    if (isNothing) throw badInput('input', 'Give a percentage, a fixed part, or both.');
    const config = await this.database.platform(async (em) => {
      if (!isUuid(tenantId) || !(await em.findOne(Tenant, { id: tenantId })))
        throw notFound('tenant', 'input.tenantId');
      const { livemode } = this.database;
      const where = { tenantId, livemode };
      const config = await em.findOne(StripeConfig, where, { lockMode: LockMode.PESSIMISTIC_WRITE });
      if (!config) throw new AppError('TENANT_NOT_READY', 'The tenant has no Stripe account yet.');
      const before = config.feeRule;
      const rule = readFeeRule({ percent: percent ?? before.percent, fixed: fixed ?? before.fixed });
      // Written out: these two columns are all that the platform may change.
      await em.execute(
        'update stripe_config set application_fee_percent = ?, application_fee_fixed = ? where tenant_id = ? and id = ?',
        [rule.percent, rule.fixed, tenantId, config.id],
      );
      // The platform may write into a tenant's log, and read nothing of it: not even what it has just written.
      await em.execute(
        `insert into audit_log (tenant_id, livemode, actor, action, subject_type, subject_id, details)
         values (?, ?, ?, 'application-fee.update', 'stripe-account', ?, ?)`,
        [tenantId, livemode, this.actor, config.stripeAccountId, JSON.stringify({ before, after: rule })],
      );
      await em.refresh(config);
      return config;
    });
    // Not before the commit: it would be written, and what Stripe requires is not the platform's to write.
    return Object.assign(config, { requirements: completeRequirements(config.requirements) });
  }
}
