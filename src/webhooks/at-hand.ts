import { type EventId, type StripeEvent, type ThinNotification } from '../stripe/types.js';

interface Kept {
  readonly event: StripeEvent | ThinNotification;
  readonly at: number;
}

/**
 * Events that this process has just taken in, for its own worker: what it claims of them need not be read back. Each is handed out once, so tries
 * after the first read what is stored. An event that is not here is merely read.
 */
export class AtHand {
  private readonly kept = new Map<EventId, Kept>();

  /**
   * @param capacity beyond it the oldest is forgotten
   * @param lifeMs milliseconds after which an event is forgotten. What another process works on, or was stored long before, nobody asks for here
   */
  constructor(
    private readonly capacity = 3_000,
    private readonly lifeMs = 60_000,
  ) {}

  /** Keeps an event, unless there is one of this id: what is stored is what came first. */
  keep(id: EventId, event: StripeEvent | ThinNotification): void {
    const at = performance.now();
    for (const [oldest, known] of this.kept) {
      if (this.kept.size < this.capacity && at - known.at < this.lifeMs) break;
      this.kept.delete(oldest);
    }
    if (!this.kept.has(id)) this.kept.set(id, { event, at });
  }

  take(id: EventId): StripeEvent | ThinNotification | undefined {
    const known = this.kept.get(id);
    this.kept.delete(id);
    return known && performance.now() - known.at < this.lifeMs ? known.event : undefined;
  }
}
