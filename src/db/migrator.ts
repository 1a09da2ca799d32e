import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { type MigrationObject } from '@mikro-orm/core';
import { Migration, Migrator } from '@mikro-orm/migrations';
import { defineConfig, MikroORM } from '@mikro-orm/postgresql';
import pg from 'pg';
import { ormOptions } from './orm.js';

/** Where the migrations and their checksums are remembered. Not MikroORM's usual name: a host application may be using that. */
export const migrationTables = { executed: 'payments_migrations', checksums: 'payments_migration_checksums' } as const;

/** Something the operator has to put right; the message says what. */
export class MigrationError extends Error {
  override readonly name = 'MigrationError';
}

/** A pair of files, `<name>.up.sql` and `<name>.down.sql`. Released files never change. */
export interface MigrationFile {
  readonly name: string;
  readonly up: string;
  readonly down: string;
  /** SHA-256 of the way up, hexadecimal; line endings do not count. */
  readonly checksum: string;
}

export interface MigrationStatus {
  readonly name: string;
  /** `unknown`: the database ran a migration that this version does not have. */
  readonly state: 'applied' | 'pending' | 'changed' | 'unknown';
  readonly executedAt: Date | null;
}

export interface MigratorSettings {
  /** Connection string of the role that owns the tables. It needs a session of its own: not PgBouncer in transaction mode. */
  readonly ownerUrl: string;
  readonly log?: (line: string) => void;
  readonly files?: readonly MigrationFile[];
  /** How long to wait for another migration of the same database, in milliseconds. */
  readonly patience?: number;
}

/** @throws MigrationError when a file has no counterpart or a name does not fit */
export async function readMigrations(directory = new URL('./migrations/', import.meta.url)): Promise<MigrationFile[]> {
  const names = (await readdir(directory)).filter((file) => file.endsWith('.sql'));
  const stray = names.filter((file) => !/^\d{4}_[a-z0-9_]+\.(up|down)\.sql$/.test(file));
  if (stray.length) throw new MigrationError(`Not named like 0001_what.up.sql: ${stray.join(', ')}.`);
  const bases = [...new Set(names.map((file) => file.replace(/\.(up|down)\.sql$/, '')))].sort();
  return Promise.all(
    bases.map(async (name) => {
      const [up, down] = await Promise.all(
        ['up', 'down'].map(async (way) => {
          const file = `${name}.${way}.sql`;
          if (!names.includes(file)) throw new MigrationError(`The migration ${name} has no ${file}.`);
          return readFile(new URL(file, directory), 'utf8');
        }),
      );
      const checksum = createHash('sha256').update(up!.replaceAll('\r\n', '\n')).digest('hex');
      return { name, up: up!, down: down!, checksum };
    }),
  );
}

/**
 * Applies what is pending, each migration in a transaction of its own. Of several processes that try at once, one migrates and
 * the others wait and find nothing to do.
 * @returns the names of what was applied
 * @throws MigrationError
 */
export function migrateUp(settings: MigratorSettings): Promise<string[]> {
  return withMigrator(settings, async (migrator, files, client) => {
    for (const { name, state } of await statusOf(migrator, files, client)) {
      if (state === 'changed') {
        throw new MigrationError(
          `${name}.up.sql is no longer what this database was migrated with. Released migrations never change: ` +
            'restore the file and put the change into a new one.',
        );
      }
      if (state === 'unknown') settings.log?.(`The database has ${name}, which this version does not know.`);
    }
    return (await migrator.up()).map(({ name }) => name);
  });
}

/**
 * Reverts migrations, newest first.
 * @param to the migration to stop at, which itself stays; `0` reverts all; without it, only the newest is reverted
 * @returns the names of what was reverted
 * @throws MigrationError
 */
export function migrateDown(settings: MigratorSettings, to?: string): Promise<string[]> {
  return withMigrator(settings, async (migrator, files, client) => {
    const status = await statusOf(migrator, files, client);
    if (to !== undefined && to !== '0' && !status.some(({ name, state }) => name === to && state !== 'pending')) {
      throw new MigrationError(`There is no applied migration called ${to}. See \`npm run migrate -- status\`.`);
    }
    const unknown = status.filter(({ state }) => state === 'unknown');
    if (unknown.length) {
      const names = unknown.map(({ name }) => name).join(', ');
      throw new MigrationError(`This version cannot revert ${names}: use the version that applied it.`);
    }
    const reverted = await migrator.down(to === undefined ? undefined : { to: to === '0' ? 0 : to });
    return reverted.map(({ name }) => name);
  });
}

/** What is applied, what is pending, and what does not fit. */
export function migrationStatus(settings: MigratorSettings): Promise<MigrationStatus[]> {
  return withMigrator(settings, statusOf);
}

async function statusOf(
  migrator: Migrator,
  files: readonly MigrationFile[],
  client: pg.Client,
): Promise<MigrationStatus[]> {
  const executed = new Map((await migrator.getExecuted()).map((row) => [row.name, row.executed_at]));
  const { rows } = await client.query<{ name: string; checksum: string }>(
    `select name, checksum from ${migrationTables.checksums}`,
  );
  const checksums = new Map(rows.map(({ name, checksum }) => [name, checksum]));
  const known = files.map(({ name, checksum }): MigrationStatus => {
    if (!executed.has(name)) return { name, state: 'pending', executedAt: null };
    const state = checksums.get(name) === checksum ? 'applied' : 'changed';
    return { name, state, executedAt: executed.get(name) ?? null };
  });
  const unknown = [...executed].filter(([name]) => !files.some((file) => file.name === name));
  return [...known, ...unknown.map(([name, executedAt]) => ({ name, state: 'unknown' as const, executedAt }))];
}

