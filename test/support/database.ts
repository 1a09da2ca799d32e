import { randomBytes } from 'node:crypto';
import pg from 'pg';

interface Login {
  readonly user: string;
  readonly password: string;
}

interface TestCluster {
  readonly adminUrl: string;
  readonly run: string;
  readonly template: string;
  readonly owner: Login;
  readonly app: Login;
}

/** A migrated database of its own, seen by three roles. */
export interface TestDatabase {
  readonly name: string;
  /** As the server logs in: owns nothing, may do nothing before `set role`. */
  readonly url: string;
  /** As migrations run. Row-level security is forced on it, too: it sees no tenant's rows. */
  readonly ownerUrl: string;
  /** As superuser: for arranging and for looking, past all policies. */
  readonly adminUrl: string;
  /** Runs one statement as superuser. */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow>(sql: string, params?: unknown[]): Promise<Row[]>;
  /** Cuts whoever is still connected, and deletes it. */
  drop(): Promise<void>;
}

/** What the global setup started. */
export function testCluster(): TestCluster {
  const found = process.env.PSA_TEST_CLUSTER;
  if (!found) throw new Error('There is no test cluster: run tests with jest and its global setup.');
  return JSON.parse(found) as TestCluster;
}

/** A connection string into the test cluster. */
export function clusterUrl(database: string, login?: Login): string {
  const url = new URL(testCluster().adminUrl);
  url.pathname = `/${database}`;
  if (login) Object.assign(url, { username: login.user, password: login.password });
  return url.href;
}

/**
 * Clones the migrated template. Takes about 30 ms.
 * @param from another database to clone; nobody may be connected to it
 */
export function createTestDatabase(from = testCluster().template): Promise<TestDatabase> {
  return create(`template ${from} strategy file_copy`);
}

/** A database without any table of ours, that belongs to the migrating role. */
export function createEmptyDatabase(): Promise<TestDatabase> {
  return create('template template0');
}

async function create(source: string): Promise<TestDatabase> {
  const { owner, app, run } = testCluster();
  const name = `psa_test_${run}_${randomBytes(5).toString('hex')}`;
  await admin().query(`create database ${name} owner ${owner.user} ${source}`);
  const pool = new pg.Pool({
    connectionString: clusterUrl(name),
    max: 2,
    idleTimeoutMillis: 10_000, // to connect takes longer than most of what is asked
    allowExitOnIdle: true,
  });
  pool.on('error', () => undefined); // a test may restart the server, or drop the database
  return {
    name,
    url: clusterUrl(name, app),
    ownerUrl: clusterUrl(name, owner),
    adminUrl: clusterUrl(name),
    query: async (sql, params) => (await pool.query(sql, params)).rows,
    drop: async () => {
      await pool.end();
      await admin().query(`drop database if exists ${name} with (force)`);
    },
  };
}

/** For databases as a whole. Whoever asks for none for a while need not close it. */
function admin(): pg.Pool {
  adminPool ??= new pg.Pool({ connectionString: testCluster().adminUrl, max: 2, allowExitOnIdle: true }).on(
    'error',
    () => undefined, // a test may restart the server
  );
  return adminPool;
}
let adminPool: pg.Pool | undefined;

/** One connection, for what has to stay in one session. The caller ends it. */
export async function connectTo(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
