import type pg from 'pg';

/**
 * Gives the places of lost connections back to the pool. Kysely, below MikroORM, returns a connection after COMMIT or ROLLBACK only when that
 * succeeded, so each transaction that loses its connection would keep a place for ever: as many losses as there are places, and every
 * later request waits in vain, long after PostgreSQL is back.
 *
 * @see https://github.com/kysely-org/kysely/blob/0.29.6/src/kysely.ts ControlledTransaction.rollback
 */
export function returnLostConnections(pool: pg.Pool): void {
  pool.on('connect', (client) => {
    client.once('end', () => {
      try {
        const giveBack = client.release.bind(client);
        // Whoever still holds it may return it, too; that is then nobody's mistake.
        client.release = () => undefined;
        giveBack(true);
      } catch {
        // It was in the pool, or on its way there, and the pool has noticed by itself.
      }
    });

    // A query that got no answer in time is given up by the client alone: the connection is still busy with it, and may be for minutes.
    const query = client.query.bind(client) as (...args: unknown[]) => unknown;
    client.query = ((...args: unknown[]) => {
      const result = query(...args);
      if (result instanceof Promise) {
        result.catch((error: Error) => {
          if (error.message === 'Query read timeout') socketOf(client)?.destroy();
        });
      }
      return result;
    }) as typeof client.query;
  });
}

/** Not in pg's types. */
function socketOf(client: object): { destroy(): void } | undefined {
  return (client as { connection?: { stream?: { destroy(): void } } }).connection?.stream;
}
