import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { AppError } from '../../shared/errors.js';
import { type Uuid } from '../../shared/uuid.js';
import { stripeConfigOf } from '../onboarding/connected-account.js';
import { type LiveFeed, type LiveTable } from './live-feed.js';
import { Mailbox } from './mailbox.js';

/** A row that is to be shown as it is now. */
export interface LiveRow {
  readonly id: Uuid;
}

/** Which payments; null asks for all. */
export interface PaymentSelection {
  readonly paymentId: Uuid | null;
  readonly invoiceId: number | null;
}

/** The connection over which somebody listens. */
export interface LiveConnection {
  /** Ends it: whoever is there cannot keep up. A client comes back, and gets the state of then. */
  drop(): void;
}

/** How one subscription finds its rows. */
interface Source {
  readonly table: LiveTable;
  /** Where things stand at the start. */
  readonly current: (em: EntityManager) => Promise<LiveRow[]>;
  /** What changed since then. */
  readonly changedSince: (em: EntityManager, since: Date) => Promise<LiveRow[]>;
  /** Whether a changed row is one that is asked for. */
  readonly takes: (em: EntityManager, id: Uuid) => Promise<boolean>;
}

/** Payments that a subscription without a filter begins with. */
const firstPayments = 20;
/** Rows that are looked up after a connection was lost. */
const mostMissed = 1_000;

/** What changes of one tenant's rows, as it changes: first the state of now, then each change. */
export class LiveService {
  constructor(
    private readonly feed: Pick<LiveFeed, 'watch'>,
    private readonly db: TenantDb,
    /** Null when the request did not come over a connection that stays. */
    private readonly connection: LiveConnection | null,
  ) {}

  /** One payment, those of one invoice, or all: the newest 20 at first. Ids that are not there, or not the tenant's, bring nothing. */
  payments({ paymentId, invoiceId }: PaymentSelection): AsyncIterableIterator<LiveRow> {
    const conditions = [...(paymentId ? ['id = ?'] : []), ...(invoiceId === null ? [] : ['invoice_id = ?'])];
    const values = [...(paymentId ? [paymentId] : []), ...(invoiceId === null ? [] : [invoiceId])];
    const rows = (em: EntityManager, more: string[], moreValues: unknown[], limit: number) => {
      const where = [...conditions, ...more].join(' and ') || 'true';
      return em.execute<LiveRow[]>(
        `select id from payments where ${where} order by created_at desc, id desc limit ${limit}`,
        [...values, ...moreValues],
      );
    };
    return this.follow({
      table: 'payments',
      // The newest last: that is the state.
      current: async (em) => (await rows(em, [], [], firstPayments)).toReversed(),
      changedSince: async (em, since) => (await rows(em, ['updated_at >= ?'], [since], mostMissed)).toReversed(),
      takes: async (em, id) => (await rows(em, ['id = ?'], [id], 1)).length > 0,
    });
  }

  /** The tenant's account, when it has one. */
  stripeConfig(): AsyncIterableIterator<LiveRow> {
    const current = async (em: EntityManager) => {
      const config = await stripeConfigOf(em);
      return config ? [{ id: config.id }] : [];
    };
    return this.follow({ table: 'stripe_config', current, changedSince: current, takes: () => Promise.resolve(true) });
  }

  private follow(source: Source): AsyncIterableIterator<LiveRow> {
    const { connection } = this;
    if (!connection)
      throw new AppError('BAD_USER_INPUT', 'Subscriptions are asked over WebSocket: graphql-transport-ws.');
    const mailbox = new Mailbox(() => connection.drop());
    const rows = this.rows(source, mailbox, connection);
    return {
      next: () => rows.next(),
      // A generator that waits hears of its end only when it goes on.
      return: () => {
        mailbox.close();
        return rows.return(undefined);
      },
      [Symbol.asyncIterator]() {
        return this;
      },
    };
  }

  private async *rows(
    { table, current, changedSince, takes }: Source,
    mailbox: Mailbox,
    connection: LiveConnection,
  ): AsyncGenerator<LiveRow, undefined> {
    const { db, feed } = this;
    const look = async (work: (em: EntityManager) => Promise<LiveRow[]>) => {
      for (const { id } of await db.transaction(work)) mailbox.add(id);
    };
    // Watching comes first: what changes while the state is read is told afterwards.
    const leave = feed.watch(db.tenantId, table, {
      changed: (id) => mailbox.add(id),
      missed: (since) => void look((em) => changedSince(em, since)).catch(() => connection.drop()),
    });
    try {
      await look(current);
      for (let id = await mailbox.next(); id !== null; id = await mailbox.next()) {
        const row = { id };
        if (await db.transaction((em) => takes(em, row.id))) yield row;
      }
    } finally {
      leave();
      mailbox.close();
    }
  }
}
