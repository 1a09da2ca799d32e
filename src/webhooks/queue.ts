import { type EntityManager } from '@mikro-orm/postgresql';
import pg from 'pg';
import { type ManyTenantsTransaction } from '../db/many-tenants.js';
import { type Logger } from '../shared/logger.js';
import { newUuid, type Uuid } from '../shared/uuid.js';
import { type AccountId, type EventId, type StripeEvent, type ThinNotification } from '../stripe/types.js';
import { type AtHand } from './at-hand.js';
import { literal, milliseconds, queueChannel, uuidArray } from './sql.js';

/** An event that a worker holds, and holds its object by. */
export interface Claimed {
  readonly id: Uuid;
  readonly createdAt: Date;
  readonly receivedAt: Date;
  readonly stripeEventId: EventId;
  readonly type: string;
  readonly payload: StripeEvent | ThinNotification;
  readonly objectKey: string;
  readonly livemode: boolean;
  readonly accountId: AccountId | null;
  /** Null while nobody here has this account. */
  readonly tenantId: Uuid | null;
  /** Tries that ended, with whatever result. */
  readonly attempts: number;
  /** Tries that ended with the worker vanishing. */
  readonly crashes: number;
}

/** What is claimed together. Its token fences: nothing that was claimed by somebody else since can be settled with it. */
export interface Lease {
  readonly token: Uuid;
  readonly events: readonly Claimed[];
}

/** Another worker has taken some of these events over. What was done about them must not be committed. */
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

export interface QueueSettings {
  /** Connection string of the runtime role. */
  readonly url: string;
  /** Events of the other mode are left to a server that has its keys. */
  readonly livemode: boolean;
  /** Milliseconds that a claim lasts without being renewed. All times are PostgreSQL's: the workers' clocks need not agree. */
  readonly leaseMs: number;
  readonly atHand?: AtHand;
  readonly logger: Logger;
}

/** Only one claim at a time: else two workers could each take a different event of one object. Arbitrary: "evnt". */
const claimLock = 0x65766e74;

/** What a worker does to the queue outside of a tenant's transaction. Each method is one round trip and one transaction. */
export class Queue {
  private readonly pool: pg.Pool;

  constructor(private readonly settings: QueueSettings) {
    this.pool = new pg.Pool({
      connectionString: settings.url,
      application_name: 'psa-payments queue',
      max: 3,
      connectionTimeoutMillis: 5_000,
      query_timeout: 10_000,
      keepAlive: true,
    });
    // A connection that is lost while it is in use fails its query; without a listener it would also end the process.
    this.pool.on('connect', (client) => client.on('error', () => undefined));
    this.pool.on('error', (error) => settings.logger.warn({ err: error }, 'The queue lost an idle connection'));
  }

  /**
   * Takes up to `limit` events that are due, oldest first, and with each its object: no other worker gets an event of an object of which one is
   * held. Events whose lease ran out are due again, the later the more often that happened.
   * @returns in the order in which each object's events are to be processed: by Stripe's stamp, then as they came in
   */
  async claim(limit: number): Promise<Lease> {
    const token = newUuid();
    const rows = await this.run<Omit<ClaimedRow, 'payload'>>(
      `select pg_advisory_xact_lock(${claimLock});
with due as (
  select q.event_id from stripe_webhook_queue q
  where q.state = 'READY' and q.ready_at <= now() and q.livemode = ${this.settings.livemode}
    and (q.lease_until is null or q.lease_until < now() - least(q.crashes, 30) * interval '1 second')
    and not exists (select from stripe_webhook_queue held where held.object_key = q.object_key and held.lease_until >= now())
  order by q.ready_at, q.event_id limit ${limit}
  for update skip locked
), leased as (
  update stripe_webhook_queue q
  set lease_until = clock_timestamp() + ${milliseconds(this.settings.leaseMs)}, lease_token = '${token}',
    crashes = q.crashes + (q.lease_token is not null)::integer
  from due where q.event_id = due.event_id
  returning q.*
)
select e.id, e.stripe_created_at, e.received_at, e.stripe_event_id, e.type, e.attempts,
  q.object_key, q.livemode, q.stripe_account_id, q.crashes, a.tenant_id
from leased q
join stripe_webhook_events e on e.id = q.event_id and e.stripe_created_at = q.stripe_created_at
left join stripe_accounts a on a.stripe_account_id = q.stripe_account_id and a.livemode = q.livemode
order by e.stripe_created_at, e.id`,
    );
    try {
      return { token, events: await this.withPayloads(rows) };
    } catch (error) {
      // Nobody will work on them. When they cannot be given back either, their lease runs out, and each looks as if it had killed its worker.
      await this.release(
        token,
        rows.map(({ id }) => id),
      ).catch(() => undefined);
      throw error;
    }
  }

