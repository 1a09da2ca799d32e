import pg from 'pg';
import { anotherOf, insertRow, ownerColumn, ownerOf, type PlantedTenant } from './rows.js';

/** Two tenants, and the way into their database that the server has. */
export interface Scene {
  /** As the server logs in. */
  readonly url: string;
  readonly adminUrl: string;
  readonly a: PlantedTenant;
  readonly b: PlantedTenant;
}

/** Which of the other roles read a table, of all tenants at once. Everything not named here must be closed to them. */
const openTo: Readonly<Record<string, readonly string[]>> = {
  users: ['app_readonly'],
  customers: ['app_platform', 'app_readonly'],
  contracts: ['app_readonly'],
  invoices: ['app_platform', 'app_readonly'],
  stripe_accounts: ['app_worker', 'app_platform', 'app_readonly'],
  stripe_config: ['app_platform', 'app_readonly'],
  stripe_customers: ['app_readonly'],
  payment_methods: ['app_readonly'],
  stripe_subscriptions: ['app_platform', 'app_readonly'],
  stripe_prices: ['app_readonly'],
  stripe_discounts: ['app_readonly'],
  stripe_invoices: ['app_readonly'],
  invoice_lines: ['app_readonly'],
  invoice_numbers: ['app_readonly'],
  payments: ['app_platform', 'app_readonly'],
  refunds: ['app_readonly'],
  drift_reports: ['app_readonly'],
  subscription_history: ['app_readonly'],
  mrr_movements: ['app_readonly'],
  mrr_months: ['app_readonly'],
  mrr_customers: ['app_readonly'],
  mrr_calendars: ['app_readonly'],
  payment_failures: ['app_worker', 'app_readonly'],
  disputes: ['app_worker', 'app_readonly'],
  ledger_transactions: ['app_platform', 'app_readonly'],
  ledger_postings: ['app_platform', 'app_readonly'],
  ledger_imports: ['app_worker', 'app_readonly'],
  ledger_checks: ['app_platform', 'app_readonly'],
  webhook_endpoints: ['app_readonly'],
  webhook_deliveries: ['app_worker', 'app_readonly'],
  dunning_settings: ['app_readonly'],
  dunning_cases: ['app_worker', 'app_readonly'],
  dunning_steps: ['app_readonly'],
  payouts: ['app_readonly'],
  payout_transactions: ['app_readonly'],
  commands: ['app_worker'],
  mails: ['app_worker'],
  audit_log: ['app_readonly'],
  stripe_webhook_events: ['app_worker', 'app_platform', 'app_readonly'],
  stripe_webhook_queue: ['app_worker', 'app_platform', 'app_readonly'],
};

/** A table that a role has all to itself: it may move and delete its rows. */
const ownTableOf: Readonly<Record<string, string>> = {
  stripe_webhook_queue: 'app_worker',
  webhook_deliveries: 'app_worker',
};

/** What a role may write for any tenant, and, of the same table, what it may not. */
const writableBy: Readonly<Record<string, { role: string; row: object; not: object }>> = {
  audit_log: { role: 'app_platform', row: { action: 'application-fee.update' }, not: { action: 'payment.create' } },
};

/** Who may change rows of a table without being the tenant: recovery leases commands, the platform sets its fee. */
const changeableBy: Readonly<Record<string, readonly (readonly [role: string, column: string])[]>> = {
  commands: [['app_worker', 'attempts']],
  mails: [['app_worker', 'attempts']],
  dunning_cases: [['app_worker', 'visits']],
  ledger_imports: [['app_worker', 'attempts']],
  webhook_deliveries: [['app_worker', 'attempts']],
  stripe_config: [['app_platform', 'application_fee_fixed']],
};

/**
 * Everything in which the wall between the two tenants does not stand, in sentences; nothing when it does. It tries what the database
 * refuses, not what the program would do: no query of ours needs to be wrong for this to fail.
 */
