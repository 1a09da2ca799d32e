import { grantRuntimeRoles } from '../../src/db/grants.js';
import { migrateDown, migrateUp, readMigrations, type MigrationFile } from '../../src/db/migrator.js';
import { connectTo, createEmptyDatabase, type TestDatabase } from '../support/database.js';

/** A PSA as it might be found: single-column keys, names of its own, a role that reads and one that writes. */
const psa = `
  create table tenants (id uuid primary key default gen_random_uuid(), name varchar(200) not null, plan text);
  create table users (id serial primary key, tenant_id uuid not null references tenants, login text not null unique);
  create table customers (
    id serial primary key, tenant_id uuid not null references tenants, name text not null, email text, vip boolean default false
  );
  create table contracts (
    id serial primary key, tenant_id uuid not null references tenants, customer_id integer not null references customers,
    name text not null, status text not null, unit_amount bigint not null, currency char(3) not null, starts_at timestamptz not null
  );
  create table invoices (
    id serial primary key, tenant_id uuid not null references tenants, customer_id integer not null references customers,
    number text not null, status text not null, total bigint not null, currency text not null, memo text,
    created_at timestamptz not null default now(), updated_at timestamptz not null default now()
  );
  create function set_updated_at() returns trigger language plpgsql as 'begin new.updated_at := new.updated_at; return new; end';
  create trigger stamp before update on invoices for each row execute function set_updated_at();
  grant select on all tables in schema public to psa_reader;
  grant select, insert, update, delete on all tables in schema public to psa_writer;
  grant usage on all sequences in schema public to psa_writer;
  grant select (id, name) on customers to public;
  insert into tenants (id, name) values ('00000000-0000-7000-8000-00000000000a', 'A'), ('00000000-0000-7000-8000-00000000000b', 'B');
  insert into users (tenant_id, login) values ('00000000-0000-7000-8000-00000000000a', 'anna');
  insert into customers (tenant_id, name) values
    ('00000000-0000-7000-8000-00000000000a', 'Customer of A'), ('00000000-0000-7000-8000-00000000000b', 'Customer of B');
  insert into contracts (tenant_id, customer_id, name, status, unit_amount, currency, starts_at)
    values ('00000000-0000-7000-8000-00000000000a', 1, 'Care', 'ACTIVE', 5000, 'usd', '2026-01-01');
  insert into invoices (tenant_id, customer_id, number, status, total, currency, updated_at) values
    ('00000000-0000-7000-8000-00000000000a', 1, 'A-1', 'PAID', 100, 'usd', '2020-01-01'),
    ('00000000-0000-7000-8000-00000000000a', 1, 'A-2', 'OPEN', 200, 'usd', '2020-01-01'),
    ('00000000-0000-7000-8000-00000000000b', 2, 'B-1', 'OPEN', 300, 'usd', '2020-01-01');`;
const tenantA = '00000000-0000-7000-8000-00000000000a';

let db: TestDatabase;
let files: MigrationFile[];

beforeAll(async () => {
  files = await readMigrations(new URL('../../src/db/migrations/', import.meta.url));
});
beforeEach(async () => {
  db = await createEmptyDatabase();
  for (const role of ['psa_reader', 'psa_writer']) {
    await db.query(
      `do $$ begin create role ${role}; exception when duplicate_object or unique_violation then null; end $$`,
    );
  }
  await asOwner(psa);
});
afterEach(() => db.drop());

const up = () => migrateUp({ ownerUrl: db.ownerUrl, files });
const down = () => migrateDown({ ownerUrl: db.ownerUrl, files }, '0');

const asOwner = (sql: string) => as('psa_migrator', sql);
async function as(role: string, sql: string): Promise<void> {
  await db.query(`begin; set local role ${role}; ${sql}; commit`);
}

