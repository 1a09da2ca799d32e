import { type Db, fromKysely, type KyselyTransactionLike } from 'pg-boss';
import { type Database } from '../../db/database.js';

/** The schema that pg-boss has to itself, see migration 0070. Not its usual name: a host application may be using that. */
export const bossSchema = 'payments_pgboss';

/**
 * Lets pg-boss work through the process's own database: as the workers' role, in one short transaction for each statement, without a pool of its
 * own and without anything that lasts longer than a transaction, which PgBouncer would not carry.
 */
export function bossDatabase(database: Database): Db {
  return {
    executeSql: (text, values) =>
      database.worker(async (em) => {
        const transaction = fromKysely(em.getTransactionContext<KyselyTransactionLike>()!);
        const { lock, statement } = withoutFrame(text);
        if (lock) await transaction.executeSql(lock);
        return transaction.executeSql(statement, values);
      }),
  };
}

const frame =
  /^\s*BEGIN;\s*(?:SET LOCAL [^;]*;\s*)*(?<lock>SELECT pg_advisory_xact_lock\([^;]*\);)?(?<statement>[^]*);\s*COMMIT;\s*$/;

/**
 * What must be one transaction pg-boss frames with BEGIN and COMMIT, and takes a lock before it. Here everything is in a transaction already,
 * with time limits of its own, and COMMIT would end it too soon.
 */
function withoutFrame(text: string): { lock?: string; statement: string } {
  const { lock, statement = text } = frame.exec(text)?.groups ?? {};
  return { ...(lock && { lock }), statement };
}
