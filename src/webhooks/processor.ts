import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../db/database.js';
import { Commands } from '../jobs/commands/commands.js';
import { once } from '../jobs/effects.js';
import { type EventContext, type LoadContext } from '../jobs/events.js';
import { failpoint } from '../shared/failpoint.js';
import { type Uuid } from '../shared/uuid.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { type AccountId } from '../stripe/types.js';
import { type AnyHandler, type HandlerIndex } from './handler-index.js';
import { settle, type Claimed } from './queue.js';

/** An event of a tenant we know, with something to do about it. */
export type TenantEvent = Claimed & { readonly tenantId: Uuid; readonly accountId: AccountId };

/** What a handler loaded, and the version of the row it was loaded for. */
interface Fetched {
  readonly report: NonNullable<unknown>;
  readonly version: string | null;
}

type FetchedBy = ReadonlyMap<AnyHandler, Fetched>;

const nothing: FetchedBy = new Map();

/** The object changed at our side each time while Stripe was being asked about it. */
class NeverSettled extends Error {
  override readonly name = 'NeverSettled';
}

/** Ends a transaction that turned out to need something from Stripe first. Not a failure. */
class MustFetch extends Error {
  constructor(readonly handlers: readonly AnyHandler[]) {
    super('The object has to be fetched.');
  }
}

/** Ends a transaction of which nothing is to be left. */
class Undone extends Error {
  override readonly name = 'Undone';
}

/** Runs handlers: many events in one transaction where that is possible, one alone where Stripe has to be asked. */
export class Processor {
  constructor(
    private readonly database: Database,
    private readonly handlers: HandlerIndex,
    private readonly stripe: StripeService,
  ) {}

  /**
   * Does what is to be done about these events and marks them, in one transaction of their tenant: all of it, or nothing.
   * @returns those that need something from Stripe, and what follows them on the same object; they are untouched
   * @throws LeaseLost, or whatever a handler throws
   */
  async processTogether(token: Uuid, events: readonly TenantEvent[]): Promise<TenantEvent[]> {
    const tenantId = events[0]!.tenantId;
    let deferred: TenantEvent[] = [];
    await this.inTenant(tenantId, events, async (em) => {
      deferred = [];
      const heldBack = new Set<string>();
      const done: Uuid[] = [];
      for (const event of events) {
        if (!heldBack.has(event.objectKey) && (await this.apply(em, event, nothing)).length === 0) {
          done.push(event.id);
        } else {
          heldBack.add(event.objectKey);
          deferred.push(event);
        }
      }
      failpoint('worker.in-transaction');
      await settle(em, token, done);
      failpoint('worker.after-settle');
    });
    failpoint('worker.after-commit');
    return deferred;
  }

  /**
   * Processes one event, and fetches its object from Stripe where that is called for: outside of any transaction, and again when the row has moved
   * while Stripe was being asked.
   * @throws LeaseLost, NeverSettled, or whatever a handler throws
   */
  async processAlone(token: Uuid, event: TenantEvent): Promise<void> {
    let fetched = nothing;
    for (let tries = 0; tries < 5; tries++) {
      const wanting = await this.tryAlone(token, event, fetched);
      if (wanting.length === 0) return;
      fetched = new Map([...fetched, ...(await this.fetch(event, wanting))]);
    }
    throw new NeverSettled('The object changed each time while Stripe was asked about it.');
  }

  /**
   * Does what is to be done about an event, and undoes it.
   * @param look asked before it is done and before it is undone, in the same transaction
   * @returns both answers
   * @throws NeverSettled, or whatever a handler throws
   */
  async rehearse<T>(event: TenantEvent, look: (em: EntityManager) => Promise<T>): Promise<readonly [T, T]> {
    let fetched = nothing;
    for (let tries = 0; tries < 5; tries++) {
      let wanting: readonly AnyHandler[] = [];
      const seen: T[] = [];
      const undone = new Undone();
      await this.inTenant(event.tenantId, [event], async (em) => {
        seen.push(await look(em));
        wanting = await this.apply(em, event, fetched);
        await em.flush();
        seen.push(await look(em));
        throw undone;
      }).catch((error: unknown) => {
        if (error !== undone) throw error;
      });
      if (wanting.length === 0) return [seen[0]!, seen[1]!];
      fetched = new Map([...fetched, ...(await this.fetch(event, wanting))]);
    }
    throw new NeverSettled('The object changed each time while Stripe was asked about it.');
  }

