import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkRuntimeRole, grantRuntimeRoles } from '../../src/db/grants.js';
import {
  MigrationError,
  migrateDown,
  migrateUp,
  migrationStatus,
  readMigrations,
  type MigrationFile,
} from '../../src/db/migrator.js';
import { clusterUrl, connectTo, createEmptyDatabase, type TestDatabase } from '../support/database.js';

let db: TestDatabase;
let files: MigrationFile[];

beforeAll(async () => {
  files = await readMigrations(new URL('../../src/db/migrations/', import.meta.url));
});
beforeEach(async () => {
  db = await createEmptyDatabase();
});
afterEach(() => db.drop());

const settings = (more: MigrationFile[] = []) => ({ ownerUrl: db.ownerUrl, files: [...files, ...more] });
const file = (name: string, up: string, down = 'select 1', checksum = name): MigrationFile => ({
  name,
  up,
  down,
  checksum,
});
const statesOf = async (all = settings()) => (await migrationStatus(all)).map(({ state }) => state);

/** Everything in the schema but the migrator's own two tables. */
async function remains(): Promise<string[]> {
  const rows = await db.query<{ name: string }>(`
    select 'relation ' || relname as name from pg_class where relnamespace = 'public'::regnamespace
      and relname !~ '^payments_migration'
    union all select 'function ' || proname from pg_proc where pronamespace = 'public'::regnamespace
    union all select 'type ' || typname from pg_type where typnamespace = 'public'::regnamespace
      and typname !~ '^_?payments_migration'
    union all select 'grant ' || acl.grantee::regrole from pg_namespace, aclexplode(nspacl) acl
      where nspname = 'public' and acl.grantee::regrole::text like 'app\\_%'`);
  return rows.map(({ name }) => name);
}

test('all migrations go up, down without leaving anything, and up again', async () => {
  expect(await statesOf()).toEqual(files.map(() => 'pending'));
  expect(await migrateUp(settings())).toEqual(files.map(({ name }) => name));
  expect(await statesOf()).toEqual(files.map(() => 'applied'));

  expect(await migrateDown(settings(), '0')).toEqual(files.map(({ name }) => name).reverse());
  expect(await remains()).toEqual([]);

  await migrateUp(settings());
  expect(await statesOf()).toEqual(files.map(() => 'applied'));
  expect(await migrateUp(settings())).toEqual([]);
});

test('the way back from policies that ask by a subquery leaves them as they were', async () => {
  const policies = () =>
    db.query<{ qual: string }>('select tablename, policyname, qual, with_check from pg_policies order by 1, 2');
  const until = files.findIndex(({ name }) => name.startsWith('0091'));
  const before = { ownerUrl: db.ownerUrl, files: files.slice(0, until) };
  await migrateUp(before);
  const written = await policies();
  await migrateUp({ ...before, files: files.slice(0, until + 1) });
  const asked = await policies();
  expect(asked).not.toEqual(written);
  expect(asked).toHaveLength(written.length);
  await migrateDown({ ...before, files: files.slice(0, until + 1) });
  expect(await policies()).toEqual(written);
});

test('down reverts the newest migration, or everything after the one that is named', async () => {
  await migrateUp(settings());
  expect(await migrateDown(settings())).toEqual([files.at(-1)!.name]);
  await migrateDown(settings(), '0002_psa');
  expect(await statesOf()).toEqual(files.map((_, i) => (i < 2 ? 'applied' : 'pending')));
  await expect(migrateDown(settings(), '0099_nothing')).rejects.toThrow(/no applied migration called 0099_nothing/);
});

test('every migration limits its wait for locks before anything else', () => {
  for (const { up, down } of files) {
    for (const sql of [up, down]) {
      const first = sql.replace(/^(--.*\n|\s)+/, '');
      if (/\b(alter|drop|create) table\b/.test(sql)) expect(first).toMatch(/^set local lock_timeout/);
    }
  }
});

test('a migration that fails leaves nothing of itself, keeps those before it, and names file, line and reason', async () => {
  const good = file('9001_good', 'create table good (id int)', 'drop table good');
  const bad = file('9002_bad', 'create table half (id int);\nalter table missing_table add x int;');
  const failure = migrateUp({ ownerUrl: db.ownerUrl, files: [good, bad] });
  await expect(failure).rejects.toThrow(MigrationError);
  await expect(failure).rejects.toThrow(/^9002_bad\.up\.sql.*relation "missing_table" does not exist/);
  expect(await remains()).toEqual(['relation good', 'type good', 'type _good']);
  expect(await statesOf({ ownerUrl: db.ownerUrl, files: [good, bad] })).toEqual(['applied', 'pending']);
});

test('a syntax error is located', async () => {
  const bad = file('9001_bad', 'create table half (id int);\n\nalter table half ad x int;');
  await expect(migrateUp({ ownerUrl: db.ownerUrl, files: [bad] })).rejects.toThrow(
    /9001_bad\.up\.sql, line 3: .*syntax error/,
  );
});

test('a released migration that was edited is noticed, and nothing is applied on top of it', async () => {
  await migrateUp(settings());
  const edited = files.map((one, i) => (i === 1 ? { ...one, checksum: 'other' } : one));
  expect((await statesOf({ ownerUrl: db.ownerUrl, files: edited }))[1]).toBe('changed');
  const more = [...edited, file('9001_more', 'create table more (id int)')];
  await expect(migrateUp({ ownerUrl: db.ownerUrl, files: more })).rejects.toThrow(/0002_psa\.up\.sql is no longer/);
  expect(await remains()).not.toContain('relation more');
});

