import { type EventHandler, type EventHandlers } from '../jobs/events.js';
import { isExpected } from './event-types.js';

/** A handler once its event is known to be of its type; which event that is the table's key has said. */
export type AnyHandler = EventHandler<unknown>;

/** What takes many events at once. */
export type ApplyMany = NonNullable<AnyHandler['applyMany']>;

/** All features' handlers by event type. */
export class HandlerIndex {
  private readonly byType = new Map<string, AnyHandler[]>();

  /** @param tables in the order in which handlers of one event are to run: what others build on comes first */
  constructor(...tables: EventHandlers[]) {
    for (const table of tables) {
      for (const [type, handler] of Object.entries(table)) {
        const handlers = this.byType.get(type) ?? [];
        handlers.push(handler as AnyHandler);
        this.byType.set(type, handlers);
      }
    }
  }

  has(type: string): boolean {
    return this.byType.has(type);
  }

  /** Whether events of this type are stored until a later version handles them. */
  awaits(type: string): boolean {
    return !this.has(type) && isExpected(type);
  }

  get types(): string[] {
    return [...this.byType.keys()];
  }

  /** Every handler of this type, in order. Two features may want one event; neither replaces the other. */
  of(type: string): readonly AnyHandler[] {
    return this.byType.get(type) ?? [];
  }

  /** What takes many events of this type at once; null when they have to be applied one by one. */
  manyOf(type: string): ApplyMany | null {
    const [handler, ...others] = this.of(type);
    return others.length === 0 && handler && !handler.exclusive ? (handler.applyMany ?? null) : null;
  }

  /** Whose order the event is kept in, when a handler says so. A payload that it cannot read is no reason not to store the event. */
  objectOf(type: string, event: unknown): string | null {
    for (const handler of this.of(type)) {
      try {
        const key = handler.object?.(event);
        if (key) return key;
      } catch {
        return null;
      }
    }
    return null;
  }
}
