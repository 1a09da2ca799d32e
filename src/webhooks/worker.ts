import { setTimeout as sleep } from 'node:timers/promises';
import { type Database } from '../db/database.js';
import { ManyTenants } from '../db/many-tenants.js';
import { type Clock } from '../shared/clock.js';
import { failpoint } from '../shared/failpoint.js';
import { type Logger } from '../shared/logger.js';
import * as metrics from '../shared/metrics.js';
import { type Uuid } from '../shared/uuid.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { type AtHand } from './at-hand.js';
import { Crowd, type Leftover } from './crowd.js';
import { Gate } from './gate.js';
import { type HandlerIndex } from './handler-index.js';
import { LeaseKeeper } from './lease-keeper.js';
import { Listener } from '../db/listener.js';
import { Processor, type TenantEvent } from './processor.js';
import { LeaseLost, Queue, type Claimed, type Lease } from './queue.js';
import { defaultRetryPolicy, isDatabaseOutage, reasonOf, retryAfter, type RetryPolicy } from './retry.js';
import { accountsChannel, queueChannel } from './sql.js';

export interface WorkerSettings {
  readonly database: Database;
  readonly handlers: HandlerIndex;
  readonly stripe: StripeService;
  /** Connection string of the runtime role. */
  readonly url: string;
  /** The same past any pooler, for LISTEN: `url` unless given. */
  readonly listenUrl?: string;
  /** Where the process also receives. */
  readonly atHand?: AtHand;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Events claimed together: 1,000. */
  readonly batchSize?: number;
  /** Batches under way at the same time: 1. Each costs about as much for few events as for many, so more of them only makes them smaller. */
  readonly batches?: number;
  /** Milliseconds during which events gather after a claim that took all there were: 25. An event that finds the worker idle is taken at once. */
  readonly gatherMs?: number;
  /** The same at the most, while many come: 100. Else several processes take events from one another, and each few of every tenant. */
  readonly longestGatherMs?: number;
  /** Events being fetched from Stripe at the same time: 8. */
  readonly fetches?: number;
  /** Milliseconds a claim lasts without being renewed, and so about what it takes until a killed worker's events go on: 10,000. */
  readonly leaseMs?: number;
  /** Milliseconds between looks at the queue when nobody says that there is something: 1,000. */
  readonly pollMs?: number;
  readonly retry?: RetryPolicy;
}

/** Events in a claim from which on many count as coming. */
const crowd = 64;

/** How many times an event may take its worker down with it. */
const mostCrashes = 20;

/**
 * Processes stored events. Any number of workers, in any number of processes, share the queue.
 *
 * Order: the events of one Stripe object are processed by one worker at a time, by Stripe's stamp and then as they came in, as far as they are there.
 * An event that fails waits for its next try, and later events of its object may overtake it: handlers order by what they know of the object,
 * never by the sequence of their calls, because Stripe keeps none.
 */
export class Worker {
  readonly queue: Queue;
  private readonly manyTenants: ManyTenants;
  private readonly processor: Processor;
  private readonly crowds: Crowd;
  private readonly leases: LeaseKeeper;
  private readonly listener: Listener;
  private readonly fetching: Gate;
  private readonly retry: RetryPolicy;
  private readonly wakers = new Set<() => void>();
  private awake = 0;
  /** How often somebody said that there are new events. */
  private told = 0;
  private stopping = false;
  private loops: Promise<void>[] = [];
  private stopped: Promise<void> | null = null;
  private sweepParked = false;

  constructor(private readonly settings: WorkerSettings) {
    const { database, handlers, stripe, url, listenUrl = url, leaseMs = 10_000, logger } = settings;
    const { atHand } = settings;
    this.queue = new Queue({ url, livemode: database.livemode, leaseMs, logger, ...(atHand && { atHand }) });
    this.manyTenants = new ManyTenants({
      url,
      livemode: database.livemode,
      logger,
      connections: settings.batches ?? 1,
    });
    this.processor = new Processor(database, handlers, stripe);
    this.crowds = new Crowd(this.manyTenants, handlers);
    this.leases = new LeaseKeeper(this.queue, logger);
    this.listener = new Listener(listenUrl, [queueChannel, accountsChannel], (channel) => this.wake(channel), logger);
    this.fetching = new Gate(settings.fetches ?? 8, 400);
    this.retry = settings.retry ?? defaultRetryPolicy;
  }

  start(): void {
    this.leases.start(this.settings.leaseMs ?? 10_000);
    this.listener.start();
    this.loops = Array.from({ length: this.settings.batches ?? 1 }, () => this.loop());
  }

  /** Ends what is under way, gives the rest back, and closes the connections. */
  stop(): Promise<void> {
    return (this.stopped ??= this.end());
  }

