import { type Database } from '../db/database.js';
import { type Uuid } from '../shared/uuid.js';
import { type HandlerIndex } from './handler-index.js';

/** Which stored events are processed once more. All conditions must hold. */
export interface Replay {
  /** Those that were kept for a later version, and that this one handles. Without it: of any status given. */
  readonly awaiting?: boolean;
  readonly types?: readonly string[];
  readonly statuses?: readonly string[];
  /** Stored then or later. */
  readonly since?: Date;
  readonly accountIds?: readonly string[];
}

const batchSize = 500;

/** How many events of which type a replay would queue. */
export async function countReplay(
  database: Database,
  handlers: HandlerIndex,
  replay: Replay,
): Promise<ReadonlyMap<string, number>> {
  const { where, values } = conditions(database, handlers, replay);
  const rows = await database.worker((em) =>
    em.execute<{ type: string; events: number }[]>(
      `select type, count(*)::integer as events from stripe_webhook_events where ${where} group by type order by type`,
      values,
    ),
  );
  return new Map(rows.map(({ type, events }) => [type, events]));
}

/**
 * Queues stored events again, oldest first, a few hundred at a time. Handlers know what they did already, so nothing is done twice.
 * @param onProgress events queued so far
 * @returns how many were queued; those that a worker holds right now are not among them
 */
export async function replayEvents(
  database: Database,
  handlers: HandlerIndex,
  replay: Replay,
  onProgress: (queued: number) => void = () => undefined,
): Promise<number> {
  const { where, values } = conditions(database, handlers, replay);
  let queued = 0;
  let after = '00000000-0000-0000-0000-000000000000' as Uuid;
  for (;;) {
    const ids = await database.worker((em) =>
      em.execute<{ id: Uuid }[]>(
        `select id from stripe_webhook_events where ${where} and id > ? order by id limit ${batchSize}`,
        [...values, after],
      ),
    );
    if (ids.length === 0) return queued;
    after = ids.at(-1)!.id;
    queued += await requeue(
      database,
      ids.map(({ id }) => id),
    );
    onProgress(queued);
  }
}

async function requeue(database: Database, ids: readonly Uuid[]): Promise<number> {
  return database.worker(async (em) => {
    const rows = await em.execute<unknown[]>(
      `with queued as (
         insert into stripe_webhook_queue as q (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
         select id, stripe_created_at, stripe_account_id, livemode, object_key, 'READY' from stripe_webhook_events where id = any(?::uuid[])
         on conflict (event_id) do update set state = 'READY', ready_at = now(), lease_token = null, lease_until = null, crashes = 0
           where q.lease_until is null or q.lease_until < now()
         returning event_id, stripe_created_at
       )
       update stripe_webhook_events e set status = 'RECEIVED', attempts = 0, last_error = null, processed_at = null, awaits_handler = false
       from queued where e.id = queued.event_id and e.stripe_created_at = queued.stripe_created_at returning e.id`,
      [`{${ids.join(',')}}`],
    );
    await em.execute('notify stripe_webhook_queue');
    return rows.length;
  });
}

function conditions(database: Database, handlers: HandlerIndex, replay: Replay): { where: string; values: unknown[] } {
  const parts: string[] = ['livemode = ?', 'type = any(?::text[])'];
  const types = replay.types ?? handlers.types;
  // What nothing handles would only be set aside again.
  const values: unknown[] = [database.livemode, arrayOf(types.filter((type) => handlers.has(type)))];
  if (replay.awaiting) parts.push('awaits_handler');
  if (replay.statuses) {
    parts.push('status = any(?::text[])');
    values.push(arrayOf(replay.statuses));
  }
  if (replay.since) {
    parts.push('received_at >= ?');
    values.push(replay.since);
  }
  if (replay.accountIds) {
    parts.push('stripe_account_id = any(?::text[])');
    values.push(arrayOf(replay.accountIds));
  }
  return { where: parts.join(' and '), values };
}

/** As PostgreSQL writes arrays; each element quoted. */
function arrayOf(texts: readonly string[]): string {
  return `{${texts.map((text) => `"${text.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
