import { type Database } from '../../db/database.js';
import { notFound } from '../../shared/errors.js';
import { type Job, type JobOutcome } from './schedule.types.js';

type Row = Omit<Job, 'lastRun'> & { startedAt: Date | null; endedAt: Date | null; outcome: JobOutcome | null };

/** What is done by the clock, as the platform's own people see it. */
export class ScheduleService {
  /** @param actor the subject of the verified token */
  constructor(
    private readonly database: Database,
    private readonly actor: string,
  ) {}

  /** All jobs of this mode, by name. */
  async jobs(name: string | null = null): Promise<Job[]> {
    const rows = await this.database.platform((em) =>
      em.execute<Row[]>(
        `select name, description, cron, next_run_at as "nextRunAt", run_token is not null as "isRunning", started_at as "startedAt",
           ended_at as "endedAt", outcome, succeeded_at as "lastSucceededAt", failures, error, actor as "requestedBy", requested_at as "requestedAt"
         from scheduled_jobs j left join lateral (select actor, requested_at from scheduled_job_requests r
           where r.livemode = j.livemode and r.name = j.name order by requested_at desc limit 1) request on true
         where livemode = ? and (?::text is null or name = ?) order by name`,
        [this.database.livemode, name, name],
      ),
    );
    return rows.map(({ startedAt, endedAt, outcome, nextRunAt, lastSucceededAt, requestedAt, ...job }) => ({
      ...job,
      nextRunAt: new Date(nextRunAt),
      lastSucceededAt: timeOf(lastSucceededAt),
      requestedAt: timeOf(requestedAt),
      lastRun: startedAt && { startedAt: new Date(startedAt), endedAt: timeOf(endedAt), outcome },
    }));
  }

  /**
   * Has a job run as soon as a worker looks, unless it runs already. Who asked stays written down.
   * @throws AppError NOT_FOUND
   */
  async run(name: string): Promise<Job> {
    const [known] = await this.jobs(name);
    if (!known) throw notFound('job', 'name');
    await this.database.platform((em) =>
      em.execute('insert into scheduled_job_requests (livemode, name, actor) values (?, ?, ?)', [
        this.database.livemode,
        name,
        this.actor,
      ]),
    );
    const [asked] = await this.jobs(name);
    return asked!;
  }
}

/** PostgreSQL's driver gives text for times. */
function timeOf(value: Date | string | null): Date | null {
  return value === null ? null : new Date(value);
}
