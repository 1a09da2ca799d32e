import { type Database, type TenantDb } from '../../db/database.js';
import { type Logger } from '../../shared/logger.js';
import { type Uuid } from '../../shared/uuid.js';

/**
 * Does something for each tenant with a connected account (or with one that was, if `everConnected`), one after the other. One that fails does not keep the others from their turn.
 * @throws Error at the end, when it failed for any
 */
export async function forEveryTenant(
  { database, logger }: { readonly database: Database; readonly logger: Logger },
  signal: AbortSignal,
  work: (db: TenantDb) => Promise<unknown>,
  { everConnected = false } = {},
): Promise<void> {
  const tenants = await database.worker((em) =>
    em.execute<{ id: Uuid }[]>(
      'select distinct tenant_id as id from stripe_accounts where livemode = ? and (? or disconnected_at is null) order by 1',
      [database.livemode, everConnected],
    ),
  );
  let failed = 0;
  for (const { id } of tenants) {
    if (signal.aborted) return;
    try {
      await work(database.tenant(id));
    } catch (error) {
      failed += 1;
      logger.error({ err: error, tenantId: id }, 'A tenant could not be looked after');
    }
  }
  if (failed > 0) throw new Error(`It failed for ${failed} of ${tenants.length} tenants.`);
}
