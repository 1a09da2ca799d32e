import type pg from 'pg';

/**
 * Whether what is prepared on a connection is still there with its next transaction. Behind a pooler in transaction mode each transaction may meet
 * another session of PostgreSQL. A pooler gives itself away by the process id that it tells its clients: it is not that of the session. PgBouncer
 * knows prepared statements since 1.21, but only where it is set up for them; without names all of its versions work.
 *
 * @param timeoutMs silence after which the connection is given up: a pooler lets in whoever comes, also when PostgreSQL is away
 * @throws pg.DatabaseError, or the connection's own error
 * @see https://www.pgbouncer.org/features.html
 */
export async function isOwnSession(client: pg.ClientBase, timeoutMs: number): Promise<boolean> {
  const question = { text: 'select pg_backend_pid() as pid', query_timeout: timeoutMs };
  const { rows } = await client.query<{ pid: number | string }>(question);
  return Number(rows[0]!.pid) === (client as unknown as { readonly processID: number | null }).processID;
}
