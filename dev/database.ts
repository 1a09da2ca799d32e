import pg from 'pg';

export interface ClusterPasswords {
  readonly migrator: string;
  readonly app: string;
}

/** The roles of an embedded server: one owns the tables, the other is what the server logs in as and may do nothing by itself. */
export const embeddedRoles = { owner: 'psa_migrator', app: 'psa_app' } as const;

/** Creates the two login roles of an embedded cluster, or gives them these passwords. Safe to repeat. */
export async function prepareRoles(adminUrl: string, passwords: ClusterPasswords): Promise<void> {
  await withClient(adminUrl, async (client) => {
    const wanted = [
      [embeddedRoles.owner, 'nosuperuser nobypassrls createrole', passwords.migrator],
      [embeddedRoles.app, 'nosuperuser nobypassrls noinherit', passwords.app],
    ] as const;
    for (const [role, options, password] of wanted) {
      const { rowCount } = await client.query('select from pg_roles where rolname = $1', [role]);
      const verb = rowCount ? 'alter' : 'create';
      await client.query(`${verb} role ${role} login ${options} password ${pg.escapeLiteral(password)}`);
    }
  });
}

/** Creates a database that belongs to the migrating role. Safe to repeat. */
export async function prepareDatabase(adminUrl: string, name: string): Promise<void> {
  await withClient(adminUrl, async (client) => {
    const { rowCount } = await client.query('select from pg_database where datname = $1', [name]);
    if (!rowCount) await client.query(`create database ${pg.escapeIdentifier(name)} owner ${embeddedRoles.owner}`);
  });
}

/** The same server, another database and, when given, another login. */
export function urlFor(adminUrl: string, database: string, login?: { user: string; password: string }): string {
  const url = new URL(adminUrl);
  url.pathname = `/${database}`;
  if (login) {
    url.username = login.user;
    url.password = login.password;
  }
  return url.href;
}

export async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
