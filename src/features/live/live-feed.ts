import { Listener } from '../../db/listener.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { isUuid, type Uuid } from '../../shared/uuid.js';

/** Tables whose changes are told. */
export type LiveTable = 'payments' | 'stripe_config';

/** Somebody who wants to know. Both must return at once. */
export interface Watcher {
  /** A row of the table changed, or came to be. */
  changed(id: Uuid): void;
  /** Something may have been missed since then: look again. */
  missed(since: Date): void;
}

export interface LiveFeedSettings {
  /** Connection string of the runtime role, past any pooler. */
  readonly url: string;
  readonly livemode: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const channel = 'psa_payments_live';

/** Clocks of two machines differ; what is told twice does no harm. In milliseconds. */
const margin = 60_000;

/**
 * The changes that PostgreSQL tells of, handed to who watches: one connection for the whole process, however many watch. What is told is which row of
 * which tenant changed, so nobody is ever told of another tenant's; what it says now is read under row-level security.
 */
export class LiveFeed {
  private readonly listener: Listener;
  private readonly watchers = new Map<string, Set<Watcher>>();
  private knownGood: Date;

  constructor(private readonly settings: LiveFeedSettings) {
    const { url, clock, logger } = settings;
    this.knownGood = clock.now();
    this.listener = new Listener(url, [channel], (name, payload) => this.heard(name, payload), logger);
  }

  start(): void {
    this.listener.start();
  }

  stop(): Promise<void> {
    return this.listener.stop();
  }

  /** @returns how to stop */
  watch(tenantId: Uuid, table: LiveTable, watcher: Watcher): () => void {
    const key = keyOf(table, tenantId);
    const watching = this.watchers.get(key) ?? new Set();
    this.watchers.set(key, watching.add(watcher));
    return () => {
      watching.delete(watcher);
      if (watching.size === 0 && this.watchers.get(key) === watching) this.watchers.delete(key);
    };
  }

  /** Without a channel: the connection was made, again perhaps. */
  private heard(name: string | null, payload = ''): void {
    const { clock, livemode } = this.settings;
    if (name === null) {
      const since = new Date(this.knownGood.getTime() - margin);
      this.knownGood = clock.now();
      for (const watching of this.watchers.values()) for (const watcher of watching) watcher.missed(since);
      return;
    }
    this.knownGood = clock.now();
    const [table = '', tenantId = '', id, mode] = payload.split(' ');
    if (!isUuid(id) || (mode === 'true') !== livemode) return;
    for (const watcher of this.watchers.get(keyOf(table, tenantId)) ?? []) watcher.changed(id);
  }
}

function keyOf(table: string, tenantId: string): string {
  return `${table} ${tenantId}`;
}
