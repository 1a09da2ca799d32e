import pg from 'pg';
import { connect, MigrationError } from './migrator.js';

/** The roles a server may take, one per transaction. See migrations/0001_foundation.up.sql */
const groupRoles = ['app_tenant', 'app_worker', 'app_platform'] as const;

/**
 * Refuses a login role that row-level security would not hold.
 * @param runtimeUrl the connection string that the server will use; only its user name is read
 * @throws MigrationError
 */
export async function checkRuntimeRole(ownerUrl: string, runtimeUrl: string): Promise<void> {
  const login = loginOf(runtimeUrl);
  const client = await connect(ownerUrl);
  try {
    const { rows } = await client.query<{ privileged: boolean; owner: boolean }>(
      'select rolsuper or rolbypassrls as privileged, rolname = current_user as owner from pg_roles where rolname = $1',
      [login],
    );
    const quoted = pg.escapeIdentifier(login);
    if (!rows[0]) {
      throw new MigrationError(
        `DATABASE_URL logs in as ${login}, which does not exist. Create it: create role ${quoted} login noinherit password '…';`,
      );
    }
    if (rows[0].privileged) {
      throw new MigrationError(
        `DATABASE_URL logs in as ${login}, which is a superuser or has BYPASSRLS: it would see every tenant's rows. ` +
          `Use a role of its own: create role psa_app login noinherit password '…';`,
      );
    }
    if (rows[0].owner) {
      throw new MigrationError(
        `DATABASE_URL and MIGRATION_DATABASE_URL both log in as ${login}. The server must not own the tables: ` +
          'an owner can switch row-level security off.',
      );
    }
  } finally {
    await client.end();
  }
}

/**
 * Lets the server's login role switch to the group roles, without inheriting what they may do: outside of a transaction that
 * says for whom it works, it may do nothing.
 * @throws MigrationError when this role may not grant them
 */
export async function grantRuntimeRoles(ownerUrl: string, runtimeUrl: string): Promise<void> {
  const login = loginOf(runtimeUrl);
  const client = await connect(ownerUrl);
  try {
    const { rows } = await client.query<{ role: string }>(
      `select g.rolname as role from pg_auth_members m
       join pg_roles g on g.oid = m.roleid join pg_roles u on u.oid = m.member
       where u.rolname = $1 and m.set_option and not m.inherit_option`,
      [login],
    );
    const missing = groupRoles.filter((role) => !rows.some((row) => row.role === role));
    for (const role of missing) {
      const statement = `grant ${role} to ${pg.escapeIdentifier(login)} with inherit false, set true`;
      await client.query(statement).catch((error: Error) => {
        throw new MigrationError(`Cannot run \`${statement}\`: ${error.message}. Run it once as a superuser.`, {
          cause: error,
        });
      });
    }
  } finally {
    await client.end();
  }
}

function loginOf(url: string): string {
  return decodeURIComponent(new URL(url).username);
}
