import { Clock, Scheduler } from './clock.js';
import { Context, type KeyKind } from './context.js';
import { Deliveries, type DeliveryOptions, defaultDeliveryOptions, type Delivery } from './deliveries.js';
import { StripeError } from './errors.js';
import { Events } from './events.js';
import { Expander } from './expand.js';
import { Faults } from './faults.js';
import { Idempotency } from './idempotency.js';
import { newId, randomText } from './ids.js';
import { type Observer } from './record.js';
import { type Hooks, type Resource } from './resource.js';
import { Router } from './router.js';
import { type PartitionRecord, Store } from './store.js';

/** The API version whose shapes the sandbox speaks. */
const apiVersion = '2026-10-28.endive';

export interface SandboxOptions {
  /** Secret keys that are accepted; empty accepts every `sk_test_…`. All of them mean the one platform. */
  keys: string[];
  /** Milliseconds until an `automatic_async` charge gets its balance transaction. */
  settleMs: number;
  delivery: Partial<DeliveryOptions>;
  /** Hears of trouble inside; by default nothing. */
  log: (line: string) => void;
  /** Hears of every request with its answer, and of every event. For checks of the sandbox itself; costs time. */
  onExchange?: Observer;
}

/** A request as the log remembers it. */
export interface LoggedRequest {
  id: string;
  at: number;
  method: string;
  path: string;
  account: string;
  status: number;
  idempotency_key: string | null;
  error: string | null;
}

/** A piece of what is to be kept over a restart. */
export type StateRecord =
  | { kind: 'sandbox'; format: 1; platform: string; offset: number; due: ReturnType<Scheduler['all']> }
  | PartitionRecord
  | { kind: 'deliveries'; deliveries: Delivery[] }
  | { kind: 'idempotency'; entries: ReturnType<Idempotency['dump']> }
  | { kind: 'end' };

/** One Stripe with one platform: all parts, and the state. No network here, so a test may drive it directly. */
export class Sandbox {
  readonly version = apiVersion;
  readonly options: SandboxOptions;
  readonly clock = new Clock();
  readonly faults = new Faults();
  readonly idempotency = new Idempotency();
  readonly router = new Router();
  readonly expander: Expander;
  readonly deliveries: Deliveries;
  readonly events: Events;
  readonly scheduler: Scheduler;
  store: Store;
  /** Where it can be reached; set once the server listens. */
  url = 'http://127.0.0.1';
  readonly requests: LoggedRequest[] = [];
  /** Called after every change that came in by request or fell due. */
  onChange: () => void = () => undefined;
  /** Called after a reset, so that whoever registered endpoints at the start can do so again. */
  onReset: () => void = () => undefined;
  private readonly due = new Map<string, NonNullable<Resource['due']>[string]>();

