import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { newUuid } from '../../shared/uuid.js';
import { type AccountId } from '../../stripe/types.js';
import { paramsHash } from './canonical.js';
import { type systemKey } from './kind.js';

/** A command that nobody waits for. */
export interface Enqueued {
  /** The name of its kind, which must be one that may be looked up and sent at any time: `isRepeatable`. */
  readonly kind: string;
  /** From {@link systemKey}: the same is written down once. */
  readonly key: ReturnType<typeof systemKey>;
  /** What is to be sent: the kind's plan. */
  readonly plan: object;
  readonly subjectId: string;
  readonly stripeAccountId: AccountId;
  readonly actor: string;
}

/**
 * Writes a command down in the transaction that gives the reason for it; recovery carries it out. Neither is there without the other, so no
 * death of a process can come between them.
 * @returns false when it was written down before
 */
export async function enqueue(em: EntityManager, wanted: Enqueued): Promise<boolean> {
  const { kind, key, plan, subjectId, stripeAccountId, actor } = wanted;
  const rows = await em.execute<{ id: string }[]>(
    `insert into commands (tenant_id, id, livemode, kind, idempotency_key, params_hash, params, subject_id, stripe_account_id, actor)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) on conflict (tenant_id, livemode, idempotency_key) do nothing returning id`,
    [
      ...[tenantOf(em), newUuid(), livemodeOf(em), kind, key, paramsHash(plan), JSON.stringify(plan)],
      ...[subjectId, stripeAccountId, actor],
    ],
  );
  return rows.length === 1;
}
