import { randomBytes } from 'node:crypto';
import { assertSafeRole } from '../../src/db/runtime-role.js';
import { loadConfig } from '../../src/config.js';
import { createApp } from '../../src/app.js';
import { clusterUrl, createTestDatabase, type TestDatabase } from '../support/database.js';
import { testEnvironment } from '../support/harness.js';

let db: TestDatabase;
const made: string[] = [];

beforeAll(async () => {
  db = await createTestDatabase();
});

afterAll(async () => {
  for (const role of made.reverse()) {
    await db.query(`drop owned by ${role}`);
    await db.query(`drop role ${role}`);
  }
  await db.drop();
});

/** A login role of its own; roles belong to the cluster, which other test files use, too. */
async function aRole(options: string, ...statements: string[]): Promise<string> {
  const role = `psa_role_${randomBytes(5).toString('hex')}`;
  made.push(role);
  await db.query(`create role ${role} login password 'secret' ${options}`);
  for (const statement of statements) await db.query(statement.replaceAll('ROLE', role));
  return clusterUrl(db.name, { user: role, password: 'secret' });
}

const groups = 'grant app_tenant, app_worker, app_platform to ROLE with inherit false, set true';

test('the role that migrations let in is accepted', async () => {
  await expect(assertSafeRole(db.url)).resolves.toBeUndefined();
  await expect(assertSafeRole(await aRole('noinherit', groups))).resolves.toBeUndefined();
});

test.each([
  ['a superuser', 'superuser', [], 'a superuser or a role with BYPASSRLS'],
  ['a role with BYPASSRLS', 'bypassrls noinherit', [groups], 'a superuser or a role with BYPASSRLS'],
  [
    'the owner of a table',
    'noinherit',
    [groups, 'create table owned_by_ROLE ()', 'alter table owned_by_ROLE owner to ROLE'],
    'owns owned_by_',
  ],
  [
    'a member of the owner of the tables',
    'noinherit',
    [groups, 'grant psa_migrator to ROLE with inherit false'],
    'can become the owner',
  ],
  [
    'a role that inherits what it should switch to',
    'inherit',
    ['grant app_tenant, app_worker, app_platform to ROLE'],
    'inherits app_',
  ],
  [
    'a role that was not let in',
    'noinherit',
    ['grant app_tenant to ROLE with inherit false'],
    'no member of app_worker, app_platform',
  ],
])('%s is refused', async (_, options, statements, reason) => {
  const url = await aRole(options, ...statements);
  await expect(assertSafeRole(url)).rejects.toThrow(reason);
});

test('a role that can become one that no policy binds is refused', async () => {
  const bypassing = await aRole('bypassrls noinherit');
  const url = await aRole(
    'noinherit',
    groups,
    `grant ${new URL(bypassing).username} to ROLE with inherit false, set true`,
  );
  await expect(assertSafeRole(url)).rejects.toThrow(`can become ${new URL(bypassing).username}`);
});

test('the server does not start with such a role', async () => {
  const nowhere = {
    url: 'http://127.0.0.1:9',
    secretKey: 'sk_test_1',
    publishableKey: 'pk_test_1',
    webhookSecrets: { snapshot: '', thin: '' },
  };
  const env = { ...testEnvironment(db, nowhere as never, 0), DATABASE_URL: db.adminUrl };
  const app = await createApp(loadConfig(env));
  await expect(app.start()).rejects.toThrow('a superuser');
});