  /** Reads what is not at hand: outside of the claim, during which nobody else can claim. */
  private async withPayloads(rows: readonly Omit<ClaimedRow, 'payload'>[]): Promise<Claimed[]> {
    const { atHand } = this.settings;
    const payloads = new Map<Uuid, Claimed['payload']>();
    const absent: Uuid[] = [];
    for (const { id, stripe_event_id: eventId, attempts, crashes } of rows) {
      const event = atHand?.take(eventId);
      // A second try may be due to what was at hand: a copy that came later is no better.
      if (event && attempts + crashes === 0) payloads.set(id, event);
      else absent.push(id);
    }
    if (absent.length > 0) {
      const stored = await this.run<Pick<ClaimedRow, 'id' | 'payload'>>(
        `select e.id, e.payload from stripe_webhook_queue q join stripe_webhook_events e on e.id = q.event_id and e.stripe_created_at = q.stripe_created_at
where q.event_id = any(${uuidArray(absent)})`,
      );
      for (const { id, payload } of stored) payloads.set(id, payload);
    }
    // One that is not there any more was settled by somebody else, or its month was dropped.
    return rows.flatMap((row) => {
      const payload = payloads.get(row.id);
      return payload ? [claimedOf({ ...row, payload })] : [];
    });
  }

  /** Holds the lease for another term. @returns those of the events that are still held */
  async renew(token: Uuid, ids: readonly Uuid[]): Promise<Uuid[]> {
    const rows = await this.run<{ event_id: Uuid }>(
      `update stripe_webhook_queue set lease_until = clock_timestamp() + ${milliseconds(this.settings.leaseMs)}
where event_id = any(${uuidArray(ids)}) and lease_token = '${token}' returning event_id`,
    );
    return rows.map((row) => row.event_id);
  }

  /** Gives events back untried. */
  async release(token: Uuid, ids: readonly Uuid[]): Promise<void> {
    await this.run(
      `update stripe_webhook_queue set lease_until = null, lease_token = null
where event_id = any(${uuidArray(ids)}) and lease_token = '${token}'`,
    );
  }

  /**
   * Settles events about which nothing has to be done.
   * @param awaitsHandler by this version: one that can is meant to find them again
   */
  async ignore(token: Uuid, ids: readonly Uuid[], awaitsHandler = false): Promise<void> {
    await this.run(settleStatement(token, ids, 'IGNORED', awaitsHandler));
  }

  /** Puts events aside until their account is known. */
  async park(token: Uuid, ids: readonly Uuid[]): Promise<void> {
    await this.run(
      `with parked as (
  update stripe_webhook_queue set state = 'PARKED', lease_until = null, lease_token = null
  where event_id = any(${uuidArray(ids)}) and lease_token = '${token}' returning event_id, stripe_created_at
)
update stripe_webhook_events e set status = 'PARKED' from parked
where e.id = parked.event_id and e.stripe_created_at = parked.stripe_created_at`,
    );
  }

  /**
   * Notes that a try failed.
   * @param retryMs when to try again, from now; null to give the event up
   * @param reason shown to the tenant with the event
   */
  async fail(token: Uuid, id: Uuid, reason: string, retryMs: number | null): Promise<void> {
    const [state, status] = retryMs === null ? ['DEAD', 'DEAD'] : ['READY', 'FAILED'];
    await this.run(
      `with failed as (
  update stripe_webhook_queue set state = '${state}', lease_until = null, lease_token = null, crashes = 0,
    ready_at = clock_timestamp() + ${milliseconds(retryMs ?? 0)}
  where event_id = '${id}' and lease_token = '${token}' returning event_id, stripe_created_at
)
update stripe_webhook_events e set status = '${status}', attempts = attempts + 1, last_error = ${literal(reason.slice(0, 2_000))}
from failed where e.id = failed.event_id and e.stripe_created_at = failed.stripe_created_at`,
    );
  }

