import { setImmediate as nextTurn } from 'node:timers/promises';

/** Lets everybody else have a turn of the event loop between pieces of work that all become ready at once. */
export class Breather {
  private last: Promise<void> = Promise.resolve();
  private until = 0;

  /** @param stretchMs how long, in milliseconds, work may go on before others have their turn */
  constructor(private readonly stretchMs: number) {}

  /** Resolves when the next piece may begin. Pieces begin in the order in which they asked. */
  turn(): Promise<void> {
    return (this.last = this.last.then(async () => {
      if (performance.now() < this.until) return;
      await nextTurn();
      this.until = performance.now() + this.stretchMs;
    }));
  }
}
