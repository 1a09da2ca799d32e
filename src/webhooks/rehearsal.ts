import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../db/database.js';
import { type Uuid } from '../shared/uuid.js';
import { type TableChange, type Rehearse } from '../features/webhook-events/webhook-event.service.js';
import { type Processor } from './processor.js';
import { claimedOf, type ClaimedRow } from './queue.js';

/** Processes one stored event for the look of it: PostgreSQL counts the rows that it touched, then everything is rolled back. */
export function rehearsalOf(processor: Processor, database: Database): Rehearse {
  return async (tenantId, id) => {
    const event = await storedEvent(database, id);
    if (!event?.accountId) return [];
    const [before, after] = await processor.rehearse({ ...event, accountId: event.accountId, tenantId }, touched);
    return after.flatMap(({ table, ...counts }) => {
      const then = before.find((one) => one.table === table);
      const inserted = counts.inserted - (then?.inserted ?? 0);
      const updated = counts.updated - (then?.updated ?? 0);
      const deleted = counts.deleted - (then?.deleted ?? 0);
      return inserted + updated + deleted > 0 ? [{ table, inserted, updated, deleted }] : [];
    });
  };
}

/** What this connection has touched, as far as PostgreSQL has not added it to its statistics: that it does between transactions only. */
function touched(em: EntityManager): Promise<TableChange[]> {
  return em.execute<TableChange[]>(
    `select relname as "table", n_tup_ins::integer as inserted, n_tup_upd::integer as updated, n_tup_del::integer as deleted
     from pg_stat_xact_user_tables where n_tup_ins + n_tup_upd + n_tup_del > 0 order by relname`,
  );
}

async function storedEvent(database: Database, id: Uuid) {
  const [row] = await database.worker((em) =>
    em.execute<ClaimedRow[]>(
      `select id, stripe_created_at, received_at, stripe_event_id, type, payload, attempts, object_key, livemode, stripe_account_id,
         0 as crashes, null as tenant_id from stripe_webhook_events where id = ?`,
      [id],
    ),
  );
  if (!row) return null;
  const { createdAt, receivedAt, ...event } = claimedOf(row);
  return { ...event, createdAt: new Date(createdAt), receivedAt: new Date(receivedAt) };
}
