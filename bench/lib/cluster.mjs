import { createHash, randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import pg from 'pg';
import { benchDirectory, serverRoot } from './paths.mjs';

/** A module of the measured build: the databases are made by the same code that makes them in production. */
export const built = (path) => import(join(serverRoot, 'dist', path));

/** The PostgreSQL that comes with the project, as a user gets it: fsync on, default settings, on loopback. One server for everything measured. */
export class Cluster {
  static async open() {
    const { startPostgres } = await built('dev/postgres.js');
    const { prepareRoles } = await built('dev/database.js');
    await mkdir(benchDirectory, { recursive: true });
    // PostgreSQL's own user has to get through to its files.
    for (const path of [benchDirectory, dirname(benchDirectory)]) await chmod(path, 0o711).catch(() => undefined);
    const server = await startPostgres({
      dataDir: join(benchDirectory, 'postgres'),
      port: Number(process.env.BENCH_PORT ?? 5543),
    });
    if (server.adopted) throw new Error(`A PostgreSQL server runs in ${benchDirectory}: is another benchmark running?`);
    const passwords = await secretsIn(join(benchDirectory, 'secrets.json'));
    await prepareRoles(server.adminUrl, passwords);
    return new Cluster(server, passwords);
  }

  constructor(server, passwords) {
    this.server = server;
    this.passwords = passwords;
    this.adminUrl = server.adminUrl;
    this.pid = server.pid;
  }

  /** How the server logs in: a role that may do nothing by itself. */
  appUrl(database) {
    return this.#url(database, 'psa_app', this.passwords.app);
  }

  ownerUrl(database) {
    return this.#url(database, 'psa_migrator', this.passwords.migrator);
  }

  superuserUrl(database) {
    const url = new URL(this.adminUrl);
    url.pathname = `/${database}`;
    return url.href;
  }

  /** Runs statements as the superuser. @returns the result of the last one */
  async sql(database, text, values) {
    const client = new pg.Client({ connectionString: this.superuserUrl(database) });
    await client.connect();
    try {
      const result = await client.query(text, values);
      return Array.isArray(result) ? result.at(-1) : result;
    } finally {
      await client.end();
    }
  }

  /** An empty database that belongs to the migrating role; one of that name is thrown away. */
  async create(database, template = 'template1') {
    await this.sql('postgres', `drop database if exists ${database} with (force)`);
    await this.sql(
      'postgres',
      `create database ${database} owner psa_migrator template ${template} strategy file_copy`,
    );
    return database;
  }

  /**
   * A migrated database with rows in it, made once and kept until the migrations or the rows change.
   * @param seed statements, run by the superuser without triggers
   * @returns its name
   */
  async seeded(name, seed, say) {
    const version = createHash('sha256')
      .update(seed)
      .update(await migrations())
      .digest('hex')
      .slice(0, 10);
    const database = `${name}_${version}`;
    const { rows } = await this.sql('postgres', 'select datname from pg_database where datname ^@ $1', [`${name}_`]);
    if (rows.some(({ datname }) => datname === database)) return database;
    for (const { datname } of rows) await this.sql('postgres', `drop database ${datname} with (force)`);

    say(`Seeding ${database} (once) …`);
    const started = performance.now();
    const unfinished = await this.create(`unfinished_${name}`);
    const { migrateUp } = await built('src/db/migrator.js');
    const { grantRuntimeRoles } = await built('src/db/grants.js');
    await migrateUp({ ownerUrl: this.ownerUrl(unfinished) });
    await grantRuntimeRoles(this.ownerUrl(unfinished), this.appUrl(unfinished));
    await this.sql(unfinished, `set session_replication_role = replica;\n${seed}`);
    await this.sql(unfinished, 'vacuum (freeze, analyze)');
    await this.sql('postgres', 'checkpoint');
    await this.sql('postgres', `alter database ${unfinished} rename to ${database}`);
    say(`  seeded in ${((performance.now() - started) / 1000).toFixed(0)} s`);
    return database;
  }

  /** So that no measurement pays for what the one before has written. */
  async settle() {
    await this.sql('postgres', 'checkpoint');
  }

  async stop() {
    await this.server.stop();
  }

  #url(database, user, password) {
    const url = new URL(this.adminUrl);
    url.username = user;
    url.password = password;
    url.pathname = `/${database}`;
    return url.href;
  }
}

async function secretsIn(file) {
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8'));
  const secrets = { migrator: randomBytes(18).toString('hex'), app: randomBytes(18).toString('hex') };
  await writeFile(file, JSON.stringify(secrets), { mode: 0o600 });
  return secrets;
}

async function migrations() {
  const folder = join(serverRoot, 'dist/src/db/migrations');
  const files = (await readdir(folder)).filter((file) => file.endsWith('.up.sql')).sort();
  return Buffer.concat(await Promise.all(files.map((file) => readFile(join(folder, file)))));
}
