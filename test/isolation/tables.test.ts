import pg from 'pg';
import { createTestDatabase, testCluster, type TestDatabase } from '../support/database.js';
import { breachesIn, type Scene } from './breaches.js';
import { plantable, plantTenant } from './rows.js';

interface Policy {
  readonly table: string;
  readonly name: string;
  readonly command: string;
  readonly roles: string;
  readonly using: string | null;
  readonly check: string | null;
}

let db: TestDatabase;
let scene: Scene;
let tables: string[];
let policies: Policy[];

/** Everything that holds rows of tenants: by their tenant, or by their account. */
const tenantTables = `
  select distinct c.relname as name from pg_class c join pg_attribute a on a.attrelid = c.oid
  where a.attname in ('tenant_id', 'stripe_account_id') and c.relnamespace = 'public'::regnamespace
    and c.relkind in ('r', 'p') and not c.relispartition`;

beforeAll(async () => {
  db = await createTestDatabase();
  tables = (await db.query<{ name: string }>(`${tenantTables} order by 1`)).map(({ name }) => name);
  policies = await policiesOf(db);
  const [a, b] = await asAdmin(db.adminUrl, async (client) => [
    await plantTenant(client, 101),
    await plantTenant(client, 202),
  ]);
  scene = { url: db.url, adminUrl: db.adminUrl, a: a, b: b };
});
afterAll(() => db.drop());

test('every table with a tenant has a row of each tenant in these tests', () => {
  expect(plantable.toSorted()).toEqual(tables);
});

test('no tenant reads or changes a row of another, in any table', async () => {
  expect(await breachesIn(scene, [...plantable])).toEqual([]);
});

test('every table with a tenant has row-level security, forced on its owner', async () => {
  const open = await db.query(`
    select relname from pg_class where relname in (${tenantTables}) and not (relrowsecurity and relforcerowsecurity)`);
  expect(open).toEqual([]);
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

test('every policy asks for the tenant by a subquery, so that no plan is made for the tenant that happens to come first', () => {
  const asked = policies.filter(({ using }) => using?.includes('app.tenant_id'));
  expect(asked.length).toBeGreaterThan(30);
  const subquery = `( SELECT (NULLIF(current_setting('app.tenant_id'::text, true), ''::text))::uuid AS "nullif")`;
  const bare = asked.filter(({ using }) => using!.replaceAll(subquery, '').includes('app.tenant_id'));
  expect(bare).toEqual([]);
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
  expect(columns.map(({ column }) => column)).toEqual([
    // Of the platform's own jobs.
    ...['scheduled_job_requests.name', 'scheduled_jobs.description', 'scheduled_jobs.failures', 'scheduled_jobs.name'],
    ...['stripe_config.metadata', 'tenants.name'],
  ]);
});

// The check above is worth as much as it notices. Each guard is taken away in a copy of the database, and it has to notice that.
describe('the check fails', () => {
  let copy: TestDatabase;

  beforeAll(async () => {
    // A template must have no visitors.
    await asAdmin(testCluster().adminUrl, (client) =>
      client.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [db.name]),
    );
    copy = await createTestDatabase(db.name);
  });
  afterEach(async () => {
    expect(await policiesOf(copy)).toEqual(policies);
  });
  afterAll(() => copy.drop());

  test('without any one of the policies', async () => {
    expect(policies.length).toBeGreaterThan(30);
    const unnoticed: string[] = [];
    for (const policy of policies.filter(({ table }) => plantable.includes(table))) {
      const { table, name, command, roles, using, check } = policy;
      const restore = `create policy ${name} on ${table} for ${command} to ${roles}
        ${using ? `using (${using})` : ''} ${check ? `with check (${check})` : ''}`;
      const isNoticed = await notices(table, `drop policy ${name} on ${table}`, restore);
      if (!isNoticed) unnoticed.push(`${name} on ${table}`);
    }
    expect(unnoticed).toEqual([]);
  });

  test.each([
    ['with a policy that lets everything through', 'create policy hole on TABLE to app_tenant using (true)'],
    ['with a policy that lets everything be read', 'create policy hole on TABLE for select to app_tenant using (true)'],
  ])('%s', async (_, hole) => {
    expect(await unnoticedIn(plantable, hole, 'drop policy hole on TABLE')).toEqual([]);
  });

  test('with row-level security switched off', async () => {
    const off = 'alter table TABLE disable row level security';
    expect(await unnoticedIn(plantable, off, 'alter table TABLE enable row level security')).toEqual([]);
  });

  test('with a wall that does not hold what is written', async () => {
    const written = policies.filter(({ name, check }) => name === 'tenant_isolation' && check);
    expect(written.length).toBeGreaterThan(10);
    for (const { table, check } of written) {
      const isNoticed = await notices(
        table,
        `alter policy tenant_isolation on ${table} with check (true)`,
        `alter policy tenant_isolation on ${table} with check (${check})`,
      );
      expect([table, isNoticed]).toEqual([table, true]);
    }
  });

  async function unnoticedIn(among: readonly string[], hole: string, restore: string): Promise<string[]> {
    const unnoticed: string[] = [];
    for (const table of among) {
      if (!(await notices(table, hole.replace('TABLE', table), restore.replace('TABLE', table)))) unnoticed.push(table);
    }
    return unnoticed;
  }

  async function notices(table: string, hole: string, restore: string): Promise<boolean> {
    await copy.query(hole);
    const breaches = await breachesIn({ ...scene, url: copy.url, adminUrl: copy.adminUrl }, [table]);
    await copy.query(restore);
    return breaches.length > 0;
  }
});

function policiesOf(database: TestDatabase): Promise<Policy[]> {
  return database.query<Policy>(`
    select tablename as table, policyname as name, cmd as command, array_to_string(roles, ', ') as roles, qual as using,
      with_check as check from pg_policies where schemaname = 'public' order by 1, 2`);
}

async function asAdmin<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return await work(client);
  } finally {
    await client.end();
  }
}
