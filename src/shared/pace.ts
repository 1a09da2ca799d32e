import { setTimeout as sleep } from 'node:timers/promises';

/** Spreads calls over time: so many a second, evenly, whoever asks. What is not used is not saved up. */
export class Pace {
  private next = 0;
  private readonly everyMs: number;

  /** @param perSecond calls a second; Stripe's own limits are 25 for test keys and 100 for live ones, for everything together */
  constructor(perSecond: number) {
    this.everyMs = 1_000 / perSecond;
  }

  /** Resolves when it is the caller's turn. */
  async take(): Promise<void> {
    const now = performance.now();
    const turn = Math.max(now, this.next);
    this.next = turn + this.everyMs;
    if (turn > now) await sleep(turn - now);
  }
}
