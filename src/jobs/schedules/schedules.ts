import { type PgBoss } from 'pg-boss';
import { Gauge } from 'prom-client';
import { type Database } from '../../db/database.js';
import { type Logger } from '../../shared/logger.js';
import { metrics } from '../../shared/metrics.js';
import { type Outcome, ScheduleBook } from './schedule-book.js';
import { type ScheduledJob } from './scheduled-job.js';

const gauge = (name: string, help: string) => new Gauge({ name, help, labelNames: ['job'], registers: [metrics] });
const successAge = gauge('scheduled_job_last_success_seconds', 'For how long a job has not succeeded.');
const failures = gauge('scheduled_job_failures', 'How often a job failed since it last succeeded.');
const late = gauge('scheduled_job_late_seconds', 'For how long a job is due and does not run; 0 when all is well.');

export interface SchedulesSettings {
  readonly database: Database;
  readonly jobs: readonly ScheduledJob[];
  readonly logger: Logger;
  /** How long a run may take to come to its end when the process stops, in milliseconds. */
  readonly shutdownTimeoutMs: number;
  /** Milliseconds from the start of the process until it looks at schedules: 3,000. What just started has more urgent things to do. */
  readonly delayMs?: number;
  /** Seconds between two looks at what is due: 5. */
  readonly pollSeconds?: number;
}

/** What every job's queue is like. Its policy is what makes it run at most once at a time: PostgreSQL keeps a second one out. */
const queueOptions = {
  policy: 'exclusive',
  // A process that died misses its heartbeats; after half a minute another takes over.
  heartbeatSeconds: 30,
  expireInSeconds: 6 * 3_600,
  retryLimit: 30,
  retryDelay: 10,
  retryBackoff: true,
  retryDelayMax: 1_800,
  deleteAfterSeconds: 86_400,
} as const;

class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/**
 * Runs jobs by the clock, with pg-boss: at most one run of a job at a time over all processes, caught up once after downtime, taken over when its
 * process dies, and tried again, later each time, when it fails. pg-boss is loaded when it starts: a process that does not work never pays for it.
 */
export class Schedules {
  private readonly book: ScheduleBook;
  private readonly stopping = new AbortController();
  private boss: PgBoss | null = null;
  private timer: NodeJS.Timeout | null = null;
  private busy: Promise<void> = Promise.resolve();

  constructor(private readonly settings: SchedulesSettings) {
    const { jobs, database } = settings;
    if (new Set(jobs.map(({ name }) => name)).size !== jobs.length) throw new Error('Two jobs have one name.');
    this.book = new ScheduleBook(database);
  }

  /** Returns at once. */
  start(): void {
    if (this.settings.jobs.length) this.after(this.settings.delayMs ?? 3_000, () => this.open());
  }

  /** Takes nothing new, tells what runs to come to an end, and waits for it. What does not end in time is left to another process. */
  async stop(): Promise<void> {
    this.stopping.abort();
    if (this.timer) clearTimeout(this.timer);
    await this.busy;
    await this.boss?.stop({ timeout: this.settings.shutdownTimeoutMs, close: false });
    this.boss = null;
  }

  /** Looks for processes that died, now instead of in a few seconds. */
  async takeOver(): Promise<void> {
    await this.boss?.supervise();
  }

  private async open(): Promise<void> {
    const { logger, jobs, pollSeconds = 5 } = this.settings;
    const boss = await this.makeBoss();
    this.boss = boss;
    try {
      await boss.start();
      await this.arrange(boss);
      if (this.stopping.signal.aborted) return;
      for (const job of jobs) {
        await boss.work(this.queueOf(job), { pollingIntervalSeconds: pollSeconds }, async ([claimed]) => {
          await this.run(boss, job, claimed!.signal);
        });
      }
      this.after(0, () => this.look());
    } catch (error) {
      // Perhaps the migrations are still to come.
      logger.error({ err: error }, 'The schedules could not be started; it is tried again');
      await boss.stop({ graceful: false, close: false }).catch(() => undefined);
      this.boss = null;
      this.after(30_000, () => this.open());
    }
  }

