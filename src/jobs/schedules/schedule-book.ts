import { type Database } from '../../db/database.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { type ScheduledJob } from './scheduled-job.js';

/** How a run ended. `INTERRUPTED`: the process was stopped; the run is made again elsewhere. */
export type Outcome = 'SUCCEEDED' | 'FAILED' | 'INTERRUPTED';

/** A job, and when it is due the next time. */
type Entry = Pick<ScheduledJob, 'name' | 'description' | 'cron'> & { readonly next: Date };

/** How a job is doing, for the metrics. */
interface Standing {
  readonly name: string;
  /** Seconds since it last succeeded, or since it is known at all. */
  readonly age: number;
  /** Failures since then. */
  readonly failures: number;
  /** Seconds it should have begun before now; 0 while it runs or is not due. */
  readonly late: number;
}

/** What is written down about each job's runs, where people can read it. pg-boss forgets its jobs after a while and keeps only their last try. */
export class ScheduleBook {
  constructor(private readonly database: Database) {}

  /** Enters the jobs of this version. What no process has had for a week is struck out. @returns the names of those */
  async register(entries: readonly Entry[]): Promise<string[]> {
    const gone = await this.database.worker(async (em) => {
      await em.execute(
        `insert into scheduled_jobs as known (livemode, name, description, cron, next_run_at)
         select ?, name, description, cron, next from jsonb_to_recordset(?::jsonb) as job (name text, description text, cron text, next timestamptz)
         order by name
         on conflict (livemode, name) do update set description = excluded.description, cron = excluded.cron, seen_at = now(),
           -- What came due while nobody worked stays due.
           next_run_at = case when known.cron = excluded.cron then known.next_run_at else excluded.next_run_at end`,
        [this.livemode, JSON.stringify(entries)],
      );
      return em.execute<{ name: string }[]>(
        `delete from scheduled_jobs where livemode = ? and seen_at < now() - interval '7 days' returning name`,
        [this.livemode],
      );
    });
    return gone.map(({ name }) => name);
  }

  /** Writes down that a run begins. A run that never ended was lost with its process, and counts as failed. @returns what {@link end} wants */
  async begin(name: string): Promise<Uuid> {
    const token = newUuid();
    await this.database.worker((em) =>
      em.execute(
        `update scheduled_jobs set started_at = now(), ended_at = null, outcome = null, run_token = ?, seen_at = now(),
           failures = failures + case when run_token is null then 0 else 1 end,
           error = case when run_token is null then error else 'The process that ran it died.' end
         where livemode = ? and name = ?`,
        [token, this.livemode, name],
      ),
    );
    return token;
  }

  /** Writes down how a run ended, unless somebody took it over. @param next when the job is due the next time */
  async end(token: Uuid, outcome: Outcome, error: string | null, next: Date): Promise<void> {
    await this.database.worker((em) =>
      em.execute(
        `update scheduled_jobs set run_token = null, ended_at = now(), outcome = ?, next_run_at = ?,
           succeeded_at = case ? when 'SUCCEEDED' then now() else succeeded_at end,
           failures = case ? when 'SUCCEEDED' then 0 when 'FAILED' then failures + 1 else failures end,
           error = case ? when 'INTERRUPTED' then error else ? end
         where livemode = ? and run_token = ?`,
        [outcome, next, outcome, outcome, outcome, error?.slice(0, 1_000) ?? null, this.livemode, token],
      ),
    );
  }

  /** What people asked for to run out of turn, as far as it is one of these jobs. */
  requests(names: readonly string[]): Promise<{ id: Uuid; name: string }[]> {
    return this.database.worker((em) =>
      em.execute<{ id: Uuid; name: string }[]>(
        'select id, name from scheduled_job_requests where livemode = ? and queued_at is null and name in (?) order by id',
        [this.livemode, names],
      ),
    );
  }

  /** Marks a request as passed on. Whoever dies before that has it passed on twice, which makes one run. */
  async queued(id: Uuid): Promise<void> {
    await this.database.worker((em) =>
      em.execute('update scheduled_job_requests set queued_at = now() where id = ?', [id]),
    );
  }

  /**
   * How the jobs are doing that any process has; what only a former version had is late for ever, and nobody's concern.
   * @param names what this process has
   */
  async standings(names: readonly string[]): Promise<Standing[]> {
    const rows = await this.database.worker((em) =>
      em.execute<Record<keyof Standing, string>[]>(
        `with had as (
           update scheduled_jobs set seen_at = now() where livemode = ? and name in (?) and seen_at < now() - interval '1 hour'
         )
         select name, failures, extract(epoch from now() - coalesce(succeeded_at, created_at)) as age,
           case when run_token is null then greatest(0, extract(epoch from now() - next_run_at)) else 0 end as late
         from scheduled_jobs where livemode = ? and (seen_at > now() - interval '1 day' or name in (?))`,
        [this.livemode, names, this.livemode, names],
      ),
    );
    return rows.map(({ name, age, failures, late }) => ({
      ...{ name, age: Number(age), failures: Number(failures), late: Number(late) },
    }));
  }

  private get livemode(): boolean {
    return this.database.livemode;
  }
}
