// Starts PostgreSQL for the whole run and migrates a template that each test file clones. TEST_DATABASE_URL, the superuser of a
// PostgreSQL 18 that may be littered, is used instead when it is set.
import { randomBytes } from 'node:crypto';
import { glob, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { embeddedRoles, prepareDatabase, prepareRoles, urlFor, withClient } from '../../dist/dev/database.js';
import { startPostgres } from '../../dist/dev/postgres.js';
import { bundle } from '../../scripts/bundle.mjs';
import { startRecording } from '../../sandbox/test/support/schema-recording.mjs';
import { grantRuntimeRoles } from '../../dist/src/db/grants.js';
import { migrateUp } from '../../dist/src/db/migrator.js';

export default async function setup() {
  // Whatever passes between any test and any local Stripe is judged by the SDK's own types when all is done.
  globalThis.stripeRecording = startRecording();
  process.env.TMPDIR = await scratch();
  const given = process.env.TEST_DATABASE_URL;
  const run = randomBytes(6).toString('hex');
  // Ctrl-C and `kill -9` end jest without its teardown; this server and its files are gone then, too (see startReaper).
  const server = given ? null : await startPostgres({ dataDir: join(tmpdir(), `psa-test-${run}`), temporary: true });
  const adminUrl = given ?? server.adminUrl;

  const template = `psa_template_${run}`;
  const passwords = given
    ? { migrator: 'psa_migrator', app: 'psa_app' }
    : { migrator: randomBytes(16).toString('hex'), app: randomBytes(16).toString('hex') };
  await prepareRoles(adminUrl, passwords);
  await prepareDatabase(adminUrl, template);
  const owner = { user: embeddedRoles.owner, password: passwords.migrator };
  const app = { user: embeddedRoles.app, password: passwords.app };
  await migrateUp({ ownerUrl: urlFor(adminUrl, template, owner) });
  await grantRuntimeRoles(urlFor(adminUrl, template, owner), urlFor(adminUrl, template, app));
  await withClient(adminUrl, (client) =>
    client.query(`alter database ${template} is_template true allow_connections false`),
  );

  await bundle(await testPrograms(), fileURLToPath(new URL('../../dist/test', import.meta.url)));

  // Workers inherit the environment of this process. Hundreds of servers are started and killed: what they are made of is compiled once.
  process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'psa-test-compiled');
  process.env.PSA_TEST_CLUSTER = JSON.stringify({ adminUrl, run, template, owner, app });
  globalThis.psaTestRun = { server, adminUrl, run, template };
}

/**
 * Where this run keeps its files: in memory where there is a file system for that. Hundreds of databases are cloned, a thousand files each, and
 * on a disk that is ten times the work.
 */
async function scratch() {
  const inMemory = '/dev/shm';
  const { bsize, bavail } = await statfs(inMemory).catch(() => ({ bsize: 0, bavail: 0 }));
  return bsize * bavail > 2 * 2 ** 30 ? inMemory : tmpdir();
}

/** Scripts that tests start as processes: those beside tests that are JavaScript. */
async function testPrograms() {
  const cwd = fileURLToPath(new URL('..', import.meta.url));
  const programs = {};
  for await (const file of glob('**/*.mjs', { cwd })) {
    if (!file.startsWith('support/')) programs[file.replaceAll(sep, '-').replace(/\.mjs$/, '')] = join(cwd, file);
  }
  return programs;
}