  /**
   * Makes parked events due whose account has become known.
   * @param onlyRecent look only at accounts of the last minutes, which is cheap however many there are
   */
  async releaseParked(onlyRecent: boolean): Promise<number> {
    const rows = await this.run(
      `with released as (
  update stripe_webhook_queue q set state = 'READY', ready_at = now()
  from stripe_accounts a
  where q.state = 'PARKED' and q.livemode = ${this.settings.livemode}
    and a.stripe_account_id = q.stripe_account_id and a.livemode = q.livemode
    ${onlyRecent ? "and a.created_at > now() - interval '10 minutes'" : ''}
  returning q.event_id, q.stripe_created_at
), marked as (
  update stripe_webhook_events e set status = 'RECEIVED' from released r
  where e.id = r.event_id and e.stripe_created_at = r.stripe_created_at
), told as (select pg_notify('${queueChannel}', '') from released limit 1)
select r.event_id from released r left join told on true`,
    );
    return rows.length;
  }

  /** Runs statements as the worker role. @returns the rows of the last one */
  async run<Row extends pg.QueryResultRow>(statements: string): Promise<Row[]> {
    const client = await this.pool.connect();
    let lost: Error | undefined;
    try {
      const results = (await client.query(
        `set local role app_worker;\n${statements}`,
      )) as unknown as pg.QueryResult<Row>[];
      return results.at(-1)!.rows;
    } catch (error) {
      if (!(error instanceof pg.DatabaseError)) lost = error as Error;
      throw error;
    } finally {
      client.release(lost);
    }
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}

/**
 * Marks events as done inside the transaction that did it: both are committed, or neither.
 * @throws LeaseLost when any of them is no longer held; the transaction must then be rolled back
 */
export async function settle(em: EntityManager, token: Uuid, ids: readonly Uuid[]): Promise<void> {
  if (ids.length === 0) return;
  await em.flush();
  await em.execute('set local role app_worker');
  const settled = await em.execute<unknown[]>(`${settleStatement(token, ids, 'PROCESSED')} returning e.id`);
  if (settled.length !== ids.length) throw new LeaseLost(`${ids.length - settled.length} events were taken over.`);
}

/** The same in a transaction of many tenants. */
export async function settleMany(
  transaction: ManyTenantsTransaction,
  token: Uuid,
  ids: readonly Uuid[],
): Promise<void> {
  if (ids.length === 0) return;
  const settled = await transaction.asWorker<number>(settleManyStatement, ids, token);
  if (settled !== ids.length) throw new LeaseLost(`${ids.length - settled} events were taken over.`);
}

const settleManyStatement = `with settled as (
  delete from stripe_webhook_queue where event_id = any($1) and lease_token = $2
  returning event_id, stripe_created_at
), marked as (
  update stripe_webhook_events e set status = 'PROCESSED', processed_at = clock_timestamp(), attempts = attempts + 1, last_error = null,
    awaits_handler = false
  from settled where e.id = settled.event_id and e.stripe_created_at = settled.stripe_created_at
  returning e.id
)
select count(*) from marked`;

function settleStatement(
  token: Uuid,
  ids: readonly Uuid[],
  status: 'PROCESSED' | 'IGNORED',
  awaitsHandler = false,
): string {
  return `with settled as (
  delete from stripe_webhook_queue where event_id = any(${uuidArray(ids)}) and lease_token = '${token}'
  returning event_id, stripe_created_at
)
update stripe_webhook_events e set status = '${status}', processed_at = clock_timestamp(), attempts = attempts + 1, last_error = null,
  awaits_handler = ${awaitsHandler}
from settled where e.id = settled.event_id and e.stripe_created_at = settled.stripe_created_at`;
}

export interface ClaimedRow {
  id: Uuid;
  stripe_created_at: Date;
  received_at: Date;
  stripe_event_id: EventId;
  type: string;
  payload: StripeEvent | ThinNotification;
  attempts: number;
  object_key: string;
  livemode: boolean;
  stripe_account_id: AccountId | null;
  crashes: number;
  tenant_id: Uuid | null;
}

export function claimedOf(row: ClaimedRow): Claimed {
  return {
    id: row.id,
    createdAt: row.stripe_created_at,
    receivedAt: row.received_at,
    stripeEventId: row.stripe_event_id,
    type: row.type,
    payload: row.payload,
    objectKey: row.object_key,
    livemode: row.livemode,
    accountId: row.stripe_account_id,
    tenantId: row.tenant_id,
    attempts: row.attempts,
    crashes: row.crashes,
  };
}
