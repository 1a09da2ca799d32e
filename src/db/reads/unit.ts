import { type Connection, type Submittable } from 'pg';
import { everything, type Gathering } from '../gathering.js';

/** Who asks: the role, its tenant (empty for none) and whether live rows are meant. */
export type Scope = readonly [role: 'app_tenant' | 'app_platform', tenantId: string, livemode: 'true' | 'false'];

/** One statement of a unit, and who waits for it. */
export interface Statement {
  readonly sql: string;
  /** As PostgreSQL reads them: see {@link textOf}. */
  readonly parameters: readonly (string | null)[];
  /** How it is planned. All statements of a unit are of one kind. */
  readonly kind: 'rows' | 'figures';
  readonly resolve: (rows: unknown[][]) => void;
  readonly reject: (error: Error) => void;
}

/** What a statement is called on its connection: `there` is prepared, `new` is being prepared, `none` goes without a name. */
export interface Name {
  readonly name: string;
  state: 'there' | 'new' | 'none';
  /** How it is called without parameters, as bytes. */
  bytes?: Buffer;
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
  /** The statement that each transaction begins with, where it is not prepared under a name. */
  readonly opening: string | null;
  /** Where messages are gathered until the others of this turn have written theirs, too. */
  readonly gather: (connection: Connection) => Gathering;
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
    const gathering = this.around.gather(connection);
    const { wire } = gathering;
    if (this.around.opening === null) addOpening(gathering, this.statements[0]!.statement.kind, this.scope);
    else {
      wire.parse({ name: '', text: this.around.opening, types: [] });
      wire.bind({ portal: '', statement: '', values: this.scope });
      wire.execute(everything);
    }
    for (const { statement, name } of this.statements) {
      const { sql, parameters } = statement;
      if (name.state !== 'there') wire.parse({ name: name.name, text: sql, types: [] });
      if (name.bytes) gathering.add(name.bytes);
      else {
        const bytes = gathering.bytesOf(() => {
          wire.bind({ portal: '', statement: name.name, values: parameters });
          wire.execute(everything);
        });
        if (!parameters.length && name.state !== 'none') name.bytes = bytes;
      }
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

/** Each tenant's transactions begin with the same bytes. */
const openings = new Map<string, Buffer>();
const maxOpenings = 1_000;

function addOpening(gathering: Gathering, name: Statement['kind'], scope: Scope): void {
  const key = `${name} ${scope.join(' ')}`;
  const known = openings.get(key);
  if (known) return gathering.add(known);
  const bytes = gathering.bytesOf((wire) => {
    wire.bind({ portal: '', statement: name, values: scope });
    wire.execute(everything);
  });
  if (openings.size >= maxOpenings) openings.clear();
  openings.set(key, bytes);
}

/**
 * A value as PostgreSQL reads it.
 * @throws TypeError for what has no text. Do it before anything of a unit is sent: half a unit would be answered as a part of the next one's
 */
export function textOf(value: unknown): string | null {
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