  /** @returns no one when it is done; otherwise the handlers that want to fetch, and then nothing was changed */
  private async tryAlone(token: Uuid, event: TenantEvent, fetched: FetchedBy): Promise<readonly AnyHandler[]> {
    try {
      await this.inTenant(event.tenantId, [event], async (em) => {
        const wanting = await this.apply(em, event, fetched);
        if (wanting.length > 0) throw new MustFetch(wanting);
        failpoint('worker.in-transaction');
        await settle(em, token, [event.id]);
        failpoint('worker.after-settle');
      });
      failpoint('worker.after-commit');
      return [];
    } catch (error) {
      if (error instanceof MustFetch) return error.handlers;
      throw error;
    }
  }

  private async fetch(event: TenantEvent, wanting: readonly AnyHandler[]): Promise<FetchedBy> {
    const versions = await this.versions(event, wanting);
    const context: LoadContext = {
      ...contextOf(event),
      stripe: this.stripe.forAccount(event.accountId),
      platform: this.stripe,
      commands: new Commands(this.database.tenant(event.tenantId), this.stripe),
    };
    const fetched = new Map<AnyHandler, Fetched>();
    for (const handler of wanting) {
      if (!handler.load) throw new Error(`A handler of ${event.type} wants to fetch and does not say how.`);
      const report = await handler.load(event.payload, context);
      fetched.set(handler, { report, version: versions.get(handler) ?? null });
    }
    failpoint('worker.after-fetch');
    return fetched;
  }

  /** Asked in a transaction of its own, so that nothing that a handler did in vain shows in the answer. */
  private async versions(event: TenantEvent, handlers: readonly AnyHandler[]): Promise<Map<AnyHandler, string | null>> {
    const versions = new Map<AnyHandler, string | null>();
    await this.inTenant(event.tenantId, [event], async (em) => {
      for (const handler of handlers) {
        if (handler.version) versions.set(handler, await handler.version(em, event.payload, contextOf(event)));
      }
    });
    return versions;
  }

  /** @returns the handlers that want to fetch */
  private async apply(em: EntityManager, event: TenantEvent, fetched: FetchedBy): Promise<AnyHandler[]> {
    const context = contextOf(event);
    const moved: AnyHandler[] = [];
    // All rows first: what one handler changes must not look to the next as if somebody else had.
    for (const [handler, { version }] of fetched) {
      if (handler.version && (await handler.version(em, event.payload, context)) !== version) moved.push(handler);
    }
    if (moved.length > 0) return moved;
    const wanting: AnyHandler[] = [];
    for (const handler of this.handlers.of(event.type)) {
      const report = fetched.get(handler)?.report ?? null;
      if ((await handler.apply(em, event.payload, context, report)) === 'fetch') wanting.push(handler);
    }
    return wanting;
  }

  private inTenant(
    tenantId: Uuid,
    events: readonly TenantEvent[],
    work: (em: EntityManager) => Promise<void>,
  ): Promise<void> {
    const isExclusive = events.some(({ type }) => this.handlers.of(type).some(({ exclusive }) => exclusive));
    const lock = isExclusive ? 'pg_advisory_xact_lock' : 'pg_advisory_xact_lock_shared';
    return this.database.tenant(tenantId).transaction(async (em) => {
      // A process that is stopped here would hold its rows for as long as it sleeps; whoever takes the events over must not wait for that.
      await em.execute("set local idle_in_transaction_session_timeout = '5s'");
      // Before any row: whoever waits here holds nothing that others wait for.
      await em.execute(`select ${lock}(hashtextextended('events of ' || ?, 0))`, [tenantId]);
      await work(em);
    });
  }
}

/** What its envelope says, as handlers see it. */
export function contextOf(event: TenantEvent): EventContext {
  return {
    tenantId: event.tenantId,
    accountId: event.accountId,
    livemode: event.livemode,
    eventId: event.stripeEventId,
    created: event.createdAt,
    once,
  };
}
