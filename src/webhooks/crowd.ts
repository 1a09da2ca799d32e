import { type ManyTenants } from '../db/many-tenants.js';
import { type AppliedMany } from '../jobs/events.js';
import { failpoint } from '../shared/failpoint.js';
import { type Uuid } from '../shared/uuid.js';
import { type ApplyMany, type HandlerIndex } from './handler-index.js';
import { contextOf, type TenantEvent } from './processor.js';
import { settleMany } from './queue.js';

/** What is left of events that were processed in a crowd. */
export interface Leftover {
  /** To be applied one by one. */
  readonly single: readonly TenantEvent[];
  /** Needing something from Stripe, or following such an event on the same object. */
  readonly toFetch: readonly TenantEvent[];
}

/** Runs handlers that take many events at once: a whole claim, of whatever tenants, in one transaction of a few round trips. */
export class Crowd {
  constructor(
    private readonly manyTenants: ManyTenants,
    private readonly handlers: HandlerIndex,
  ) {}

  /**
   * Does what is to be done about events of many tenants and marks them, in one transaction: all of it, or nothing.
   * @returns what could not be done this way; it is untouched
   * @throws LeaseLost, or whatever a handler throws
   */
  async process(token: Uuid, events: readonly TenantEvent[]): Promise<Leftover> {
    const { crowds, rest } = this.crowdsOf(events);
    if (crowds.length === 0) return { single: rest, toFetch: [] };
    const outcomes = new Map<TenantEvent, AppliedMany>();
    await this.manyTenants.run(async (transaction) => {
      outcomes.clear();
      // As everybody does who processes events of a tenant: who needs it to himself waits, and is waited for.
      transaction.first(
        holdTenants,
        crowds.map(({ tenantId }) => tenantId),
      );
      const working = crowds.map(async ({ tenantId, ways }) => {
        const rows = transaction.of(tenantId);
        for (const [applyMany, some] of ways) {
          const answers = await applyMany(
            rows,
            some.map((event) => ({ event: event.payload, context: contextOf(event) })),
          );
          some.forEach((event, i) => outcomes.set(event, answers[i]!));
        }
      });
      // All of them, also after one failed: the connection is theirs until nobody uses it any more.
      for (const result of await Promise.allSettled(working)) if (result.status === 'rejected') throw result.reason;
      failpoint('worker.in-transaction');
      await settleMany(
        transaction,
        token,
        [...outcomes].filter(isDone).map(([{ id }]) => id),
      );
      failpoint('worker.after-settle');
    });
    failpoint('worker.after-commit');
    const single: TenantEvent[] = [];
    const toFetch: TenantEvent[] = [];
    const restOf = new Map<string, TenantEvent[]>();
    for (const event of events) {
      const outcome = outcomes.get(event);
      if (outcome === 'done') continue;
      let list = restOf.get(event.objectKey);
      if (!list) restOf.set(event.objectKey, (list = outcome === 'fetch' ? toFetch : single));
      list.push(event);
    }
    return { single, toFetch };
  }

  /** By tenant, in one order for all workers, so that no two wait for one another. What cannot be in a crowd holds back what follows it. */
  private crowdsOf(events: readonly TenantEvent[]) {
    const wayOf = new Map<string, ApplyMany | null>();
    const byTenant = new Map<Uuid, Map<ApplyMany, TenantEvent[]>>();
    const rest: TenantEvent[] = [];
    for (const event of events) {
      const { objectKey, tenantId } = event;
      const applyMany = this.handlers.manyOf(event.type);
      const way = applyMany === (wayOf.get(objectKey) ?? applyMany) && wayOf.get(objectKey) !== null ? applyMany : null;
      wayOf.set(objectKey, way);
      if (!way) {
        rest.push(event);
        continue;
      }
      const ways = byTenant.get(tenantId) ?? new Map<ApplyMany, TenantEvent[]>();
      byTenant.set(tenantId, ways);
      const some = ways.get(way);
      if (some) some.push(event);
      else ways.set(way, [event]);
    }
    const crowds = [...byTenant].map(([tenantId, ways]) => ({ tenantId, ways }));
    return { crowds: crowds.sort((a, b) => (a.tenantId < b.tenantId ? -1 : 1)), rest };
  }
}

// In the order given, which is the same for all.
const holdTenants = `select count(pg_advisory_xact_lock_shared(hashtextextended('events of ' || tenant, 0))) from unnest($1::text[]) tenant`;

function isDone([, outcome]: [TenantEvent, AppliedMany]): boolean {
  return outcome === 'done';
}
