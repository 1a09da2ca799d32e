import { type Duplex } from 'node:stream';
import pg from 'pg';
import { type Logger } from '../../shared/logger.js';
import { Gathering } from '../gathering.js';
import { lookups, setLookups } from '../lookups.js';
import { isOwnSession } from '../own-session.js';
import { livemodeSetting, tenantSetting } from '../tenant-entity.js';
import { type Name, type Scope, type Statement, Unit } from './unit.js';

export interface LaneSettings {
  /** Connection string of the runtime role. */
  readonly url: string;
  readonly logger: Logger;
  /** Silence in milliseconds after which a connection is given up: 15,000. */
  readonly silenceMs?: number;
}

/**
 * What each transaction begins with, as one prepared statement that returns nothing. In the extended protocol all that is sent up to a Sync
 * is one transaction, so neither BEGIN nor COMMIT is needed, and what is set here ends with it. Without the generic plan PostgreSQL plans
 * the first runs of a statement for their own values, and deep pages anew each time.
 */
const openingWith = (settings: string) => `select 1 where concat(${settings}
  set_config('transaction_read_only', 'on', true),
  set_config('role', $1, true),
  set_config('${tenantSetting}', $2, true),
  set_config('${livemodeSetting}', $3, true),
  set_config('plan_cache_mode', 'force_generic_plan', true),
  set_config('statement_timeout', '10s', true)) is null`;

/** Rows are looked up. Figures are sums over many rows: they are planned as the server's own settings have it. */
const openings = { rows: openingWith(`${setLookups},`), figures: openingWith('') };

interface Setting {
  readonly name: string;
  readonly before: string;
}

// Where a session is ours, look-ups are what it is for: they are set once and not by each request. Then figures set back what was there.
const settle = `select name, current_setting(name) as before, set_config(name, value, false) from json_each_text($1) as s (name, value)`;
const settled = (settings: readonly Setting[]) => ({
  rows: openingWith(''),
  figures: openingWith(settings.map(({ name, before }) => `set_config('${name}', '${before}', true),`).join(' ')),
});

/** Everything stays text: the reads know the types of their columns. */
const textOnly = { getTypeParser: () => (value: string) => value };

/** Milliseconds that a connection may take to be made, and again to answer for the first time. */
const connectTimeoutMs = 5_000;

/** So many prepared statements one connection may hold; then it is replaced by a fresh one. */
const maxPrepared = 500;

/** One connection. */
export class Lane {
  readonly ready: Promise<unknown>;
  /** Whether `ready` has come true. */
  isReady = false;
  /** Transactions that wait here, for the connection or for their answers. */
  underWay = 0;
  /** Whether PostgreSQL, or a pooler, took the connection. */
  private wasLetIn = false;
  /** Not behind a pooler, where the next transaction may meet another session. */
  private keepsNames = true;
  private readonly client: pg.Client;
  private readonly prepared = new Map<string, Name>();
  private names = 0;
  private stream: Duplex | null = null;
  private gathering: Gathering | null = null;
  /** When the oldest transaction under way was sent, or one was answered last. */
  private lastSign = 0;
  /** Milliseconds that an answer takes after the one before, on average of late. */
  private pace = 0;
  private broken = false;
  private retired = false;
  private readonly watch: NodeJS.Timeout;

  constructor(
    private readonly settings: LaneSettings,
    private readonly onGone: (lane: Lane) => void,
  ) {
    this.client = new pg.Client({
      connectionString: settings.url,
      connectionTimeoutMillis: connectTimeoutMs,
      keepAlive: true,
      types: textOnly,
      application_name: 'psa-payments reads',
      pipeline: true,
    });
    this.client.on('error', (error: Error) => this.fail(error));
    this.client.on('end', () => this.fail(null));
    this.ready = this.connect();
    // Whoever waits for it learns of it; before anybody does, it is nobody's rejection.
    this.ready.catch(() => undefined);
    const silenceMs = settings.silenceMs ?? 15_000;
    this.watch = setInterval(() => {
      if (this.underWay && this.silence > silenceMs) this.stream?.destroy();
    }, 1_000).unref();
  }

  get isUsable(): boolean {
    return !this.broken && !this.retired;
  }