type Work<T> = (migrator: Migrator, files: readonly MigrationFile[], client: pg.Client) => Promise<T>;

async function withMigrator<T>(settings: MigratorSettings, work: Work<T>): Promise<T> {
  const files = settings.files ?? (await readMigrations());
  const client = await connect(settings.ownerUrl);
  const orm = new MikroORM(
    defineConfig({
      ...ormOptions({ url: settings.ownerUrl, entities: [] }),
      // The server's time limits are for requests; building an index may take as long as it takes.
      driverOptions: {},
      pool: { min: 0, max: 1 },
      extensions: [Migrator],
      migrations: {
        tableName: migrationTables.executed,
        migrationsList: files.map(asMigration),
        allOrNothing: false,
        transactional: true,
        snapshot: false,
        silent: true,
      },
    }),
  );
  try {
    await lock(client, settings);
    await client.query(
      `create table if not exists ${migrationTables.checksums} (name text primary key, checksum text not null)`,
    );
    const migrator = orm.config.getExtension<Migrator>('@mikro-orm/migrator')!;
    let current = '';
    migrator.on('migrating', ({ name }) => void (current = `${name}.up.sql`));
    migrator.on('reverting', ({ name }) => void (current = `${name}.down.sql`));
    migrator.on('migrated', ({ name }) => settings.log?.(`applied  ${name}`));
    migrator.on('reverted', ({ name }) => settings.log?.(`reverted ${name}`));
    try {
      return await work(migrator, files, client);
    } catch (error) {
      throw explain(error, current, files);
    }
  } finally {
    await orm.close(true);
    await client.end(); // and with the session its lock
  }
}

/** Checksum and effect are written by one transaction: neither can be there without the other. */
function asMigration({ name, up, down, checksum }: MigrationFile): MigrationObject {
  return {
    name,
    class: class extends Migration {
      override up(): void {
        this.addSql(up);
        this.addSql(`insert into ${migrationTables.checksums} (name, checksum) values ('${name}', '${checksum}')`);
      }

      override down(): void {
        this.addSql(down);
        this.addSql(`delete from ${migrationTables.checksums} where name = '${name}'`);
      }
    },
  };
}

/** Two arbitrary numbers, the same in every process: "psap", "migr". */
const advisoryLock = [0x70736170, 0x6d696772];

async function lock(client: pg.Client, settings: MigratorSettings): Promise<void> {
  const deadline = performance.now() + (settings.patience ?? 60_000);
  for (let told = false; ; told = true) {
    const { rows } = await client.query<{ mine: boolean }>('select pg_try_advisory_lock($1, $2) as mine', advisoryLock);
    if (rows[0]!.mine) return;
    if (performance.now() > deadline)
      throw new MigrationError('Another migration of this database does not come to an end.');
    if (!told) settings.log?.('Another migration of this database is running; waiting for it.');
    await sleep(100);
  }
}

/** @throws MigrationError that says where it tried, without the password */
export async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    application_name: 'psa-payments migrate',
  });
  client.on('error', () => undefined); // a lost connection fails the next query, with a stack that says which
  try {
    await client.connect();
    return client;
  } catch (error) {
    const { username, host, pathname } = new URL(url);
    throw new MigrationError(`Cannot connect to ${host}${pathname} as ${username}: ${(error as Error).message}`, {
      cause: error,
    });
  }
}

/** Turns PostgreSQL's report into file, line, reason and what to do. */
function explain(error: unknown, current: string, files: readonly MigrationFile[]): unknown {
  const report = reportOf(error);
  if (!report) return error;
  const file = files.find(({ name }) => current.startsWith(`${name}.`));
  const sql = current.endsWith('.down.sql') ? file?.down : file?.up;
  const line = sql && report.position ? `, line ${sql.slice(0, Number(report.position)).split('\n').length}` : '';
  const hints: Record<string, string> = {
    '55P03':
      'Another session holds a lock on a table that has to change. Nothing was changed; try again when it is done.',
    '42501':
      'The role of MIGRATION_DATABASE_URL must own the tables and the schema, and have CREATEROLE unless the roles app_tenant, app_worker, app_platform and app_readonly exist already.',
  };
  const parts = [
    // MikroORM appends what follows on lines of its own.
    `${current || 'migration'}${line}: ${report.message.split(/\n - (?:detail|hint):/)[0]}`,
    report.detail,
    report.hint,
    hints[report.code ?? ''],
  ];
  return new MigrationError(parts.filter(Boolean).join('\n  '), { cause: error });
}

type Report = Pick<pg.DatabaseError, 'message' | 'code' | 'detail' | 'hint' | 'position'>;

/** MikroORM throws errors of its own classes, onto which it copies what PostgreSQL reported. */
function reportOf(error: unknown): Report | null {
  return error instanceof Error && 'severity' in error ? (error as unknown as Report) : null;
}
