import { type EntityManager } from '@mikro-orm/postgresql';
import { Flight } from './opening.js';

// A transaction waits for the answer to each of its statements. Over a network that is most of its time, and it holds its locks meanwhile. What
// does not depend on one another's answers leaves in one message here.

/** Kysely's answer to a statement. */
interface Answer {
  readonly rows: unknown[];
  readonly numAffectedRows?: bigint;
}

/** What MikroORM sends the statements of a transaction through: Kysely's. */
interface Line {
  executeQuery(query: { readonly sql: string; readonly parameters: readonly unknown[] }): Promise<Answer>;
}

interface Waiting {
  readonly sql: string;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

interface Gathering {
  readonly waiting: Waiting[];
  /** Who waits for the next statement: calls of {@link together}, the innermost last. */
  readonly turns: (() => void)[];
}

type Asks<Answers extends readonly unknown[]> = { readonly [Index in keyof Answers]: () => Promise<Answers[Index]> };

const gatherings = new WeakMap<Line, Gathering>();

/**
 * Asks several things of a transaction in one round trip. PostgreSQL is given the first statement of each, in this order, and each sees what those
 * before it did and waited for. What an ask sends after its first answer goes the ordinary way. None may wait for the answer of another.
 *
 * @example const [invoice, payments] = await together(em, () => lockInvoice(em, id), () => paymentsOf(em, id));
 * @throws what the first of them throws that fails, when all have come to their end. A statement that PostgreSQL refuses fails them all
 */
export async function together<Answers extends readonly unknown[]>(
  em: EntityManager,
  ...asks: Asks<Answers>
): Promise<Answers> {
  const line = lineOf(em);
  const outer = gatherings.get(line);
  const gathering = outer ?? gather(line);
  const depth = gathering.turns.push(ignore) - 1;
  const answers: Promise<unknown>[] = [];
  for (const ask of asks) {
    const asked = new Promise<void>((resolve) => (gathering.turns[depth] = resolve));
    const answer = ask();
    answers.push(answer);
    // One after the other: which of them is quicker must not decide what is locked first.
    await Promise.race([asked, answer.then(ignore, ignore)]);
  }
  gathering.turns.pop();
  if (outer) outer.turns.at(-1)?.();
  else await leave(line, gathering);
  const ends = await Promise.allSettled(answers);
  const failed = ends.find((end) => end.status === 'rejected');
  if (failed) throw failed.reason;
  return ends.map((end) => (end as PromiseFulfilledResult<unknown>).value) as unknown as Answers;
}

/**
 * Writes what there is to be flushed, and whatever `write` does, in one message with the next statement; at the end of a transaction that is COMMIT.
 * Nothing comes back, so entities stay without what PostgreSQL fills in, and what is refused is refused as that next statement.
 */
export async function withNext(em: EntityManager, write: () => Promise<void> = async () => {}): Promise<void> {
  const line = lineOf(em);
  const statements: string[] = [];
  line.executeQuery = ({ sql }) => {
    statements.push(sql);
    return Promise.resolve({ rows: [], numAffectedRows: 1n });
  };
  try {
    await em.flush();
    await write();
  } finally {
    Reflect.deleteProperty(line, 'executeQuery');
  }
  if (statements.length) await send(line, new Flight(statements, false));
}

function lineOf(em: EntityManager): Line {
  const line = em.getTransactionContext<Line>();
  if (!line) throw new Error('This can be done in a transaction alone.');
  return line;
}

function gather(line: Line): Gathering {
  const gathering: Gathering = { waiting: [], turns: [] };
  gatherings.set(line, gathering);
  // Hides the method of the prototype until all have asked.
  line.executeQuery = ({ sql }) =>
    new Promise((resolve, reject) => {
      gathering.waiting.push({ sql, resolve, reject });
      gathering.turns.at(-1)?.();
    });
  return gathering;
}

async function leave(line: Line, { waiting }: Gathering): Promise<void> {
  gatherings.delete(line);
  Reflect.deleteProperty(line, 'executeQuery');
  if (!waiting.length) return;
  const statements = waiting.map(({ sql }) => sql);
  try {
    const { rows } = await send(line, new Flight(statements, true));
    for (const [index, { resolve }] of waiting.entries()) resolve(answerOf(rows[index] as Result));
  } catch (error) {
    for (const { reject } of waiting) reject(error);
  }
}

function send(line: Line, flight: Flight): Promise<Answer> {
  return line.executeQuery({ sql: flight.statements.join('; '), parameters: [flight] });
}

/** pg's result of a statement. */
interface Result {
  readonly command: string;
  readonly rowCount: number | null;
  readonly rows: unknown[];
}

/** As Kysely makes it. */
function answerOf({ command, rowCount, rows }: Result): Answer {
  const isWrite = ['INSERT', 'UPDATE', 'DELETE', 'MERGE'].includes(command);
  return { rows, ...(isWrite && { numAffectedRows: BigInt(rowCount ?? 0) }) };
}

function ignore(): void {}