  /** Milliseconds that who comes now will probably wait. One that has been silent for half of a time is taken to be so for all of it. */
  get wait(): number {
    return this.underWay ? Math.max(this.underWay * this.pace, 2 * this.silence) : 0;
  }

  /** Milliseconds for which an answer has been waited for. */
  private get silence(): number {
    return performance.now() - this.lastSign;
  }

  /**
   * @returns the statements that may be sent again, here or elsewhere, because they were not answered
   * @throws what kept it from being opened
   */
  run(scope: Scope, statements: readonly Statement[], mayRepeat: boolean): Promise<readonly Statement[]> {
    if (!this.underWay++) this.lastSign = performance.now();
    if (this.isReady) return this.send(scope, statements, mayRepeat);
    return this.ready.then(
      () => this.send(scope, statements, mayRepeat),
      (error: unknown) => {
        this.underWay -= 1;
        // PostgreSQL let it in, and it broke before it could be used: nothing was sent, another may do better.
        if (this.wasLetIn && mayRepeat) return statements;
        throw error;
      },
    );
  }

  private send(scope: Scope, statements: readonly Statement[], mayRepeat: boolean): Promise<readonly Statement[]> {
    return new Promise((resolve) => {
      const named = statements.map((statement) => ({ statement, name: this.nameOf(statement.sql) }));
      const done = (again: readonly Statement[]) => {
        const now = performance.now();
        this.pace += (now - this.lastSign - this.pace) / 16;
        this.underWay -= 1;
        this.lastSign = now;
        if (this.names > maxPrepared) this.retired = true;
        if (this.retired && !this.underWay) void this.close();
        resolve(again);
      };
      const forget = (sql: string) => void this.prepared.delete(sql);
      const lost = () => void (this.retired = true);
      this.client.query(
        new Unit(scope, named, {
          mayRepeat,
          forget,
          lost,
          opening: this.keepsNames ? null : openings[named[0]!.statement.kind],
          gather: (connection) => this.gather(connection),
          done,
        }),
      );
    });
  }

  async close(): Promise<void> {
    this.retired = true;
    clearInterval(this.watch);
    this.onGone(this);
    await this.ready.catch(() => undefined);
    await this.client.end().catch(() => undefined);
  }

  private async connect(): Promise<void> {
    try {
      await this.client.connect();
      this.wasLetIn = true;
      this.keepsNames = await isOwnSession(this.client, connectTimeoutMs);
      if (this.keepsNames) await this.prepare();
      this.isReady = true;
      this.lastSign = performance.now();
    } catch (error) {
      this.fail(error as Error);
      throw error;
    }
  }

  private async prepare(): Promise<void> {
    const limit = { query_timeout: connectTimeoutMs };
    const { rows } = await this.client.query<Setting>({ text: settle, values: [JSON.stringify(lookups)], ...limit });
    const prepared = Object.entries(settled(rows)).map(([name, text]) => ({ name, text, values: ['none', '', ''] }));
    await Promise.all(prepared.map((query) => this.client.query({ ...query, ...limit })));
  }

  /**
   * A name counts as prepared only once PostgreSQL has said so. Until then others send the same statement without it, since the one that
   * prepares may yet fail. After a failure nobody knows whether the name exists, so the next one gets another.
   */
  private nameOf(sql: string): Name {
    if (!this.keepsNames) return unnamed;
    const known = this.prepared.get(sql);
    if (known) return known.state === 'there' ? known : unnamed;
    const name: Name = { name: `r${++this.names}`, state: 'new' };
    this.prepared.set(sql, name);
    return name;
  }

  /** All that is asked in one turn of the event loop leaves in one write. */
  private gather(connection: pg.Connection): Gathering {
    const gathering = (this.gathering ??= new Gathering(connection));
    if (gathering.isEmpty) {
      setImmediate(() => {
        const { stream } = connection;
        this.stream = stream;
        if (stream.writable) stream.write(gathering.take());
      });
    }
    return gathering;
  }

  private fail(error: Error | null): void {
    if (this.broken) return;
    this.broken = true;
    clearInterval(this.watch);
    this.onGone(this);
    if (error && !this.retired) this.settings.logger.warn({ err: error }, 'A connection for reads broke');
    this.stream?.destroy();
  }
}

const unnamed: Name = { name: '', state: 'none' };