  private async end(): Promise<void> {
    this.stopping = true;
    this.wake(null);
    await this.listener.stop();
    await Promise.all(this.loops);
    await this.fetching.drained();
    await this.leases.stop();
    await this.manyTenants.close();
    await this.queue.close();
  }

  private wake(channel: string | null): void {
    if (channel === queueChannel) this.told += 1;
    else this.sweepParked = true;
    this.nudge();
  }

  private nudge(): void {
    this.awake += 1;
    for (const wake of [...this.wakers]) wake();
  }

  private async loop(): Promise<void> {
    const { batchSize = 1_000, logger } = this.settings;
    while (!this.stopping) {
      const heard = this.awake;
      try {
        if (this.sweepParked) {
          this.sweepParked = false;
          await this.queue.releaseParked(true);
        }
        const lease = await this.queue.claim(batchSize);
        if (this.stopping) {
          await this.giveBack(lease.token, lease.events);
        } else if (lease.events.length === 0) {
          await this.pause(heard, this.settings.pollMs ?? 1_000);
        } else {
          this.leases.hold(
            lease.token,
            lease.events.map(({ id }) => id),
          );
          failpoint('worker.after-claim');
          metrics.workerBatchSize.observe(lease.events.length);
          await this.process(lease);
          this.nudge(); // what waited for these objects may go on
          if (lease.events.length < batchSize) await this.gather(lease);
        }
      } catch (error) {
        logger.error({ err: error }, 'The worker could not get at its queue');
        await this.pause(this.awake, 1_000);
      }
    }
  }

  /** Lets events come together, for the longer the more of them came last time, and no longer than they do. */
  private async gather({ events }: Lease): Promise<void> {
    const { gatherMs = 25, longestGatherMs = 100 } = this.settings;
    // Suspects were given back, but for one.
    const isCrowd = events.filter(({ crashes }) => crashes === 0).length >= crowd;
    const end = performance.now() + (isCrowd ? longestGatherMs - gatherMs : 0);
    for (let told = -1; !this.stopping && told !== this.told;) {
      told = this.told;
      await sleep(gatherMs);
      if (performance.now() >= end) return;
    }
  }

