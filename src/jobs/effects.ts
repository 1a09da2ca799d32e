import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeSetting, tenantSetting } from '../db/tenant-entity.js';

/**
 * Claims something that must happen once for the tenant of this transaction, whoever reports it and how often: a receipt, a posting.
 * The claim is part of the transaction, so an effect that is undone can be claimed again.
 *
 * @param key names object and transition, never the event: `receipt:pi_1`
 * @returns true for the first caller ever; everybody else gets false, after waiting for a first one that has not committed yet
 */
export async function once(em: EntityManager, key: string): Promise<boolean> {
  const { variables } = em.getSessionContext() ?? {};
  const claimed = await em.execute<{ key: string }[]>(
    'insert into effects (tenant_id, livemode, key) values (?, ?, ?) on conflict do nothing returning key',
    [variables?.[tenantSetting], variables?.[livemodeSetting], key],
  );
  return claimed.length === 1;
}
