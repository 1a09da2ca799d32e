import { type ObjectName, type ObjectTypes } from './objects.js';
import { type Partition, type Table } from './store.js';
import { type Sandbox } from './sandbox.js';
import { type PublishOptions } from './events.js';

export type KeyKind = 'secret' | 'publishable' | 'none';

/** Where a piece of work happens: on which account, by whose request, at what time. Every handler gets one. */
export class Context {
  constructor(
    readonly sandbox: Sandbox,
    /** The account whose objects are meant: the platform, or the one named by Stripe-Account. */
    readonly account: string,
    readonly store: Partition,
    /** API version of the request. */
    readonly version: string,
    readonly request: { id: string | null; idempotencyKey: string | null } = { id: null, idempotencyKey: null },
    readonly key: KeyKind = 'secret',
  ) {}

  /** Whether the work is on the platform's own account. */
  get isPlatform(): boolean {
    return this.account === this.sandbox.platform;
  }

  /** Unix seconds. While due work runs, the moment it was due. */
  get now(): number {
    return this.sandbox.clock.now();
  }

  /** Base URL of this sandbox, for hosted pages. */
  get url(): string {
    return this.sandbox.url;
  }

  table<N extends ObjectName>(object: N): Table<ObjectTypes[N]> {
    return this.store.table(object);
  }

  /** State of an object that Stripe keeps to itself. */
  secret<T extends object>(id: string): Partial<T> {
    return this.store.secret<T>(id);
  }

  /** True when the request's version is this date or a later one, e.g. `2026-09-30`. */
  since(date: string): boolean {
    return this.version.slice(0, 10) >= date;
  }

  /** The same request, seen from another account (the platform's fee objects, for instance). */
  on(account: string): Context {
    return this.sandbox.context(account, this.version, this.request, this.key);
  }

  /** The same request on the platform's own account. */
  get platform(): Context {
    return this.isPlatform ? this : this.on(this.sandbox.platform);
  }

  /** The time of an object that may live on a test clock: the clock's frozen time, otherwise the sandbox's. */
  timeOf(owner: { test_clock?: string | { id: string } | null } | null | undefined): number {
    const id = owner?.test_clock;
    if (!id) return this.now;
    return this.table('test_helpers.test_clock').get(typeof id === 'string' ? id : id.id)?.frozen_time ?? this.now;
  }

  /** Runs synchronous work at the time of an object that may live on a test clock. */
  atTimeOf<T>(owner: { test_clock?: string | { id: string } | null } | null | undefined, work: () => T): T {
    return owner?.test_clock ? this.sandbox.clock.pin(this.timeOf(owner), work) : work();
  }

  /** Records an event about an object of this account and posts it to whoever listens. The payload is frozen now. */
  emit(type: string, object: { id?: string; object: string }, options: PublishOptions = {}): void {
    this.sandbox.events.publish(this, type, object, options);
  }

  /** Changes an object and emits `type` with the `previous_attributes` of what really changed; nothing changed, nothing emitted. */
  change<T extends { id: string; object: string }>(object: T, type: string, work: (object: T) => void): T {
    const before = JSON.stringify(object);
    work(object);
    const after = JSON.stringify(object);
    if (after !== before)
      this.sandbox.events.publish(this, type, object, {
        before: JSON.parse(before) as Record<string, unknown>,
        json: after,
      });
    return object;
  }

  /** Plans work for later on this account; see {@link Resource.due}. `at` in Unix seconds, fractions allowed. */
  schedule(at: number, kind: string, ref: string, clock: string | null = null): void {
    this.sandbox.scheduler.schedule({ at, kind, ref, account: this.account, clock });
  }
}
