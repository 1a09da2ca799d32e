import type pg from 'pg';

type Query = (text: unknown, values?: unknown) => unknown;

/** Statements that travel in one message. It is handed through the layers between as the only value of a query. */
export class Flight {
  constructor(
    readonly statements: readonly string[],
    /** Whether somebody looks at the results. If not, they wait for the next statement, and travel with that. */
    readonly isRead: boolean,
  ) {}
}

/** What MikroORM sets for a transaction: for whom it works. Nobody looks at its result. */
const isOpening = (text: string) => text === 'begin' || /^select set_config\('role', '\w+', true\)[^;]*$/.test(text);

const nothing = { command: 'SELECT', rowCount: 0, rows: [], fields: [], oid: 0 };

/**
 * Lets BEGIN and the settings of a transaction travel with its first statement, and what nobody looks at with the next. MikroORM and Kysely
 * send each by itself and wait: two round trips before the first that does anything, in every transaction. Should one of them fail, the
 * statement that they travel with fails with its error.
 */
export function sendOpeningWithFirst(pool: pg.Pool): void {
  pool.on('connect', (client) => {
    const query = client.query.bind(client) as Query;
    let waiting: string[] = [];
    const send: Query = (text, values) => {
      const [flight] = Array.isArray(values) ? (values as unknown[]) : [];
      if (flight instanceof Flight) {
        if (flight.isRead) return sendAll(flight.statements).then((results) => ({ ...nothing, rows: results }));
        waiting.push(...flight.statements);
        return Promise.resolve(nothing);
      }
      const isText = typeof text === 'string' && !(values as unknown[] | undefined)?.length;
      if (isText && isOpening(text) && (text === 'begin' || waiting.length)) {
        waiting.push(text);
        return Promise.resolve(nothing);
      }
      if (!waiting.length) return query(text, values);
      if (text === 'rollback') return undo();
      if (isText) return sendAll([text]).then((results) => results[0]);
      // Statements with parameters go alone.
      return sendAll([]).then(() => query(text, values));
    };

    /** What waits, and these. @returns the results of these */
    async function sendAll(statements: readonly string[]): Promise<unknown[]> {
      const all = [...waiting, ...statements];
      waiting = [];
      const results = await (query(all.join('; ')) as Promise<unknown>);
      const each = Array.isArray(results) ? (results as unknown[]) : [results];
      if (each.length !== all.length) throw new Error('PostgreSQL saw another number of statements than were sent.');
      return each.slice(all.length - statements.length);
    }

    /** What waits is never sent; where that is all, there is nothing to undo. */
    function undo(): unknown {
      const isBegun = waiting[0] !== 'begin';
      waiting = [];
      return isBegun ? query('rollback') : Promise.resolve(nothing);
    }
    client.query = send as typeof client.query;
  });
}
