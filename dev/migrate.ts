import { parseArgs } from 'node:util';
import { checkRuntimeRole, grantRuntimeRoles } from '../src/db/grants.js';
import { migrateDown, migrateUp, migrationStatus, MigrationError } from '../src/db/migrator.js';
import { isEmbedded, loadDotEnv, localSecrets, startLocalDatabase } from './local-directory.js';

const usage = `npm run migrate -- [command]

  up                  apply what is pending, and let the server's role in (default)
  down [--to NAME]    revert the newest migration, or everything after NAME; --to 0 reverts all
  status              list them
  check               compare the tables with the entities

DATABASE_URL            the server's login role; it owns nothing
MIGRATION_DATABASE_URL  the role that owns the tables
Without either, the embedded database in .local/ is meant.

Exit code: 0 done or up to date, 1 failed, 2 misused, 3 something is pending, changed or different.
`;

interface Target {
  readonly ownerUrl: string;
  /** Absent when only MIGRATION_DATABASE_URL is set: nothing is granted then. */
  readonly runtimeUrl?: string;
  close(): Promise<void>;
}

async function findTarget(): Promise<Target> {
  const { DATABASE_URL: runtimeUrl, MIGRATION_DATABASE_URL: ownerUrl } = process.env;
  if (ownerUrl) return { ownerUrl, ...(runtimeUrl && { runtimeUrl }), close: () => Promise.resolve() };
  if (!isEmbedded(process.env)) {
    throw new MigrationError(
      'MIGRATION_DATABASE_URL is not set. It names the role that owns the tables; ' +
        'that of DATABASE_URL owns nothing and cannot migrate.',
    );
  }
  const { server, ...urls } = await startLocalDatabase(await localSecrets());
  // A server that ran already belongs to an `npm start` next door.
  const close = () => (server.adopted ? Promise.resolve() : server.stop());
  return { ownerUrl: urls.ownerUrl, runtimeUrl: urls.url, close };
}

async function up({ ownerUrl, runtimeUrl }: Target): Promise<number> {
  // Before anything is changed: a role that must be refused is refused with an untouched database.
  if (runtimeUrl) await checkRuntimeRole(ownerUrl, runtimeUrl);
  const applied = await migrateUp({ ownerUrl, log: console.log });
  if (runtimeUrl) await grantRuntimeRoles(ownerUrl, runtimeUrl);
  else console.log('DATABASE_URL is not set: no login role was let in.');
  console.log(applied.length ? `${applied.length} applied.` : 'Nothing to do.');
  return 0;
}

async function down({ ownerUrl }: Target, to: string | undefined): Promise<number> {
  const reverted = await migrateDown({ ownerUrl, log: console.log }, to);
  console.log(reverted.length ? `${reverted.length} reverted.` : 'Nothing to do.');
  return 0;
}

async function status({ ownerUrl }: Target): Promise<number> {
  const all = await migrationStatus({ ownerUrl, log: console.log });
  for (const { name, state, executedAt } of all) {
    console.log(`${state.padEnd(8)} ${(executedAt?.toISOString() ?? '').padEnd(25)} ${name}`);
  }
  return all.every(({ state }) => state === 'applied') ? 0 : 3;
}

async function check({ ownerUrl }: Target): Promise<number> {
  // Loaded only here: the entities bring half of the server with them.
  const [{ entities }, { createOrm }, { findDrift }] = await Promise.all([
    import('../mikro-orm.config.js'),
    import('../src/db/orm.js'),
    import('../src/db/drift.js'),
  ]);
  const orm = createOrm({ url: ownerUrl, entities });
  try {
    const drift = await findDrift(orm, ownerUrl);
    for (const line of drift) console.log(line);
    console.log(drift.length ? `${drift.length} differences.` : 'Entities and tables agree.');
    return drift.length ? 3 : 0;
  } finally {
    await orm.close(true);
  }
}

async function main(): Promise<number> {
  let command: string;
  let to: string | undefined;
  try {
    const args = parseArgs({ allowPositionals: true, options: { to: { type: 'string' } } });
    command = args.positionals[0] ?? 'up';
    to = args.values.to;
    if (args.positionals.length > 1) throw new Error(`One command at a time: ${args.positionals.join(' ')}.`);
    if (!['up', 'down', 'status', 'check'].includes(command)) throw new Error(`There is no command ${command}.`);
    if (to !== undefined && command !== 'down') throw new Error('--to goes with down.');
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${usage}`);
    return 2;
  }
  const target = await findTarget();
  try {
    if (command === 'down') return await down(target, to);
    if (command === 'status') return await status(target);
    return command === 'check' ? await check(target) : await up(target);
  } finally {
    await target.close();
  }
}

loadDotEnv();
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof MigrationError ? error.message : error);
  process.exitCode = 1;
}