  private async makeBoss(): Promise<PgBoss> {
    const { database, logger, pollSeconds = 5 } = this.settings;
    const [{ PgBoss }, { bossDatabase, bossSchema }] = await Promise.all([
      import('pg-boss'),
      import('./boss-database.js'),
    ]);
    const boss = new PgBoss({
      db: bossDatabase(database),
      schema: bossSchema,
      // The migrations make it, and own it.
      ...{ migrate: false, createSchema: false, reindex: false, monitorVacuum: false },
      ...{ registerInstance: false, openTelemetry: { enabled: false } },
      ...{ superviseIntervalSeconds: 15, monitorIntervalSeconds: 15 },
      ...{
        cronMonitorIntervalSeconds: Math.max(1, 3 * pollSeconds),
        cronWorkerIntervalSeconds: Math.max(1, pollSeconds),
      },
    });
    boss.on('error', (error) => logger.warn({ err: error }, 'The schedules met an error'));
    boss.on('warning', (warning) => logger.warn({ warning }, 'The schedules have a warning'));
    return boss;
  }

  /** Sees to it that there is a queue and a schedule for each job. What is right already is left alone: every process passes here. */
  private async arrange(boss: PgBoss): Promise<void> {
    const { jobs } = this.settings;
    const names = jobs.map((job) => this.queueOf(job));
    const queues = new Set((await boss.getQueues(names)).map(({ name }) => name));
    const crons = new Map((await boss.getSchedules()).map(({ name, cron }) => [name, cron]));
    for (const job of jobs) {
      const queue = this.queueOf(job);
      if (!queues.has(queue)) await boss.createQueue(queue, queueOptions);
      if (crons.get(queue) !== job.cron) await boss.schedule(queue, job.cron, null, { missed: 'once' });
    }
    const entries = jobs.map((job) => ({ ...textOf(job), next: nextOf(boss, job) }));
    const gone = await this.book.register(entries);
    for (const name of gone) await boss.unschedule(this.queueOf({ name }));
  }

  private async run(boss: PgBoss, job: ScheduledJob, lost: AbortSignal): Promise<void> {
    const { logger } = this.settings;
    const { name } = job;
    const token = await this.book.begin(name);
    let outcome: Outcome = 'SUCCEEDED';
    let failure: Error | null = null;
    try {
      await job.run({ signal: AbortSignal.any([lost, this.stopping.signal]) });
      // It may have left something undone.
      if (this.stopping.signal.aborted) failure = new Interrupted('The process was stopped.');
    } catch (error) {
      failure = error instanceof Error ? error : new Error(String(error));
    }
    if (failure) {
      outcome = this.stopping.signal.aborted ? 'INTERRUPTED' : 'FAILED';
      if (outcome === 'FAILED') logger.error({ err: failure, job: name }, 'A scheduled job failed; it is tried again');
      else logger.info({ job: name }, 'A scheduled job was interrupted; it is run again');
    }
    await this.book.end(token, outcome, failure?.message ?? null, nextOf(boss, job));
    // Only what went wrong, and no stack: pg-boss keeps it.
    if (failure) throw new Error(failure.message);
  }

  /** Queues what people asked for, and measures. */
  private async look(): Promise<void> {
    const { logger, jobs, pollSeconds = 5 } = this.settings;
    try {
      const names = jobs.map(({ name }) => name);
      for (const { id, name } of await this.book.requests(names)) {
        // One that waits or runs already is enough: then nothing is sent.
        await this.boss?.send(this.queueOf({ name }), null);
        await this.book.queued(id);
      }
      const standings = await this.book.standings(names);
      for (const gauge of [successAge, failures, late]) gauge.reset();
      for (const standing of standings) {
        successAge.set({ job: standing.name }, standing.age);
        failures.set({ job: standing.name }, standing.failures);
        late.set({ job: standing.name }, standing.late);
      }
    } catch (error) {
      logger.warn({ err: error }, 'The schedules cannot be looked at');
    }
    this.after(pollSeconds * 1_000, () => this.look());
  }

  private after(ms: number, work: () => Promise<void>): void {
    if (this.stopping.signal.aborted) return;
    this.timer = setTimeout(() => {
      this.busy = work().catch((error: unknown) => this.settings.logger.error({ err: error }, 'The schedules failed'));
    }, ms);
    this.timer.unref();
  }

  /** One database may serve both modes. */
  private queueOf({ name }: Pick<ScheduledJob, 'name'>): string {
    return `${this.settings.database.livemode ? 'live' : 'test'}.${name}`;
  }
}

function textOf({ name, description, cron }: ScheduledJob) {
  return { name, description, cron };
}

function nextOf(boss: PgBoss, { cron }: ScheduledJob): Date {
  return boss.previewSchedule(cron, { count: 1 })[0]!;
}