export async function breachesIn(scene: Scene, tables: readonly string[]): Promise<string[]> {
  const client = new pg.Client({ connectionString: scene.url });
  await client.connect();
  const breaches: string[] = [];
  try {
    for (const table of tables) {
      const found = [
        ...(await ofReading(client, scene, table)),
        ...(await ofWriting(client, scene, table)),
        ...(await ofOtherRoles(client, scene, table)),
      ];
      breaches.push(...found.map((breach) => `${table}: ${breach}`));
    }
  } finally {
    await client.end();
  }
  return breaches;
}

async function ofReading(client: pg.Client, { a, b }: Scene, table: string): Promise<string[]> {
  const whose = async (tenant: string | null, livemode: string | null) => {
    const { rows } = await as(client, 'app_tenant', { tenant, livemode }, (query) =>
      query(`select distinct ${ownerColumn(table)} as owner from ${table}`),
    );
    return rows.map((row) => row.owner as string);
  };
  const [mine, theirs] = [ownerOf(a, table), ownerOf(b, table)];
  const breaches: string[] = [];
  const seen = await whose(a.id, 'false');
  if (seen.some((id) => id !== mine)) breaches.push("a tenant reads another tenant's rows");
  // Without this a table that nobody can read would pass.
  if (!seen.includes(mine)) breaches.push('a tenant cannot read its own rows');
  if ((await whose(b.id, 'false')).some((id) => id !== theirs))
    breaches.push('the other tenant reads more than its own');
  if ((await whose(null, 'false')).length > 0) breaches.push('rows are read without a tenant');
  if ((await whose('', 'false')).length > 0) breaches.push('rows are read with an empty tenant');
  if ('livemode' in (a.rows.get(table) ?? {}) && (await whose(a.id, 'true')).length > 0)
    breaches.push('rows of test mode are read in live mode');
  const asLogin = await attempt(() => client.query(`select from ${table}`));
  if (asLogin !== 'refused') breaches.push('the login role reads without taking a role');
  return breaches;
}

async function ofWriting(client: pg.Client, { a, b }: Scene, table: string): Promise<string[]> {
  const breaches: string[] = [];
  const context = { tenant: a.id, livemode: 'false' };
  const tryOut = (sql: string, params: unknown[] = []) =>
    attempt(() => as(client, 'app_tenant', context, (query) => query(sql, params)));

  const [mine, theirs] = [ownerOf(a, table), ownerOf(b, table)];
  const owner = ownerColumn(table);
  const updated = await tryOut(`update ${table} set ${owner} = ${owner} where ${owner} = $1`, [theirs]);
  if (updated !== 'refused' && updated !== 0) breaches.push("a tenant changes another tenant's rows");
  const deleted = await tryOut(`delete from ${table} where ${owner} = $1`, [theirs]);
  if (deleted !== 'refused' && deleted !== 0) breaches.push("a tenant deletes another tenant's rows");
  const ownDeleted = await tryOut(`delete from ${table} where ${owner} = $1`, [mine]);
  if (ownDeleted !== 'refused' && ownDeleted !== 0) breaches.push('a tenant deletes rows that are to stay');
  if ((await tryOut(`truncate ${table}`)) !== 'refused') breaches.push('a tenant empties the table');

  const row = anotherOf(table, b.rows.get(table)!);
  const inserted = await attempt(() =>
    as(client, 'app_tenant', context, (query) => insertRow({ query } as pg.Client, table, row)),
  );
  if (inserted !== 'refused') breaches.push('a tenant writes a row for another tenant');
  const given = await tryOut(`update ${table} set ${owner} = $1 where ${owner} = $2`, [theirs, mine]);
  if (given !== 'refused' && given !== 0) breaches.push('a tenant gives its rows to another tenant');
  return breaches;
}