  constructor(
    private readonly resources: Resource[],
    options: Partial<SandboxOptions> = {},
  ) {
    this.options = { keys: [], settleMs: 60, delivery: {}, log: () => undefined, ...options };
    for (const resource of resources) {
      for (const route of resource.routes) this.router.add(route);
      for (const [kind, work] of Object.entries(resource.due ?? {})) {
        if (this.due.has(kind)) throw new Error(`Two handlers for due work '${kind}'`);
        this.due.set(kind, work);
      }
    }
    this.expander = new Expander(resources);
    this.deliveries = new Deliveries({ ...defaultDeliveryOptions, ...this.options.delivery });
    this.deliveries.onSucceeded = (delivery) => {
      const event = this.store.get(delivery.account)?.table('event').get(delivery.event);
      if (event && event.pending > 0) event.pending--;
    };
    this.events = new Events(this.deliveries);
    this.scheduler = new Scheduler(
      this.clock,
      (due) => {
        const work = this.due.get(due.kind);
        if (!work) throw new Error(`Nobody does '${due.kind}'`);
        if (!this.store.get(due.account)) return;
        work(this.context(due.account), due);
        this.onChange();
      },
      (due, error) =>
        this.options.log(
          `due work ${due.kind} ${due.ref} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
        ),
    );
    this.store = new Store(newId('account'));
    this.accountCreated(this.store.platform);
  }

  /** Id of the platform's own account. */
  get platform(): string {
    return this.store.platform;
  }

  /** A context on an account. @throws StripeError 403 when there is no such account */
  context(
    account = this.platform,
    version: string = this.version,
    request: Context['request'] = { id: null, idempotencyKey: null },
    key: KeyKind = 'secret',
  ): Context {
    const partition = this.store.get(account);
    if (!partition) throw new StripeError(403, `No such account: ${account}`, { code: 'account_invalid' });
    return new Context(this, account, partition, version, request, key);
  }

  /** Whether the platform may act for this account: it exists and has not been disconnected. */
  isConnected(account: string): boolean {
    const partition = this.store.get(account);
    return (
      partition !== undefined &&
      account !== this.platform &&
      partition.secret<{ deauthorized: boolean }>(account).deauthorized !== true
    );
  }

  /** Makes the partition of a new account and tells every resource. */
  addAccount(account: string): void {
    this.store.add(account);
    this.accountCreated(account);
  }

  /** Moves the sandbox's own clock forward, doing all that falls due on the way, in time order. Returns how much was done. */
  advance(to: number): number {
    const from = this.clock.exact();
    if (to < from) throw new StripeError(400, 'The clock only moves forward.');
    let done = 0;
    while (true) {
      const next = this.scheduler.next(null);
      if (next === null || next > to) break;
      done += this.scheduler.runUntil(null, next);
    }
    this.clock.offset += to - this.clock.exact();
    this.scheduler.arm();
    return done;
  }

  /** Back to an empty sandbox with the same platform account; endpoints registered at the start are the caller's to register again. */
  reset(): void {
    const { platform } = this;
    this.scheduler.clear();
    this.deliveries.clear();
    this.deliveries.clearFaults();
    this.faults.clear();
    this.idempotency.clear();
    this.requests.length = 0;
    this.clock.offset = 0;
    this.store = new Store(platform);
    this.accountCreated(platform);
  }

  /** Tells every resource that listens. */
  hook<N extends keyof Hooks>(name: N, ...args: Parameters<NonNullable<Hooks[N]>>): void {
    for (const resource of this.resources)
      (resource.hooks?.[name] as ((...args: unknown[]) => void) | undefined)?.(...args);
  }

  /** Whether some resource does this kind of due work. */
  does(kind: string): boolean {
    return this.due.has(kind);
  }

  stop(): void {
    this.scheduler.stop();
    this.deliveries.stop();
  }

  logRequest(request: LoggedRequest): void {
    this.requests.push(request);
    if (this.requests.length > 400) this.requests.splice(0, 200);
  }

  /** The whole state, piece by piece. Dials are not part of it, nor is the log of what was done. */
  *records(): Generator<StateRecord> {
    const { platform, clock, scheduler } = this;
    yield { kind: 'sandbox', format: 1, platform, offset: clock.offset, due: scheduler.all() };
    yield* this.store.records();
    for (const delivery of this.deliveries.dump()) yield { kind: 'deliveries', deliveries: [delivery] };
    for (const entry of this.idempotency.dump()) yield { kind: 'idempotency', entries: [entry] };
    yield { kind: 'end' };
  }

  /** Takes over a state that was written before. @throws Error when it is not whole; the sandbox is then of no use any more */
  load(records: Iterable<StateRecord>): void {
    this.scheduler.clear();
    let last = '';
    const deliveries: Delivery[] = [];
    for (const record of records) {
      last = record.kind;
      switch (record.kind) {
        case 'sandbox':
          if (record.format !== 1) throw new Error('it was written by another version');
          this.store = new Store(record.platform);
          this.clock.offset = record.offset;
          for (const due of record.due) this.scheduler.schedule(due);
          break;
        case 'deliveries':
          deliveries.push(...record.deliveries);
          break;
        case 'idempotency':
          this.idempotency.load(record.entries);
          break;
        case 'end':
          break;
        default:
          this.store.take(record);
      }
    }
    if (last !== 'end') throw new Error('it has no end');
    this.deliveries.load(deliveries);
  }

  /** A secret for a webhook endpoint. */
  newSigningSecret(): string {
    return `whsec_${randomText(32)}`;
  }

  private accountCreated(account: string): void {
    const ctx = this.context(account);
    for (const resource of this.resources) resource.accountCreated?.(ctx);
  }
}