test('a database that is ahead of this version is recognised, not reverted', async () => {
  const more = file('9001_more', 'select 1');
  await migrateUp(settings([more]));
  expect((await statesOf()).at(-1)).toBe('unknown');
  expect(await migrateUp(settings())).toEqual([]);
  await expect(migrateDown(settings())).rejects.toThrow(/cannot revert 9001_more/);
});

test('of several deployments at once one migrates, the others wait and find nothing to do', async () => {
  const lines: string[] = [];
  const log = (line: string) => void lines.push(line);
  const slow = file('0000_slow', 'select pg_sleep(0.3)');
  const all = { ownerUrl: db.ownerUrl, files: [slow, ...files], log };
  const results = await Promise.all([migrateUp(all), migrateUp(all), migrateUp(all)]);
  expect(results.map(({ length }) => length).sort((a, b) => a - b)).toEqual([0, 0, files.length + 1]);
  expect(lines.filter((line) => line.startsWith('Another migration'))).toHaveLength(2);
});

test('a lock held by somebody else ends the migration with advice instead of blocking everybody', async () => {
  await migrateUp(settings());
  const holder = await connectTo(db.adminUrl);
  await holder.query('begin; lock table invoices in access exclusive mode');
  const wants = file('9001_wants', `set local lock_timeout = '100ms'; alter table invoices add x int`);
  try {
    await expect(migrateUp(settings([wants]))).rejects.toThrow(/Another session holds a lock/);
  } finally {
    await holder.end();
  }
});

test('the runtime role may switch to the three group roles and inherits nothing from them', async () => {
  await migrateUp(settings());
  await grantRuntimeRoles(db.ownerUrl, db.url);
  await grantRuntimeRoles(db.ownerUrl, db.url);
  const rows = await db.query(`select g.rolname, m.inherit_option, m.set_option, m.admin_option from pg_auth_members m
    join pg_roles g on g.oid = m.roleid where m.member = 'psa_app'::regrole order by 1`);
  expect(rows).toEqual(
    ['app_platform', 'app_tenant', 'app_worker'].map((rolname) => ({
      rolname,
      inherit_option: false,
      set_option: true,
      admin_option: false,
    })),
  );
});

test('a runtime role that is superuser, has BYPASSRLS, owns the tables or does not exist is refused', async () => {
  await migrateUp(settings());
  await expect(checkRuntimeRole(db.ownerUrl, db.adminUrl)).rejects.toThrow(/superuser or has BYPASSRLS/);
  await expect(checkRuntimeRole(db.ownerUrl, db.ownerUrl)).rejects.toThrow(/must not own the tables/);
  const nobody = clusterUrl(db.name, { user: 'nobody here', password: 'x' });
  await expect(checkRuntimeRole(db.ownerUrl, nobody)).rejects.toThrow(/nobody here, which does not exist/);
  await expect(checkRuntimeRole(db.ownerUrl, db.url)).resolves.toBeUndefined();
  await db.query('create role psa_test_bypass login bypassrls');
  try {
    const bypass = clusterUrl(db.name, { user: 'psa_test_bypass', password: '' });
    await expect(checkRuntimeRole(db.ownerUrl, bypass)).rejects.toThrow(/superuser or has BYPASSRLS/);
  } finally {
    await db.query('drop role psa_test_bypass');
  }
});

test('the command line says where it could not connect, without the password', async () => {
  const failure = migrateUp({ ownerUrl: 'postgres://who:hunter2@127.0.0.1:1/where' });
  await expect(failure).rejects.toThrow('Cannot connect to 127.0.0.1:1/where as who');
  await expect(failure).rejects.not.toThrow(/hunter2/);
});

describe('npm run migrate', () => {
  /** The built command, as `npm run migrate` runs it. */
  async function migrate(
    args: string[],
    env: Record<string, string>,
  ): Promise<{ code: number | null; output: string }> {
    const entry = fileURLToPath(new URL('../../dist/bin/migrate.js', import.meta.url));
    const child = spawn(process.execPath, [entry, ...args], { env: { PATH: process.env.PATH, ...env } });
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
    const code = await new Promise<number | null>((done) => child.once('close', done));
    return { code, output };
  }

  test('goes up, tells the status by its exit code, and down', async () => {
    const env = { MIGRATION_DATABASE_URL: db.ownerUrl, DATABASE_URL: db.url };
    expect(await migrate(['status'], env)).toMatchObject({ code: 3, output: expect.stringContaining('pending') });
    expect(await migrate([], env)).toMatchObject({
      code: 0,
      output: expect.stringContaining(`${files.length} applied.`),
    });
    expect(await migrate(['status'], env)).toMatchObject({ code: 0 });
    expect(await migrate(['down', '--to', '0'], env)).toMatchObject({ code: 0 });
    expect(await remains()).toEqual([]);
  });

  test('refuses a superuser as runtime role before it changes anything', async () => {
    const { code, output } = await migrate(['up'], { MIGRATION_DATABASE_URL: db.ownerUrl, DATABASE_URL: db.adminUrl });
    expect(code).toBe(1);
    expect(output).toMatch(/superuser/);
    expect(await remains()).toEqual([]);
  });

  test('explains what it needs when it is misused', async () => {
    expect(await migrate(['sideways'], {})).toMatchObject({
      code: 2,
      output: expect.stringContaining('no command sideways'),
    });
    expect(await migrate(['up', '--to', 'x'], {})).toMatchObject({ code: 2 });
    expect(await migrate(['up'], { DATABASE_URL: db.url })).toMatchObject({
      code: 1,
      output: expect.stringContaining('MIGRATION_DATABASE_URL is not set'),
    });
  });
});
