import { type Duplex } from 'node:stream';
import { type Connection, type Submittable } from 'pg';

/** Who asks: the role, its tenant (empty for none) and whether live rows are meant. */
export type Scope = readonly [role: 'app_tenant' | 'app_platform', tenantId: string, livemode: 'true' | 'false'];

/** One statement of a unit, and who waits for it. */
export interface Statement {
  readonly sql: string;
  readonly parameters: readonly unknown[];
  readonly resolve: (rows: unknown[][]) => void;
  readonly reject: (error: Error) => void;
}

/** What a statement is called on its connection: `there` is prepared, `new` is being prepared, `none` goes without a name. */
export interface Name {
  readonly name: string;
  state: 'there' | 'new' | 'none';
}

interface Named {
  readonly statement: Statement;
  readonly name: Name;
}

interface Surroundings {
  readonly mayRepeat: boolean;
  readonly forget: (sql: string) => void;
  /** PostgreSQL said goodbye: nothing more may be asked on this connection, even before it is seen to be closed. */
  readonly lost: () => void;
  /** Keeps back what is written to the stream until the others of this turn have written, too. */
  readonly hold: (stream: Duplex) => void;
  readonly done: (again: readonly Statement[]) => void;
}

/**
 * One read-only transaction as one thing in the queue of `pg`: the opening, its statements and one Sync. PostgreSQL answers each Sync
 * exactly once, and skips to it after an error, so whatever happens inside, the answers of the next unit are found where they belong.
 *
 * @see https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-PIPELINING
 */
export class Unit implements Submittable {
  /** Whose answer is being read; −1 is the opening's. */
  private at = -1;
  private rows: unknown[][] = [];
  private isSettled = false;

  constructor(
    private readonly scope: Scope,
    private readonly statements: readonly Named[],
    private readonly around: Surroundings,
  ) {}

  submit(connection: Connection): void {
    const wire = connection as unknown as Wire;
    this.around.hold(wire.stream);
    wire.bind({ portal: '', statement: 'opening', values: this.scope });
    wire.execute(everything);
    for (const { statement, name } of this.statements) {
      if (name.state !== 'there') wire.parse({ name: name.name, text: statement.sql, types: [] });
      wire.bind({ portal: '', statement: name.name, values: statement.parameters.map(textOf) });
      wire.execute(everything);
    }
    wire.sync();
  }

  handleDataRow({ fields }: { readonly fields: unknown[] }): void {
    this.rows.push(fields);
  }

  handleCommandComplete(): void {
    if (this.at >= 0) {
      const { statement, name } = this.statements[this.at]!;
      if (name.state === 'new') name.state = 'there';
      statement.resolve(this.rows);
      this.rows = [];
    }
    this.at += 1;
  }

  /** Also when the connection broke, with an error that has no SQLSTATE. */
  handleError(error: Error): void {
    if (this.isSettled) return;
    if (isGoodbye(error)) this.around.lost();
    const again: Statement[] = [];
    const unanswered = this.statements.slice(Math.max(this.at, 0));
    unanswered.forEach(({ statement, name }, i) => {
      if (name.state !== 'none') this.around.forget(statement.sql);
      // Those behind the culprit were aborted with it: alone they may well be answered.
      const isCulprit = this.at < 0 || i === 0;
      if (this.around.mayRepeat && (!isCulprit || isRepeatable(error))) again.push(statement);
      else statement.reject(error);
    });
    this.settle(again);
  }

  handleReadyForQuery(): void {
    this.settle([]);
  }

  private settle(again: readonly Statement[]): void {
    if (this.isSettled) return;
    this.isSettled = true;
    this.around.done(again);
  }
}

/** What a unit needs of pg's connection. */
interface Wire {
  readonly stream: Duplex;
  parse(message: { name: string; text: string; types: [] }): void;
  bind(message: { portal: string; statement: string; values: readonly (string | null)[] }): void;
  execute(message: { portal: string; rows: number }): void;
  sync(): void;
}

const everything = { portal: '', rows: 0 };

/** A value as PostgreSQL reads it. */
function textOf(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (Array.isArray(value)) return `{${value.map(elementOf).join(',')}}`;
  return typeof value === 'string' ? value : `${value as number | boolean}`;
}

function elementOf(value: unknown): string {
  const text = textOf(value);
  return text === null ? 'null' : `"${text.replace(/["\\]/g, '\\$&')}"`;
}

/** The connection broke, or the server is going away: it tells each connection before it closes it. */
function isGoodbye(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return typeof code !== 'string' || !/^[0-9A-Z]{5}$/.test(code) || code.startsWith('08') || code.startsWith('57P');
}

/** Not an answer to the statement: the connection broke, the server went away, or what was prepared no longer fits the tables. */
function isRepeatable(error: Error): boolean {
  const { code } = error as { code?: unknown };
  return isGoodbye(error) || code === '26000' || code === '0A000';
}
