import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { clusterUrl, createTestDatabase, testCluster, type TestDatabase } from '../support/database.js';
import { breachesIn, type Scene } from './breaches.js';
import { plantable, plantTenant } from './rows.js';

interface Policy {
  readonly tablename: string;
  readonly policyname: string;
  readonly cmd: string;
}

let db: TestDatabase;
let scene: Scene;
let tables: string[];
let policies: Policy[];

/** Reached only by workers, and not through a tenant: their walls are grants, not policies. */
const withoutPolicies: readonly string[] = [];

beforeAll(async () => {
  db = await createTestDatabase();
  tables = (
    await db.query<{ name: string }>(`
      select c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
      where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition order by 1`)
  ).map(({ name }) => name);
  policies = await db.query<Policy>(
    `select tablename, policyname, cmd from pg_policies where schemaname = 'public' order by 1, 2`,
  );
  const [a, b] = await asAdmin(clusterUrl(db.name), async (client) => [
    await plantTenant(client, 101),
    await plantTenant(client, 202),
  ]);
  scene = { url: db.url, adminUrl: db.adminUrl, a: a, b: b };
});
afterAll(() => db.drop());

test('every table with a tenant has a row of each tenant in these tests', () => {
  expect(plantable.toSorted()).toEqual(tables.filter((table) => !withoutPolicies.includes(table)));
});

test('no tenant reads or changes a row of another, in any table', async () => {
  expect(await breachesIn(scene, [...plantable])).toEqual([]);
});

test('every table with a tenant has row-level security, forced on its owner', async () => {
  const open = await db.query(`
    select c.relname from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not (relrowsecurity and relforcerowsecurity)`);
  expect(open.map(({ relname }) => relname as string).filter((name) => !withoutPolicies.includes(name))).toEqual([]);
});

test('the owner of the tables sees no row of any tenant', async () => {
  const seen = await asAdmin(db.ownerUrl, async (client) => {
    const counts: [string, number][] = [];
    for (const table of plantable) {
      const { rows } = await client.query<{ n: number }>(`select count(*)::int as n from ${table}`);
      counts.push([table, rows[0]!.n]);
    }
    return counts;
  });
  expect(seen.filter(([, n]) => n > 0)).toEqual([]);
});

test('every key begins with the tenant, so that neither a reference nor a clash can tell of a row of another', async () => {
  const keys = await db.query<{ table: string; name: string; first: string }>(`
    select c.relname as table, i.relname as name, a.attname as first
    from pg_index x join pg_class c on c.oid = x.indrelid join pg_class i on i.oid = x.indexrelid
    join pg_attribute a on a.attrelid = c.oid and a.attnum = x.indkey[0]
    where x.indisunique and c.relnamespace = 'public'::regnamespace
      and exists (select from pg_attribute t where t.attrelid = c.oid and t.attname = 'tenant_id') order by 1, 2`);
  // The directory is there to say whose an account is; Stripe chooses its keys, no tenant does.
  const strangers = keys.filter(({ table, first }) => first !== 'tenant_id' && table !== 'stripe_accounts');
  expect(strangers).toEqual([]);

  const references = await db.query<{ table: string; name: string }>(`
    select f.conrelid::regclass::text as table, f.conname as name from pg_constraint f
    where f.contype = 'f' and f.connamespace = 'public'::regnamespace and f.confrelid <> 'tenants'::regclass
      and exists (select from pg_attribute t where t.attrelid = f.confrelid and t.attname = 'tenant_id')
      and (select attname from pg_attribute where attrelid = f.conrelid and attnum = f.conkey[1]) <> 'tenant_id'`);
  expect(references).toEqual([]);
});

test('no view, function or materialised view reads past the policies', async () => {
  const leaks = await db.query(`
    select relname as name from pg_class where relnamespace = 'public'::regnamespace and (relkind = 'm'
      or (relkind = 'v' and not coalesce('security_invoker=true' = any(reloptions), false)))
    -- What runs with its owner's rights is not for tenants, and finds only the tables it means.
    union all select proname from pg_proc where pronamespace = 'public'::regnamespace and prosecdef
      and (has_function_privilege('app_tenant', oid, 'execute') or not coalesce(proconfig::text like '%search_path=%', false))`);
  expect(leaks).toEqual([]);
});

test('the platform cannot read who the customers of a tenant are', async () => {
  const columns = await db.query<{ column: string }>(`
    select c.relname || '.' || a.attname as column from pg_class c join pg_attribute a on a.attrelid = c.oid
    where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and a.attnum > 0 and not a.attisdropped
      and (a.attname ~ 'name|email|phone|description|number|last4|brand|receipt|failure|metadata|payload|customer_id|param')
      and has_column_privilege('app_platform', c.oid, a.attnum, 'select') order by 1`);
  expect(columns.map(({ column }) => column)).toEqual(['stripe_config.metadata', 'tenants.name']);
});

// The check above is worth as much as it notices. Each guard is taken away in a copy of the database, and it has to notice that.
describe('the check fails', () => {
  let template: string;

  beforeAll(async () => {
    template = `${db.name}_planted`;
    await db.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = $1 and pid <> pg_backend_pid()`,
      [db.name],
    );
    await cloneOf(db.name, template);
  });
  afterAll(() => dropDatabase(template));

  test('without any one of the policies', async () => {
    expect(policies.length).toBeGreaterThan(20);
    const unnoticed: string[] = [];
    for (const { tablename: table, policyname } of policies.filter(({ tablename }) => plantable.includes(tablename))) {
      const breaches = await breachesAfter(`drop policy ${policyname} on ${table}`, table);
      if (breaches.length === 0) unnoticed.push(`${policyname} on ${table}`);
    }
    expect(unnoticed).toEqual([]);
  });

  test.each([
    [
      'with a policy that lets everything through',
      (t: string) => `create policy hole on ${t} to app_tenant using (true)`,
    ],
    [
      'with a policy that lets everything be read',
      (t: string) => `create policy hole on ${t} for select to app_tenant using (true)`,
    ],
    ['with row-level security switched off', (t: string) => `alter table ${t} disable row level security`],
    [
      'with a wall that does not hold what is written',
      (t: string) => `alter policy tenant_isolation on ${t} with check (true)`,
    ],
  ])('%s', async (_, hole) => {
    const unnoticed: string[] = [];
    for (const table of plantable) if ((await breachesAfter(hole(table), table)).length === 0) unnoticed.push(table);
    expect(unnoticed).toEqual([]);
  });

  async function breachesAfter(sql: string, table: string): Promise<string[]> {
    const name = `${db.name}_${randomBytes(3).toString('hex')}`;
    await cloneOf(template, name);
    try {
      await asAdmin(clusterUrl(name), (client) => client.query(sql));
      return await breachesIn({ ...scene, url: clusterUrl(name, testCluster().app), adminUrl: clusterUrl(name) }, [
        table,
      ]);
    } finally {
      await dropDatabase(name);
    }
  }
});

const cloneOf = (source: string, name: string) =>
  asAdmin(testCluster().adminUrl, (client) => client.query(`create database ${name} template ${source}`));

const dropDatabase = (name: string) =>
  asAdmin(testCluster().adminUrl, (client) => client.query(`drop database if exists ${name} with (force)`));

async function asAdmin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
