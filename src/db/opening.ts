import type pg from 'pg';

type Query = (text: unknown, values?: unknown) => unknown;

/** What MikroORM sets for a transaction: for whom it works. Nobody looks at its result. */
const isOpening = (text: string) => text === 'begin' || /^select set_config\('role', '\w+', true\)[^;]*$/.test(text);

/**
 * Lets BEGIN and the settings of a transaction travel with its first statement. MikroORM and Kysely send each by itself and wait: two round
 * trips before the first that does anything, in every transaction. Should one of them fail, the first statement fails with its error.
 */
export function sendOpeningWithFirst(pool: pg.Pool): void {
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as Query;
    let opening: string[] = [];
    const send: Query = (text, values) => {
      const isText = typeof text === 'string' && !(values as unknown[] | undefined)?.length;
      if (isText && isOpening(text) && (text === 'begin' || opening.length)) {
        opening.push(text);
        return Promise.resolve({ command: 'SELECT', rowCount: 0, rows: [], fields: [], oid: 0 });
      }
      if (!opening.length) return query(text, values);
      const before = opening.join('; ');
      opening = [];
      // Statements with parameters go alone.
      if (!isText) return (query(before) as Promise<unknown>).then(() => query(text, values));
      return (query(`${before}; ${text}`) as Promise<unknown>).then((results) => (results as unknown[]).at(-1));
    };
    client.query = send as typeof client.query;
  });
}
