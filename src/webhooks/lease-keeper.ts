import { type Logger } from '../shared/logger.js';
import { type Uuid } from '../shared/uuid.js';
import { type Queue } from './queue.js';

/** Renews what this process holds, until each event is settled. */
export class LeaseKeeper {
  private readonly held = new Map<Uuid, Set<Uuid>>();
  private timer: NodeJS.Timeout | null = null;
  private renewing: Promise<void> = Promise.resolve();

  constructor(
    private readonly queue: Queue,
    private readonly logger: Logger,
  ) {}

  start(leaseMs: number): void {
    // Two renewals may fail before a lease is lost.
    this.timer = setInterval(() => {
      this.renewing = this.renew();
    }, leaseMs / 3);
  }

  hold(token: Uuid, ids: readonly Uuid[]): void {
    if (ids.length > 0) this.held.set(token, new Set(ids));
  }

  /** The events are settled, or somebody else's. */
  forget(token: Uuid, ids: readonly Uuid[]): void {
    const held = this.held.get(token);
    for (const id of ids) held?.delete(id);
    if (held?.size === 0) this.held.delete(token);
  }

  async stop(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.renewing;
  }

  private async renew(): Promise<void> {
    for (const [token, held] of [...this.held]) {
      const ids = [...held];
      try {
        const kept = new Set(await this.queue.renew(token, ids));
        const gone = ids.filter((id) => !kept.has(id) && held.has(id));
        if (gone.length > 0) this.logger.debug({ events: gone.length }, 'Events are settled, or were taken over');
      } catch (error) {
        this.logger.warn({ err: error }, 'A lease could not be renewed');
      }
    }
  }
}