/** The rows of one query by a role that works for a tenant. What it changes is rolled back. */
async function rowsAs(role: string, sql: string, tenantId = ''): Promise<Record<string, unknown>[]> {
  const client = await connectTo(db.adminUrl);
  try {
    await client.query(`begin; set local role ${role}; set local app.tenant_id = '${tenantId}'`);
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

/** Everything that describes the PSA's tables: columns, constraints, indexes, triggers, policies, grants, rows. */
async function portrait(): Promise<unknown> {
  const tables = `('tenants', 'users', 'customers', 'contracts', 'invoices')`;
  const facts = await db.query(`
    select 'column', table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable || coalesce(column_default, '') as fact
      from information_schema.columns where table_name in ${tables} and table_schema = 'public'
    union all select 'constraint', conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(oid) from pg_constraint
      where conrelid::regclass::text in ${tables}
    union all select 'index', indexdef from pg_indexes where tablename in ${tables}
    union all select 'trigger', pg_get_triggerdef(oid) from pg_trigger where tgrelid::regclass::text in ${tables} and not tgisinternal
    union all select 'policy', tablename || ' ' || policyname || coalesce(qual, '') from pg_policies where tablename in ${tables}
    union all select 'table', relname || ' ' || relrowsecurity || relforcerowsecurity || relowner::regrole || array_to_string(array(
      select a::text from unnest(relacl) a order by 1), ',')
      from pg_class where relname in ${tables} and relnamespace = 'public'::regnamespace
    order by 1, 2`);
  const rows = await db.query(`
    select array(select t::text from tenants t order by id) as tenants, array(select u::text from users u order by id) as users,
      array(select c::text from customers c order by id) as customers, array(select c::text from contracts c order by id) as contracts,
      array(select i::text from invoices i order by id) as invoices`);
  return { facts, rows };
}

test('a PSA that already has its tables is mounted, keeps every row and value, and is the same again after the way down', async () => {
  const before = await portrait();
  const oldColumns = 'id, tenant_id, customer_id, number, status, total, currency, memo, created_at, updated_at';
  const rowsBefore = await db.query(`select ${oldColumns} from invoices order by id`);

  await up();
  expect(await db.query(`select ${oldColumns} from invoices order by id`)).toEqual(rowsBefore);
  const [counts] =
    await db.query(`select (select count(*)::int from tenants) as tenants, (select count(*)::int from users) as users,
    (select count(*)::int from customers) as customers, (select count(*)::int from contracts) as contracts`);
  expect(counts).toEqual({ tenants: 2, users: 1, customers: 2, contracts: 1 });

  await down();
  expect(await portrait()).toEqual(before);
});

test('columns that are missing are added, and invoices paid long ago do not look unpaid in them', async () => {
  await up();
  expect(await db.query('select number, payment_status, amount_paid::int, metadata from invoices order by id')).toEqual(
    [
      { number: 'A-1', payment_status: 'PAID', amount_paid: 100, metadata: {} },
      { number: 'A-2', payment_status: 'UNPAID', amount_paid: 0, metadata: {} },
      { number: 'B-1', payment_status: 'UNPAID', amount_paid: 0, metadata: {} },
    ],
  );
});

test('the roles of the PSA go on as before, those that come later included', async () => {
  await up();
  expect(await rowsAs('psa_reader', 'select number from invoices order by id')).toHaveLength(3);
  await as('psa_writer', `insert into customers (tenant_id, name) values ('${tenantA}', 'New')`);
  await as('psa_writer', `update invoices set memo = 'seen' where number = 'B-1'`);
  await as('psa_writer', `delete from users where login = 'anna'`);
  await asOwner(`update invoices set memo = 'owner' where number = 'B-1'`);
  expect(await rowsAs('psa_reader', `select memo, updated_at from invoices where number = 'B-1'`)).toEqual([
    { memo: 'owner', updated_at: new Date('2020-01-01') }, // their own writes do not move their stamps
  ]);

  await db.query(`do $$ begin create role psa_late; exception when duplicate_object then null; end $$`);
  await db.query('grant select on invoices to psa_late');
  expect(await rowsAs('psa_late', 'select number from invoices')).toHaveLength(3);
});

test('our roles see one tenant each, or none', async () => {
  await up();
  for (const [table, rows] of [
    ['tenants', 1],
    ['customers', 1],
    ['contracts', 1],
    ['invoices', 2],
    ['users', 1],
  ] as const) {
    expect(await rowsAs('app_tenant', `select id from ${table}`, tenantA)).toHaveLength(rows);
    expect(await rowsAs('app_tenant', `select id from ${table}`)).toHaveLength(0);
  }
  // A grant to everybody is no way around: neither for the roles nor for the login role between two transactions.
  expect(await rowsAs('app_tenant', 'select id, name from customers', tenantA)).toEqual([
    { id: 1, name: 'Customer of A' },
  ]);
  expect(await rowsAs('app_worker', 'select id, name from customers')).toEqual([]);
  expect(await rowsAs('app_worker', 'select id from tenants')).toHaveLength(2);
  await grantRuntimeRoles(db.ownerUrl, db.url);
  expect(await rowsAs('psa_app', 'select id, name from customers')).toEqual([]);
});

test('our roles may change invoices of their own tenant, with its stamp, and add or delete none', async () => {
  await up();
  const change = `update invoices set payment_status = 'PENDING' where number in ('A-2', 'B-1') returning number, updated_at > '2026-01-01' as moved`;
  expect(await rowsAs('app_tenant', change, tenantA)).toEqual([{ number: 'A-2', moved: true }]);
  const steal = `update invoices set tenant_id = '00000000-0000-7000-8000-00000000000b'`;
  await expect(rowsAs('app_tenant', steal, tenantA)).rejects.toThrow(/row-level security/);
  await expect(rowsAs('app_tenant', 'delete from invoices', tenantA)).rejects.toThrow(/permission denied/);
  const add = `insert into customers (tenant_id, name) values ('${tenantA}', 'x')`;
  await expect(rowsAs('app_tenant', add, tenantA)).rejects.toThrow(/permission denied/);
});

test('a PSA that uses row-level security itself keeps its policies, and they let nobody of ours through', async () => {
  await asOwner(`alter table customers enable row level security; create policy everybody on customers using (true)`);
  await up();
  expect(await rowsAs('app_tenant', 'select id from customers', tenantA)).toEqual([{ id: 1 }]);
  expect(await rowsAs('psa_reader', 'select id from customers')).toHaveLength(2);
  await down();
  const [after] =
    await db.query(`select relrowsecurity, array(select polname::text from pg_policy where polrelid = c.oid) as policies
    from pg_class c where oid = 'customers'::regclass`);
  expect(after).toEqual({ relrowsecurity: true, policies: ['everybody'] });
});

test('our tables refer to the PSA rows by tenant, so that a reference across tenants is refused', async () => {
  await up();
  const row = (
    customer: number,
  ) => `insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id)
    values ('${tenantA}', false, ${customer}, 'acct_1', 'cus_${customer}')`;
  await db.query(row(1));
  await expect(db.query(row(2))).rejects.toThrow(/foreign key/);
});

test('tables that do not fit are refused untouched, with every missing and unfit column named', async () => {
  await asOwner(`alter table invoices drop column total, alter column currency drop not null;
    alter table customers alter column id type bigint;
    update contracts set status = 'running';
    alter table tenants drop constraint tenants_pkey cascade;
    create table payments (id int)`);
  const before = await portrait();
  const failure = await up().then(
    () => '',
    (error: Error) => error.message,
  );
  expect(failure.split('\n').map((line) => line.trim())).toEqual([
    expect.stringMatching(/^0002_psa\.up\.sql: The tables of this database do not fit yet; nothing was changed\.$/),
    'payments exists already; a later migration creates a table of that name',
    'contracts.status has values that do not match ^(DRAFT|ACTIVE|PAUSED|ENDED|CANCELED)$: running',
    'customers.id is bigint; needed is integer',
    'invoices.currency may be null; needed is not null',
    'invoices.total is missing; needed is bigint not null matching ^[0-9]',
    'tenants.id is not unique',
    'docs/mounting.md says how to provide each of them.',
  ]);
  expect(await portrait()).toEqual(before);
});

test('tables of another owner are refused', async () => {
  await db.query('alter table invoices owner to psa_writer');
  await expect(up()).rejects.toThrow(/invoices does not belong to psa_migrator/);
});

test('where only some of the tables exist, the others are created', async () => {
  await asOwner('drop table contracts');
  await up();
  expect(await rowsAs('app_tenant', 'select id from contracts', tenantA)).toEqual([]);
  await down();
  expect(
    await db.query(`select to_regclass('contracts') as contracts, to_regclass('invoices')::text as invoices`),
  ).toEqual([{ contracts: null, invoices: 'invoices' }]);
});
