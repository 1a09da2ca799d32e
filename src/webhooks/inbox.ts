import pg from 'pg';
import { send } from '../db/message.js';
import { failpoint } from '../shared/failpoint.js';
import { type Logger } from '../shared/logger.js';
import { eventsDuplicate, eventsReceived, inboxBatchSize } from '../shared/metrics.js';
import { type Delivery } from './delivery.js';
import { storable, storeSteps, type StoredCounts } from './inbox-sql.js';

export interface InboxSettings {
  /** Connection string of the runtime role. */
  readonly url: string;
  /** Inserts under way at the same time: 1. More of them make them smaller, and a row costs the less the more come with it. */
  readonly connections?: number;
  /** Events in one insert: 128. */
  readonly batchSize?: number;
  /** Deliveries that may wait; those beyond are refused at once: 2,000. */
  readonly capacity?: number;
  /** Milliseconds after which an insert is given up: 4,000. Stripe itself waits longer than twice that. */
  readonly timeoutMs?: number;
  readonly logger: Logger;
}

/** The delivery could not be stored, through no fault of its own. Stripe will deliver it again. */
export class InboxUnavailable extends Error {
  override readonly name = 'InboxUnavailable';
}

interface Waiting {
  readonly delivery: Delivery;
  readonly resolve: () => void;
  readonly reject: (error: Error) => void;
}

/**
 * Stores deliveries, many with one insert and one commit. A delivery that finds the inbox idle is stored at once; those that arrive while
 * inserts are under way form the next batch. So batches grow with the load, and nobody waits for company.
 */
export class Inbox {
  private readonly pool: pg.Pool;
  private readonly connections: number;
  private readonly batchSize: number;
  private readonly capacity: number;
  private readonly timeoutMs: number;
  private waiting: Waiting[] = [];
  private underWay = 0;
  private closed = false;
  private readonly idle: (() => void)[] = [];

  constructor(private readonly settings: InboxSettings) {
    this.connections = settings.connections ?? 1;
    this.batchSize = settings.batchSize ?? 128;
    this.capacity = settings.capacity ?? 2_000;
    this.timeoutMs = settings.timeoutMs ?? 4_000;
    this.pool = new pg.Pool({
      connectionString: settings.url,
      application_name: 'psa-payments inbox',
      max: this.connections,
      connectionTimeoutMillis: this.timeoutMs,
      keepAlive: true,
    });
    // A connection that is lost while it is in use fails its query; without a listener it would also end the process.
    this.pool.on('connect', (client) => client.on('error', () => undefined));
    this.pool.on('error', (error) => settings.logger.warn({ err: error }, 'The inbox lost an idle connection'));
  }

  /**
   * Resolves once the delivery is committed, also when it was stored before.
   * @throws InboxUnavailable when it may not have been stored
   */
  store(delivery: Delivery): Promise<void> {
    if (this.closed) return Promise.reject(new InboxUnavailable('The inbox is closed.'));
    if (this.waiting.length >= this.capacity) return Promise.reject(new InboxUnavailable('Too many deliveries wait.'));
    return new Promise((resolve, reject) => {
      this.waiting.push({ delivery, resolve, reject });
      this.pump();
    });
  }

  /** Stores what is waiting, then closes the connections. */
  async close(): Promise<void> {
    this.closed = true;
    if (this.underWay > 0 || this.waiting.length > 0) await new Promise<void>((resolve) => this.idle.push(resolve));
    await this.pool.end();
  }

  private pump(): void {
    while (this.underWay < this.connections && this.waiting.length > 0) {
      const batch = this.waiting.splice(0, this.batchSize);
      this.underWay += 1;
      void this.storeBatch(batch).finally(() => {
        this.underWay -= 1;
        this.pump();
        if (this.underWay === 0 && this.waiting.length === 0) this.idle.splice(0).forEach((resolve) => resolve());
      });
    }
  }

  private async storeBatch(batch: Waiting[]): Promise<void> {
    try {
      const counts = await this.insert(batch.map(({ delivery }) => delivery));
      this.count(batch.length, counts);
      for (const { resolve } of batch) resolve();
    } catch (error) {
      if (!isAboutData(error)) {
        this.settings.logger.error({ err: error, events: batch.length }, 'Deliveries could not be stored');
        const refusal = new InboxUnavailable('The database did not take it.', { cause: error });
        for (const { reject } of batch) reject(refusal);
      } else if (batch.length > 1) {
        // One row was refused and took the others with it. Halves find it in few steps.
        const middle = batch.length >> 1;
        await this.storeBatch(batch.slice(0, middle));
        await this.storeBatch(batch.slice(middle));
      } else {
        await this.storeOdd(batch[0]!, error);
      }
    }
  }

  /** JSON may hold text that PostgreSQL's jsonb cannot. Better stored with those characters replaced than delivered for ever. */
  private async storeOdd({ delivery, resolve, reject }: Waiting, reason: unknown): Promise<void> {
    const { stripeEventId: event, type } = delivery;
    this.settings.logger.warn({ err: reason, event, type }, 'A delivery is stored with characters replaced');
    try {
      this.count(1, await this.insert([{ ...delivery, payload: storable(delivery.payload) }]));
      resolve();
    } catch (error) {
      this.settings.logger.error({ err: error, event, type }, 'A delivery cannot be stored');
      reject(new InboxUnavailable('The database refuses it.', { cause: error }));
    }
  }

  private count(deliveries: number, stored: StoredCounts[]): void {
    let fresh = 0;
    for (const { status, events } of stored) {
      eventsReceived.inc({ status }, events);
      fresh += events;
      if (status === 'PARKED')
        this.settings.logger.warn({ events }, 'Events of an unknown account or of the other mode were parked');
    }
    if (deliveries > fresh) eventsDuplicate.inc(deliveries - fresh);
  }

  private async insert(deliveries: Delivery[]): Promise<StoredCounts[]> {
    inboxBatchSize.observe(deliveries.length);
    const client = await this.pool.connect();
    let lost: Error | undefined;
    try {
      failpoint('inbox.before-insert');
      let counts: StoredCounts[] = [];
      await send(
        client,
        storeSteps(deliveries, (answer) => (counts = answer)),
        this.timeoutMs,
      );
      failpoint('inbox.after-insert');
      return counts;
    } catch (error) {
      // After an error of the connection, or a time-out, nobody knows what is still on the wire.
      if (!(error instanceof pg.DatabaseError)) lost = error as Error;
      throw error;
    } finally {
      client.release(lost);
    }
  }
}

/** Classes 22, data exception, and 23, integrity violation: a row is at fault, not the server. */
function isAboutData(error: unknown): boolean {
  return error instanceof pg.DatabaseError && /^(22|23)/.test(error.code ?? '');
}