async function ofOtherRoles(client: pg.Client, { a, b, adminUrl }: Scene, table: string): Promise<string[]> {
  const breaches: string[] = [];
  const expected = openTo[table] ?? [];
  const owner = ownerColumn(table);
  const both = [ownerOf(a, table), ownerOf(b, table)];
  const admin = new pg.Client({ connectionString: adminUrl });
  await admin.connect();
  try {
    for (const role of ['app_worker', 'app_platform', 'app_readonly']) {
      // The server's login may not become app_readonly; people do.
      const who = role === 'app_readonly' ? admin : client;
      const seen = await attempt(async () => {
        const { rows } = await as(who, role, {}, (query) =>
          query(`select count(distinct ${owner})::int as tenants from ${table} where ${owner} in ($1, $2)`, both),
        );
        return { rowCount: rows[0]!.tenants as number };
      });
      const isOpen = expected.includes(role);
      if (isOpen && seen !== 2) breaches.push(`${role} does not see all tenants`);
      if (!isOpen && seen !== 'refused') breaches.push(`${role} may read it`);

      const columns = (changeableBy[table] ?? []).filter(([by]) => by === role).map(([, column]) => column);
      for (const column of columns) {
        const changed = await attempt(() =>
          as(who, role, {}, (query) =>
            query(`update ${table} set ${column} = ${column} where ${owner} in ($1, $2)`, both),
          ),
        );
        if (changed !== 2) breaches.push(`${role} cannot change ${column}`);
      }
      const writable = writableBy[table];
      if (writable?.role === role) {
        const write = (row: object) =>
          attempt(() =>
            as(who, role, {}, (query) =>
              insertRow({ query } as pg.Client, table, { ...anotherOf(table, b.rows.get(table)!), ...row }),
            ),
          );
        if ((await write(writable.row)) !== 1) breaches.push(`${role} cannot write what it is to write`);
        if ((await write(writable.not)) !== 'refused') breaches.push(`${role} writes what it is not to write`);
      }
      if (ownTableOf[table] === role) continue;
      const moved = await attempt(() =>
        as(who, role, {}, (query) => query(`update ${table} set ${owner} = ${owner} where ${owner} = $1`, [both[0]])),
      );
      if (moved !== 'refused') breaches.push(`${role} may change whose a row is`);
      const gone = await attempt(() =>
        as(who, role, {}, (query) => query(`delete from ${table} where ${owner} = $1`, [both[0]])),
      );
      if (gone !== 'refused') breaches.push(`${role} may delete`);
    }
  } finally {
    await admin.end();
  }
  return breaches;
}

type Query = (sql: string, params?: unknown[]) => Promise<pg.QueryResult<Record<string, unknown>>>;

/** One transaction as the server opens them, rolled back at the end. Null leaves a setting out. */
async function as<T>(
  client: pg.Client,
  role: string,
  { tenant = null, livemode = null }: { tenant?: string | null; livemode?: string | null },
  work: (query: Query) => Promise<T>,
): Promise<T> {
  await client.query('begin');
  try {
    await client.query(`set local role ${role}`);
    if (tenant !== null) await client.query(`select set_config('app.tenant_id', $1, true)`, [tenant]);
    if (livemode !== null) await client.query(`select set_config('app.livemode', $1, true)`, [livemode]);
    return await work((sql, params) => client.query(sql, params));
  } finally {
    await client.query('rollback');
  }
}

/**
 * How many rows it reached, or that PostgreSQL refused it: no privilege, or a policy. A row that a constraint held back was let through by
 * the policies, which are asked first. Anything else is a mistake of the test.
 */
async function attempt(work: () => Promise<{ rowCount: number | null }>): Promise<number | 'refused'> {
  try {
    return (await work()).rowCount ?? 0;
  } catch (error) {
    const { code } = error as pg.DatabaseError;
    if (code === '42501') return 'refused';
    if (code?.startsWith('23')) return 1;
    throw error;
  }
}
