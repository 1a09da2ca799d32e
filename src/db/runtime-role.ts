import pg from 'pg';

/** The server may not run with the role that its connection string names. The message says which, and what to do. */
export class UnsafeRoleError extends Error {
  override readonly name = 'UnsafeRoleError';
}

interface RoleFacts {
  readonly login: string;
  /** Roles that it is or can become, and that no policy binds. */
  readonly unbound: string[];
  /** Tables whose owner it is or can become: an owner may switch policies off. */
  readonly owned: string[];
  /** Roles of the server that it has without switching to them. */
  readonly inherited: string[];
  /** Roles of the server that it cannot switch to. */
  readonly missing: string[];
}

const facts = `
  with groups (name) as (values ('app_tenant'), ('app_worker'), ('app_platform'))
  select session_user as login,
    array(select rolname::text from pg_roles
      where (rolsuper or rolbypassrls) and pg_has_role(session_user, oid, 'MEMBER') order by 1) as unbound,
    array(select c.oid::regclass::text from pg_class c
      where c.relkind in ('r', 'p') and c.relnamespace::regnamespace::text not in ('pg_catalog', 'information_schema', 'pg_toast')
        and pg_has_role(session_user, c.relowner, 'MEMBER') order by 1 limit 5) as owned,
    array(select name from groups join pg_roles on rolname = name where pg_has_role(session_user, oid, 'USAGE')) as inherited,
    array(select name from groups left join pg_roles on rolname = name
      where oid is null or not pg_has_role(session_user, oid, 'MEMBER')) as missing`;

/**
 * Makes sure that row-level security binds the server: its login role is no superuser, does not bypass policies, owns no table, has nothing
 * by inheritance, and can become what it needs to be.
 * @param url connection string of the runtime role
 * @throws UnsafeRoleError
 */
export async function assertSafeRole(url: string): Promise<void> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    const { rows } = await client.query<RoleFacts>(facts);
    const problem = problemOf(rows[0]!);
    if (problem) throw new UnsafeRoleError(problem);
  } finally {
    await client.end();
  }
}

function problemOf({ login, unbound, owned, inherited, missing }: RoleFacts): string | null {
  const ending = 'It would see every tenant’s rows. Use a role of its own: create role psa_app login noinherit;';
  if (unbound.includes(login))
    return `DATABASE_URL logs in as ${login}, a superuser or a role with BYPASSRLS. ${ending}`;
  if (unbound.length) return `DATABASE_URL logs in as ${login}, which can become ${unbound.join(', ')}. ${ending}`;
  if (owned.length)
    return `DATABASE_URL logs in as ${login}, which owns ${owned.join(', ')} or can become the owner. ${ending}`;
  if (inherited.length) {
    return `DATABASE_URL logs in as ${login}, which inherits ${inherited.join(', ')}. It must switch to them for each transaction: alter role ${login} noinherit;`;
  }
  if (missing.length) {
    return `DATABASE_URL logs in as ${login}, which is no member of ${missing.join(', ')}. Run \`npm run migrate\`, which lets it in.`;
  }
  return null;
}
