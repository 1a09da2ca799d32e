import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { embeddedRoles, prepareDatabase, prepareRoles, urlFor } from './database.js';
import { discardDisplaced, startPostgres, type PostgresServer } from './postgres.js';

/** The checkout: the nearest directory upwards that has a package.json. The same from `dev/` and from `dist/dev/`. */
export const root = findRoot(dirname(fileURLToPath(import.meta.url)));

/** Everything that a development system keeps: database, secrets, the local Stripe's state. Deleting it starts afresh. */
export const localDirectory = join(root, '.local');

const dataDirectory = join(localDirectory, 'postgres');

/** Made up on the first start and kept, so that tokens, webhooks and database survive a restart. */
export interface LocalSecrets {
  readonly postgres: { readonly migrator: string; readonly app: string };
  readonly jwt: string;
  readonly stripe: { readonly secretKey: string; readonly publishableKey: string };
  readonly webhooks: { readonly snapshot: string; readonly thin: string };
}

/** Reads the secrets of this checkout, inventing them the first time. Only their owner can read the file. */
export async function localSecrets(): Promise<LocalSecrets> {
  await makeLocalDirectory();
  const file = join(localDirectory, 'secrets.json');
  if (existsSync(file)) return JSON.parse(await readFile(file, 'utf8')) as LocalSecrets;
  const made: LocalSecrets = {
    postgres: { migrator: secret(), app: secret() },
    jwt: secret(),
    stripe: { secretKey: `sk_test_local_${secret()}`, publishableKey: `pk_test_local_${secret()}` },
    webhooks: { snapshot: `whsec_${secret()}`, thin: `whsec_${secret()}` },
  };
  // Without secrets this is a fresh start, and what an earlier one left outside of `.local/` belongs to nobody.
  await discardDisplaced(dataDirectory);
  await writePrivately(file, made);
  return made;
}

/** Writes JSON that only its owner may read, and that is never there by halves. */
export async function writePrivately(file: string, content: unknown): Promise<void> {
  const unfinished = `${file}.${process.pid}.new`;
  const handle = await open(unfinished, 'w', 0o600);
  try {
    await handle.chmod(0o600);
    await handle.writeFile(`${JSON.stringify(content, null, 2)}\n`);
    await handle.sync();
  } finally {
    await handle.close();
  }
  await rename(unfinished, file);
}

/** The embedded database of this checkout: the server, and how owner and runtime role log in. */
export interface LocalDatabase {
  readonly server: PostgresServer;
  readonly adminUrl: string;
  readonly ownerUrl: string;
  readonly url: string;
}

/** Starts PostgreSQL in `.local/` (port 5433, or the next free one), with its roles and an empty database when they are missing. */
export async function startLocalDatabase(secrets: LocalSecrets): Promise<LocalDatabase> {
  await makeLocalDirectory();
  const server = await startPostgres({ dataDir: dataDirectory, port: 5433 });
  try {
    await prepareRoles(server.adminUrl, secrets.postgres);
    await prepareDatabase(server.adminUrl, 'psa_payments');
  } catch (error) {
    if (!server.adopted) await server.stop();
    throw error;
  }
  const login = (user: string, password: string) => urlFor(server.adminUrl, 'psa_payments', { user, password });
  return {
    server,
    adminUrl: urlFor(server.adminUrl, 'psa_payments'),
    ownerUrl: login(embeddedRoles.owner, secrets.postgres.migrator),
    url: login(embeddedRoles.app, secrets.postgres.app),
  };
}

/** Settings in a file `.env` count as if they were in the environment; what is in the environment wins. */
export function loadDotEnv(): void {
  const file = join(root, '.env');
  if (existsSync(file)) process.loadEnvFile(file);
}

/** Whether this start brings its own database: nothing is configured, and it is not production. */
export function isEmbedded(env: NodeJS.ProcessEnv): boolean {
  return !env.DATABASE_URL && env.NODE_ENV !== 'production';
}

async function makeLocalDirectory(): Promise<void> {
  await mkdir(localDirectory, { recursive: true });
  // PostgreSQL's user has to get through to its files; what is secret is closed file by file.
  await chmod(localDirectory, 0o711);
}

function secret(): string {
  return randomBytes(24).toString('hex');
}

function findRoot(from: string): string {
  for (let at = from; ; at = dirname(at)) {
    if (existsSync(join(at, 'package.json'))) return at;
    if (at === dirname(at)) throw new Error(`There is no package.json above ${from}.`);
  }
}