  /** Sleeps until woken. @param heard what was heard before the queue was looked at: what came since is not slept over */
  private pause(heard: number, ms: number): Promise<void> {
    if (this.stopping || heard !== this.awake) return Promise.resolve();
    return new Promise((resolve) => {
      const wake = () => {
        clearTimeout(timer);
        this.wakers.delete(wake);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      this.wakers.add(wake);
    });
  }

  private async process({ token, events }: Lease): Promise<void> {
    const idle: Claimed[] = [];
    const strangers: Claimed[] = [];
    const suspects: TenantEvent[] = [];
    const known: TenantEvent[] = [];
    for (const event of events) {
      if (!event.accountId || !this.settings.handlers.has(event.type)) idle.push(event);
      else if (!event.tenantId) strangers.push(event);
      else if (event.crashes > 0) suspects.push(event as TenantEvent);
      else known.push(event as TenantEvent);
    }
    // A newer version, started beside this one, may have queued what this one cannot handle.
    for (const awaiting of [true, false]) {
      const some = idle.filter(({ type }) => this.settings.handlers.awaits(type) === awaiting);
      await this.guarded(token, some, async () => {
        await this.queue.ignore(token, idsOf(some), awaiting);
        this.leases.forget(token, idsOf(some));
        metrics.eventsSettled.inc({ status: 'IGNORED' }, some.length);
      });
    }
    await this.guarded(token, strangers, async () => {
      await this.queue.park(token, idsOf(strangers));
      this.leases.forget(token, idsOf(strangers));
    });
    await this.suspicious(token, suspects);
    await this.crowd(token, known);
  }

  /** Many tenants' events in one transaction, and what that cannot be done for by tenant. */
  private async crowd(token: Uuid, events: readonly TenantEvent[]): Promise<void> {
    await this.guarded(token, events, async () => {
      let left: Leftover = { single: events, toFetch: [] };
      try {
        left = await this.crowds.process(token, events);
        const undone = new Set([...left.single, ...left.toFetch]);
        this.settled(
          token,
          events.filter((event) => !undone.has(event)),
        );
      } catch (error) {
        if (error instanceof LeaseLost || isDatabaseOutage(error)) throw error;
        if (events.length > 1) {
          // One of them spoils the transaction for all. Halves find it in few steps.
          const middle = events.length >> 1;
          await this.crowd(token, events.slice(0, middle));
          return this.crowd(token, events.slice(middle));
        }
        // Alone it is applied, and fails, as any other.
      }
      const byTenant = new Map<Uuid, TenantEvent[]>();
      for (const event of left.single) listIn(byTenant, event.tenantId).push(event);
      for (const ofTenant of byTenant.values()) await this.together(token, ofTenant);
      await this.fetched(token, left.toFetch);
    });
  }

  /**
   * What once took a worker down, or was held by one that went down, is tried alone: should it do so again, nothing else waits for its lease to
   * run out. The least suspicious goes first, so that a killer does not keep killing before the innocent have had their turn.
   */
  private async suspicious(token: Uuid, suspects: TenantEvent[]): Promise<void> {
    const [first, ...others] = suspects.sort((a, b) => a.crashes - b.crashes);
    if (!first) return;
    await this.guarded(token, others, () => this.giveBack(token, others));
    await this.alone(token, first);
  }

  private async together(token: Uuid, events: readonly TenantEvent[]): Promise<void> {
    let deferred: TenantEvent[] = [];
    await this.guarded(token, events, async () => {
      try {
        deferred = await this.processor.processTogether(token, events);
        const ids = new Set(idsOf(deferred));
        this.settled(
          token,
          events.filter(({ id }) => !ids.has(id)),
        );
      } catch (error) {
        if (events.length === 1) return this.failed(token, events[0]!, error);
        if (error instanceof LeaseLost || isDatabaseOutage(error)) throw error;
        // One of them spoils the transaction for all. Halves find it in few steps.
        const middle = events.length >> 1;
        await this.together(token, events.slice(0, middle));
        await this.together(token, events.slice(middle));
      }
    });
    await this.fetched(token, deferred);
  }

  /** Each object's events stay in order; different objects need not wait for one another's fetches. */
  private async fetched(token: Uuid, deferred: readonly TenantEvent[]): Promise<void> {
    for (const chain of byObject(deferred)) {
      await this.fetching.enter(async () => {
        for (const event of chain) await this.alone(token, event);
        this.nudge();
      });
    }
  }

  private alone(token: Uuid, event: TenantEvent): Promise<void> {
    return this.guarded(token, [event], async () => {
      if (this.stopping) return this.giveBack(token, [event]);
      if (event.crashes >= mostCrashes) return this.failed(token, event, new WorkerKiller('Its workers died.'));
      try {
        await this.processor.processAlone(token, event);
        this.settled(token, [event]);
      } catch (error) {
        await this.failed(token, event, error);
      }
    });
  }

  private settled(token: Uuid, events: readonly TenantEvent[]): void {
    this.leases.forget(token, idsOf(events));
    metrics.eventsSettled.inc({ status: 'PROCESSED' }, events.length);
    const now = this.settings.clock.now().getTime();
    for (const { receivedAt } of events) metrics.eventLag.observe((now - receivedAt.getTime()) / 1_000);
  }

  private async failed(token: Uuid, event: TenantEvent, error: unknown): Promise<void> {
    if (error instanceof LeaseLost || isDatabaseOutage(error)) throw error;
    const retryMs = error instanceof WorkerKiller ? null : retryAfter(this.retry, event.attempts, error);
    const { stripeEventId, type, tenantId, attempts } = event;
    const about = { err: error, event: stripeEventId, type, tenantId, attempts: attempts + 1, retryMs };
    metrics.eventsFailed.inc();
    if (retryMs === null) {
      metrics.eventsDead.inc();
      this.settings.logger.error(about, 'An event was given up');
    } else {
      this.settings.logger.warn(about, 'An event failed and will be tried again');
    }
    await this.queue.fail(token, event.id, reasonOf(error), retryMs);
    this.leases.forget(token, [event.id]);
  }

  private async giveBack(token: Uuid, events: readonly Claimed[]): Promise<void> {
    this.leases.forget(token, idsOf(events));
    if (events.length > 0) await this.queue.release(token, idsOf(events));
  }

  /** Runs what settles these events. When it throws they are given back, and nobody else's work is disturbed. */
  private async guarded(token: Uuid, events: readonly Claimed[], work: () => Promise<void>): Promise<void> {
    if (events.length === 0) return;
    try {
      await work();
    } catch (error) {
      if (error instanceof LeaseLost) {
        metrics.leasesLost.inc();
        this.settings.logger.warn({ events: events.length }, 'Events were taken over by another worker');
      } else {
        this.settings.logger.error({ err: error, events: events.length }, 'Events could not be settled');
      }
      await this.giveBack(token, events).catch(() => undefined); // then their lease runs out
    }
  }
}

/** The event took its worker down each time. */
class WorkerKiller extends Error {
  override readonly name = 'WorkerKiller';
}

function idsOf(events: readonly Claimed[]): Uuid[] {
  return events.map(({ id }) => id);
}

function byObject(events: readonly TenantEvent[]): Iterable<TenantEvent[]> {
  const chains = new Map<string, TenantEvent[]>();
  for (const event of events) listIn(chains, event.objectKey).push(event);
  return chains.values();
}

function listIn<Key, Value>(map: Map<Key, Value[]>, key: Key): Value[] {
  let list = map.get(key);
  if (!list) map.set(key, (list = []));
  return list;
}
