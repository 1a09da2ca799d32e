import { setTimeout as sleep } from 'node:timers/promises';
import { type Logger } from './logger.js';

// What a process does again and again beside its requests: looking for work in a loop, or at fixed intervals.

export interface PollingSettings {
  /** Takes up to one batch of work and does it. @returns how much there was; after none there is a pause */
  readonly work: () => Promise<number>;
  /** Milliseconds of a pause. */
  readonly idleMs: number;
  /** What ends a pause early: promises of work under way, which must not be rejected. */
  readonly sooner?: () => Iterable<Promise<unknown>>;
  /** What the log says of a failure: `Cannot look for mails`. Another try follows after a pause. */
  readonly failure: string;
  readonly logger?: Pick<Logger, 'error'> | undefined;
}

/** Looks for work, at once where there was some and after a pause where there was none. Safe to start twice, and again after a stop. */
export class Polling {
  private stopping: AbortController | null = null;
  private loop: Promise<void> = Promise.resolve();

  constructor(private readonly settings: PollingSettings) {}

  start(): void {
    if (this.stopping) return;
    this.stopping = new AbortController();
    this.loop = this.keepLooking(this.stopping.signal);
  }

  /** Takes nothing new, and waits for what is under way. */
  async stop(): Promise<void> {
    this.stopping?.abort();
    await this.loop;
    this.stopping = null;
  }

  private async keepLooking(signal: AbortSignal): Promise<void> {
    const { work, idleMs, sooner, failure, logger } = this.settings;
    while (!signal.aborted) {
      const taken = await work().catch((error: unknown) => {
        logger?.error({ err: error }, failure);
        return 0;
      });
      if (taken > 0) continue;
      // A pause of uneven length: many processes should not ask in step.
      const pause = sleep(idleMs * (0.75 + Math.random() / 2), null, { signal }).catch(() => undefined);
      await Promise.race([pause, ...(sooner?.() ?? [])]);
    }
  }
}

export interface TickingSettings {
  /** Not begun again while it runs. */
  readonly work: () => Promise<unknown>;
  /** Milliseconds from one beginning to the next; the first comes after as many. */
  readonly everyMs: number;
  /** What the log says of a failure. */
  readonly failure: string;
  readonly logger: Pick<Logger, 'error'>;
}

/** Does something at fixed intervals. Keeps no process alive. */
export class Ticking {
  private timer: NodeJS.Timeout | null = null;
  private running: Promise<unknown> | null = null;

  constructor(private readonly settings: TickingSettings) {}

  start(): void {
    const { work, everyMs, failure, logger } = this.settings;
    const tick = () => {
      this.running ??= work()
        .catch((error: unknown) => logger.error({ err: error }, failure))
        .finally(() => (this.running = null));
    };
    this.timer = setInterval(tick, everyMs);
    this.timer.unref();
  }

  /** Waits for what is under way. */
  async stop(): Promise<void> {
    if (this.timer) clearInterval(this.timer);
    await this.running;
  }
}
