/**
 * Work that is done by the clock. It runs on worker processes, at most once at a time over all of them as far as they live, and once more after
 * the time is past at which nobody worked. Who was taken for dead may still be running, so `run` must be safe to run twice, and twice at once.
 */
export interface ScheduledJob {
  /** What `jobs` and the metrics call it: lower case and hyphens. It is kept in the database, so it does not change. */
  readonly name: string;
  /** One sentence for who looks after the platform. */
  readonly description: string;
  /** Five fields, UTC. */
  readonly cron: string;
  /**
   * Does all that is due. What it throws is recorded, and it is tried again soon.
   * @param context `signal` aborts when the process stops or the run was lost: return or throw soon after.
   */
  run(context: { readonly signal: AbortSignal }): Promise<void>;
}
