import { Socket } from 'node:net';
import pg from 'pg';
import { type Logger } from '../../shared/logger.js';

/** One statement of a unit, and who waits for it. */
export interface Statement {
  readonly sql: string;
  /** The name it is prepared under. */
  readonly name: string;
  readonly parameters: readonly unknown[];
  readonly resolve: (rows: unknown[][]) => void;
  readonly reject: (error: Error) => void;
}

export interface PipelineSettings {
  /** Connection string of the runtime role. */
  readonly url: string;
  readonly connections: number;
  readonly logger: Logger;
  /** Silence in milliseconds after which a connection is given up: 15,000. */
  readonly silenceMs?: number;
}

/** Everything stays text: the reads know the types of their columns. */
const textOnly = { getTypeParser: () => (value: string) => value };

/** So many prepared statements one connection may hold; then it is replaced by a fresh one. */
const maxPrepared = 500;

/**
 * A few connections on which whole transactions are sent without waiting for answers: opening, statements and COMMIT leave in one packet,
 * and the next transaction right behind. PostgreSQL answers in order. A failure inside one transaction ends with that transaction's
 * COMMIT, which then rolls back; the next one on the same connection does not notice.
 *
 * Only for statements that change nothing: when a connection breaks, what was under way is sent once more on another.
 */
export class Pipeline {
  private readonly lanes = new Set<Lane>();
  private stopped = false;

  constructor(private readonly settings: PipelineSettings) {}

  /**
   * Runs the statements in one read-only transaction.
   * @param opening follows BEGIN: `set local …; set local …`
   */
  async run(opening: string, statements: readonly Statement[]): Promise<void> {
    let waiting = statements;
    for (let tries = 1; waiting.length; tries += 1) {
      const mayRepeat = tries < 3;
      try {
        const lane = await this.lane();
        waiting = await lane.run(opening, waiting, mayRepeat);
      } catch (error) {
        return waiting.forEach(({ reject }) => reject(error as Error));
      }
    }
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await Promise.all([...this.lanes].map((lane) => lane.close()));
  }

  /** The least busy connection, or a new one while there may be more. */
  private async lane(): Promise<Lane> {
    if (this.stopped) throw new Error('The server is stopping.');
    const usable = [...this.lanes].filter((lane) => lane.isUsable);
    let best = usable.reduce<Lane | null>((a, b) => (a && a.underWay <= b.underWay ? a : b), null);
    if (!best || (best.underWay > 0 && usable.length < this.settings.connections)) {
      best = new Lane(this.settings, (lane) => this.lanes.delete(lane));
      this.lanes.add(best);
    }
    await best.ready;
    return best;
  }
}

/** One connection. */
class Lane {
  readonly ready: Promise<unknown>;
  underWay = 0;
  private readonly socket = new Socket();
  private readonly client: pg.Client;
  private readonly prepared = new Map<string, 'sent' | 'there'>();
  /** When the oldest transaction under way was sent, or answered last. */
  private lastSign = 0;
  private broken = false;
  private retired = false;
  private readonly watch: NodeJS.Timeout;

  constructor(
    private readonly settings: PipelineSettings,
    private readonly onGone: (lane: Lane) => void,
  ) {
    this.client = new pg.Client({
      connectionString: settings.url,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
      types: textOnly,
      stream: () => this.socket,
      application_name: 'psa-payments reads',
      pipeline: true,
    });
    this.client.on('error', (error: Error) => this.fail(error));
    this.client.on('end', () => this.fail(null));
    this.ready = this.client.connect().catch((error: Error) => {
      this.fail(error);
      throw error;
    });
    const silenceMs = settings.silenceMs ?? 15_000;
    this.watch = setInterval(() => {
      if (this.underWay && performance.now() - this.lastSign > silenceMs) this.socket.destroy();
    }, 1_000).unref();
  }

  get isUsable(): boolean {
    return !this.broken && !this.retired;
  }

  /** @returns the statements that may be sent again elsewhere, because they were not answered */
  async run(opening: string, statements: readonly Statement[], mayRepeat: boolean): Promise<readonly Statement[]> {
    const again: Statement[] = [];
    let firstError: Error | null = null;
    if (!this.underWay++) this.lastSign = performance.now();
    this.socket.cork();
    process.nextTick(() => this.socket.uncork());
    // Nothing may be awaited between these: the transaction must stand in one piece in the queue of the connection.
    const opened = this.client
      .query(`begin read only; ${opening}`)
      .catch((error: Error) => void (firstError ??= error));
    const answers = statements.map(async (statement) => {
      try {
        statement.resolve(await this.send(statement));
      } catch (error) {
        const isFirst = firstError === null;
        firstError ??= error as Error;
        // Aborted by its neighbour, or by the connection: alone or elsewhere it may well be answered.
        if (mayRepeat && (isRepeatable(error) || (!isFirst && codeOf(error) === '25P02' && statements.length > 1))) {
          again.push(statement);
        } else {
          statement.reject(codeOf(error) === '25P02' ? firstError : (error as Error));
        }
      }
    });
    const closed = this.client.query('commit').catch(() => undefined);
    await Promise.all([opened, ...answers, closed]);
    this.underWay -= 1;
    this.lastSign = performance.now();
    if (this.prepared.size > maxPrepared) this.retired = true;
    if (this.retired && !this.underWay) void this.close();
    return again;
  }

  /**
   * Sends one statement. A name counts as prepared only once PostgreSQL has said so: until then others send the same statement without
   * it, since the one that prepares may yet fail, and a name that does not exist would fail all who rely on it.
   */
  private async send({ sql, name, parameters }: Statement): Promise<unknown[][]> {
    const query = { text: sql, values: parameters as unknown[], rowMode: 'array' as const };
    const state = this.prepared.get(name);
    if (state === 'there') return (await this.client.query<unknown[]>({ ...query, name })).rows;
    if (state === 'sent')
      return (await this.client.query<unknown[]>({ ...query, queryMode: 'extended' } as never)).rows;
    this.prepared.set(name, 'sent');
    try {
      const { rows } = await this.client.query<unknown[]>({ ...query, name });
      this.prepared.set(name, 'there');
      return rows;
    } catch (error) {
      this.prepared.delete(name);
      throw error;
    }
  }

  async close(): Promise<void> {
    this.retired = true;
    clearInterval(this.watch);
    this.onGone(this);
    await this.ready.catch(() => undefined);
    await this.client.end().catch(() => undefined);
  }

  private fail(error: Error | null): void {
    if (this.broken) return;
    this.broken = true;
    clearInterval(this.watch);
    this.onGone(this);
    if (error && !this.retired) this.settings.logger.warn({ err: error }, 'A connection for reads broke');
    this.socket.destroy();
  }
}

function codeOf(error: unknown): string | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** Not an answer to the statement: the connection broke, the server went away, or the prepared plan no longer fits the tables. */
function isRepeatable(error: unknown): boolean {
  const code = codeOf(error);
  return code === undefined || code.startsWith('08') || code.startsWith('57P') || code === '26000';
}
