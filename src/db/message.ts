import { type Duplex } from 'node:stream';
import type pg from 'pg';
import { type Connection, type Submittable } from 'pg';
import { everything, Gathering } from './gathering.js';
import { isOwnSession } from './own-session.js';

/** A statement with its values as PostgreSQL reads them. */
export interface Step {
  readonly sql: string;
  readonly values: readonly (string | null)[];
  /** Rows, each a list of columns as text. */
  readonly resolve?: (rows: (string | null)[][]) => void;
}

/** A list as PostgreSQL reads an array. */
export function arrayText(values: readonly (string | boolean | null)[]): string {
  return `{${values.map((value) => (typeof value === 'string' ? `"${escaped(value)}"` : String(value))).join(',')}}`;
}

/** PostgreSQL's text cannot hold the character U+0000. */
function escaped(text: string): string {
  return /["\\\0]/.test(text) ? text.replace(/["\\]/g, '\\$&').replaceAll('\0', '') : text;
}

/** What is prepared on a connection, by statement. */
type Names = Map<string, string>;

/** Null: nothing stays prepared there. */
const namesOf = new WeakMap<pg.ClientBase, Promise<Names | null>>();
let names = 0;

/**
 * Sends statements as one message and waits for all their answers: one round trip. Each is prepared on its connection the first time, unless a
 * pooler stands between. After one that fails PostgreSQL skips the others.
 * @param timeoutMs silence after which the connection is given up
 * @throws pg.DatabaseError of the first that failed, or the connection's own error
 */
export async function send(client: pg.ClientBase, steps: readonly Step[], timeoutMs: number): Promise<void> {
  const known = await namesOn(client, timeoutMs);
  return new Promise((resolve, reject) => {
    const message = new Message(steps, known, (error) => (clearTimeout(timer), error ? reject(error) : resolve()));
    const timer = setTimeout(() => message.abandon(), timeoutMs);
    client.query(message);
  });
}

function namesOn(client: pg.ClientBase, timeoutMs: number): Promise<Names | null> {
  const known = namesOf.get(client);
  if (known) return known;
  const asked = isOwnSession(client, timeoutMs).then((isOwn) => (isOwn ? new Map<string, string>() : null));
  namesOf.set(client, asked);
  // Whoever uses the connection next asks again.
  asked.catch(() => namesOf.delete(client));
  return asked;
}

/** As one thing in the queue of `pg`: statements and one Sync, which PostgreSQL answers exactly once. */
class Message implements Submittable {
  private at = 0;
  private rows: (string | null)[][] = [];
  private readonly fresh: string[] = [];
  private stream: Duplex | null = null;
  private isOver = false;

  constructor(
    private readonly steps: readonly Step[],
    private readonly known: Names | null,
    private readonly done: (error: Error | null) => void,
  ) {}

  submit(connection: Connection): void {
    const gathering = new Gathering(connection);
    const { wire } = gathering;
    for (const { sql, values } of this.steps) {
      let name = this.known?.get(sql);
      if (!name) {
        name = this.known ? `m${++names}` : '';
        this.known?.set(sql, name);
        this.fresh.push(sql);
        wire.parse({ name, text: sql, types: [] });
      }
      wire.bind({ portal: '', statement: name, values });
      wire.execute(everything);
    }
    wire.sync();
    this.stream = connection.stream;
    if (this.stream.writable) this.stream.write(gathering.take());
  }

  /** Nobody answers. The connection is of no use any more. */
  abandon(): void {
    const error = new Error('Query read timeout');
    this.stream?.destroy(error);
    this.end(error);
  }

  handleDataRow({ fields }: { readonly fields: (string | null)[] }): void {
    this.rows.push(fields);
  }

  handleCommandComplete(): void {
    this.steps[this.at++]?.resolve?.(this.rows);
    this.rows = [];
  }

  handleError(error: Error): void {
    // Whether they were prepared before it failed nobody knows: next time they get other names.
    for (const sql of this.fresh) this.known?.delete(sql);
    this.end(error);
  }

  handleReadyForQuery(): void {
    this.end(null);
  }

  private end(error: Error | null): void {
    if (this.isOver) return;
    this.isOver = true;
    this.done(error);
  }
}
