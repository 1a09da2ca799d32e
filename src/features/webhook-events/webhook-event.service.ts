import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { AppError, notFound } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { audit } from '../audit/audit.js';

/** What processing an event would change in a table: rows. */
export interface TableChange {
  readonly table: string;
  readonly inserted: number;
  readonly updated: number;
  readonly deleted: number;
}

/** Processes a stored event of a tenant and undoes everything; what handlers throw is thrown. */
export type Rehearse = (tenantId: Uuid, id: Uuid) => Promise<TableChange[]>;

/** What a tenant may do about the events of its own accounts. */
export class WebhookEventService {
  /** @param actor the subject of the verified token */
  constructor(
    private readonly db: TenantDb,
    private readonly actor: string,
    private readonly rehearsal: Rehearse,
  ) {}

  /** The tenant's accounts, one as a rule. Listing by account is what keeps deep pages of events flat. */
  async accounts(): Promise<string[]> {
    const rows = await this.db.transaction((em) =>
      em.execute<{ stripe_account_id: string }[]>('select stripe_account_id from stripe_accounts'),
    );
    return rows.map((row) => row.stripe_account_id);
  }

  /**
   * Says what processing an event again would change. May ask Stripe, and changes nothing.
   * @throws AppError NOT_FOUND; what its handler would fail with
   */
  async rehearse(id: Uuid): Promise<TableChange[]> {
    await this.db.transaction((em) => visibleEvent(em, id));
    return this.rehearsal(this.db.tenantId, id);
  }

  /**
   * Has an event processed again, whatever became of it. Handlers know what they did already, so what was done is not done twice.
   * @throws AppError NOT_FOUND; INVALID_STATE while a worker is at it
   */
  async replay(id: Uuid): Promise<Uuid> {
    await this.db.transaction(async (em) => {
      const event = await visibleEvent(em, id);
      audit(em, {
        actor: this.actor,
        action: 'webhook-event.replay',
        subjectType: 'webhook-event',
        subjectId: id,
        details: { stripeEventId: event.stripe_event_id, type: event.type, status: event.status },
      });
      await em.flush();
      // The tenant was allowed to see it; how it is queued is the workers' business, and no tenant may write there.
      await em.execute('set local role app_worker');
      const queued = await em.execute<unknown[]>(
        `insert into stripe_webhook_queue as q (event_id, stripe_created_at, stripe_account_id, livemode, object_key, state)
         select id, stripe_created_at, stripe_account_id, livemode, object_key, 'READY' from stripe_webhook_events where id = ?
         on conflict (event_id) do update set state = 'READY', ready_at = now(), lease_token = null, lease_until = null, crashes = 0
           where q.lease_until is null or q.lease_until < now()
         returning event_id`,
        [id],
      );
      if (queued.length === 0) throw new AppError('INVALID_STATE', 'The event is being processed right now.');
      await em.execute(
        `update stripe_webhook_events set status = 'RECEIVED', attempts = 0, last_error = null, processed_at = null where id = ?`,
        [id],
      );
      await em.execute('notify stripe_webhook_queue');
    });
    return id;
  }
}

interface EventRow {
  readonly stripe_event_id: string;
  readonly type: string;
  readonly status: string;
}

async function visibleEvent(em: EntityManager, id: Uuid): Promise<EventRow> {
  const [event] = await em.execute<EventRow[]>(
    'select stripe_event_id, type, status from stripe_webhook_events where id = ?',
    [id],
  );
  if (!event) throw notFound('webhook event', 'input.id');
  return event;
}
