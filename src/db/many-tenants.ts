import pg from 'pg';
import { Breather } from '../shared/breather.js';
import { type Logger } from '../shared/logger.js';
import { type Uuid } from '../shared/uuid.js';
import { setLookups } from './lookups.js';
import { arrayText, send, type Step } from './message.js';
import { livemodeSetting, tenantSetting } from './tenant-entity.js';

/** One tenant's rows inside a transaction that many tenants share. PostgreSQL shows it no others. */
export interface TenantRows {
  readonly tenantId: Uuid;
  /**
   * @param statement gives one JSON value. Always the same text, so that it is planned once
   * @param values lists become PostgreSQL's arrays
   */
  ask<Answer>(statement: string, ...values: readonly Value[]): Promise<Answer>;
  /** Changes rows. Sent before whatever is asked next, at the latest with the commit, which fails if this does. */
  tell(statement: string, ...values: readonly Value[]): void;
}

type Value = string | number | boolean | null | readonly string[];

export interface ManyTenantsSettings {
  /** Connection string of the runtime role. */
  readonly url: string;
  readonly livemode: boolean;
  readonly logger: Logger;
  /** Transactions at the same time: 2. */
  readonly connections?: number;
}

// Statements are planned once for each connection, perhaps while a table is still empty. They compare `tenant_id` with a parameter of theirs, too: PostgreSQL
// then reckons with an average tenant wherever they name one.
const opening = `select 1 where concat(
  set_config('role', 'app_tenant', true),
  set_config('${livemodeSetting}', $1, true),
  set_config('plan_cache_mode', 'force_generic_plan', true),
  ${setLookups},
  set_config('cpu_index_tuple_cost', '100', true),
  set_config('statement_timeout', '10s', true),
  set_config('idle_in_transaction_session_timeout', '5s', true)) is null`;
const tenantIs = `select 1 where set_config('${tenantSetting}', $1, true) is null`;
const roleIs = `select 1 where set_config('role', $1, true) is null`;

/**
 * Transactions in which the rows of many tenants change together, for work that comes in crowds. What all tenants ask at the same moment
 * travels in one message, so the round trips of a transaction do not grow with the number of its tenants. Before each tenant's statements that
 * tenant is set, as in any other transaction: row-level security stays on, and a statement sees one tenant's rows.
 */
export class ManyTenants {
  private readonly pool: pg.Pool;

  constructor(private readonly settings: ManyTenantsSettings) {
    this.pool = new pg.Pool({
      connectionString: settings.url,
      application_name: 'psa-payments events',
      max: settings.connections ?? 2,
      connectionTimeoutMillis: 5_000,
      keepAlive: true,
    });
    this.pool.on('connect', (client) => client.on('error', () => undefined));
    this.pool.on('error', (error) => settings.logger.warn({ err: error }, 'An idle connection for events was lost'));
  }

  /** Runs `work` in one transaction. Whatever it, or anything it told, throws undoes all of it. */
  async run(work: (transaction: ManyTenantsTransaction) => Promise<void>): Promise<void> {
    const client = await this.pool.connect();
    const transaction = new ManyTenantsTransaction(client, this.settings.livemode);
    let lost: Error | undefined;
    try {
      await work(transaction);
      await transaction.commit();
    } catch (error) {
      transaction.end();
      try {
        await send(client, [{ sql: 'rollback', values: [] }], 5_000);
      } catch (broken) {
        lost = broken as Error;
      }
      throw error;
    } finally {
      client.release(lost);
    }
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}

/** Whoever is in it together: tenants, and at its end the worker role. */
export class ManyTenantsTransaction {
  private steps: Step[];
  private current: Uuid | 'worker' | null = null;
  private isOver = false;
  private readonly breather = new Breather(4);
  private sending: Promise<void> | null = null;

  constructor(
    private readonly client: pg.PoolClient,
    livemode: boolean,
  ) {
    this.steps = [
      { sql: 'begin', values: [] },
      { sql: opening, values: [String(livemode)] },
    ];
  }

  /** Says something before any tenant is set: it sees no rows of theirs. */
  first(sql: string, ...values: readonly Value[]): void {
    if (this.current !== null) throw new Error('A tenant is set.');
    this.steps.push({ sql, values: values.map(textOf) });
  }

  /** @param tenantId whose account an event names */
  of(tenantId: Uuid): TenantRows {
    return {
      tenantId,
      ask: (sql, ...values) => this.ask(tenantId, sql, values),
      tell: (sql, ...values) => this.say(tenantId, { sql, values: values.map(textOf) }),
    };
  }

  /** Says something as the worker role. To be the last of the transaction. */
  asWorker<Answer>(sql: string, ...values: readonly Value[]): Promise<Answer> {
    return this.ask('worker', sql, values);
  }

  async commit(): Promise<void> {
    this.steps.push({ sql: 'commit', values: [] });
    await this.sent();
    this.end();
  }

  /** The connection may already be somebody else's: nothing more is said on it. */
  end(): void {
    this.isOver = true;
  }

  private async ask<Answer>(who: Uuid | 'worker', sql: string, values: readonly Value[]): Promise<Answer> {
    let answer: string | null = null;
    this.say(who, { sql, values: values.map(textOf), resolve: (rows) => (answer = rows[0]?.[0] ?? null) });
    await this.sent();
    // The answers to all tenants are there at the same moment; whoever waits to be served must not wait until all of them are worked up.
    await this.breather.turn();
    return JSON.parse(answer ?? 'null') as Answer;
  }

  private say(who: Uuid | 'worker', step: Step): void {
    if (this.isOver) throw new Error('The transaction is over.');
    if (this.current !== who)
      this.steps.push(who === 'worker' ? { sql: roleIs, values: ['app_worker'] } : { sql: tenantIs, values: [who] });
    this.current = who;
    this.steps.push(step);
  }

  /** Waits until what was said so far is answered. It leaves together with what all others say in this turn of the event loop. */
  private sent(): Promise<void> {
    return (this.sending ??= new Promise((resolve, reject) => {
      setImmediate(() => {
        const { steps } = this;
        this.steps = [];
        this.sending = null;
        if (this.isOver) return reject(new Error('The transaction is over.'));
        send(this.client, steps, 15_000).then(resolve, reject);
      });
    }));
  }
}

function textOf(value: Value): string | null {
  if (Array.isArray(value)) return arrayText(value as readonly string[]);
  return value === null ? null : String(value);
}
