import { type Logger } from '../shared/logger.js';
import { eventsRecent, eventsWaiting, failureRate, oldestWaiting, sweepAge } from '../shared/metrics.js';
import { type EventHealth } from './event-health.js';
import { type Queue } from './queue.js';

export interface UpkeepSettings {
  readonly queue: Queue;
  readonly health: EventHealth;
  readonly logger: Logger;
}

const seconds = 1_000;
const minutes = 60 * seconds;

/** What has to be done about the event tables from time to time. Harmless to run in several processes. */
export class Upkeep {
  private timers: NodeJS.Timeout[] = [];
  private running = new Set<Promise<void>>();

  constructor(private readonly settings: UpkeepSettings) {}

  start(): void {
    const { queue } = this.settings;
    this.every(10 * seconds, 'measure the backlog', () => this.measure());
    // The account's own announcement can be missed: by an insert of an event that is under way at the same moment.
    this.every(10 * seconds, 'release parked events', () => queue.releaseParked(true));
    this.every(15 * minutes, 'release all parked events', () => queue.releaseParked(false));
  }

  async stop(): Promise<void> {
    for (const timer of this.timers) clearInterval(timer);
    this.timers = [];
    await Promise.all(this.running);
  }

  private async measure(): Promise<void> {
    const report = await this.settings.health.report();
    for (const state of ['READY', 'PARKED', 'DEAD']) eventsWaiting.set({ state }, report.waiting[state] ?? 0);
    for (const status of ['RECEIVED', 'PROCESSED', 'FAILED', 'IGNORED', 'PARKED', 'DEAD'])
      eventsRecent.set({ status }, report.recent[status] ?? 0);
    oldestWaiting.set(report.oldestSeconds);
    failureRate.set(report.failureRate ?? 0);
    sweepAge.set(report.sweepAgeSeconds ?? 0);
  }

  private every(ms: number, what: string, work: () => Promise<unknown>): void {
    const run = () => {
      const task: Promise<void> = work()
        .then(() => undefined)
        .catch((error: unknown) => this.settings.logger.error({ err: error }, `Could not ${what}`))
        .finally(() => this.running.delete(task));
      this.running.add(task);
    };
    run();
    this.timers.push(setInterval(run, ms));
  }
}
