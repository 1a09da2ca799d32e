import { type Database } from './database.js';
import { migrationTables, readMigrations } from './migrator.js';

/** For how long an answer holds, in milliseconds: whoever asks often does not ask PostgreSQL. */
const rememberedMs = 1_000;

/** Whether this process can work: PostgreSQL answers, and its tables are those this version was written for. */
export class Readiness {
  private known: { readonly at: number; readonly problem: Promise<string | null> } | null = null;

  constructor(private readonly database: Database) {}

  /** @returns what stands in the way, in few words; null when nothing does */
  problem(): Promise<string | null> {
    const at = performance.now();
    if (!this.known || at - this.known.at > rememberedMs) this.known = { at, problem: this.look() };
    return this.known.problem;
  }

  private async look(): Promise<string | null> {
    try {
      const wanted = await readMigrations();
      const rows = await this.database.worker((em) =>
        em.execute<{ name: string }[]>(`select name from ${migrationTables.executed}`),
      );
      const executed = new Set(rows.map(({ name }) => name));
      const pending = wanted.filter(({ name }) => !executed.has(name));
      return pending.length ? 'migrations are pending' : null;
    } catch {
      return 'the database does not answer';
    }
  }
}
