import { type EventId, type StripeEvent, type ThinNotification } from '../stripe/types.js';

/**
 * Events that this process has just taken in, for its own worker: what it claims of them need not be read back. Each is handed out once, so tries
 * after the first read what is stored. An event that is not here is merely read.
 */
export class AtHand {
  private readonly events = new Map<EventId, StripeEvent | ThinNotification>();

  /** @param capacity beyond it the oldest is forgotten */
  constructor(private readonly capacity = 3_000) {}

  keep(id: EventId, event: StripeEvent | ThinNotification): void {
    if (this.events.size >= this.capacity)
      for (const oldest of this.events.keys()) if (this.events.delete(oldest)) break;
    this.events.set(id, event);
  }

  take(id: EventId): StripeEvent | ThinNotification | undefined {
    const event = this.events.get(id);
    this.events.delete(id);
    return event;
  }
}
