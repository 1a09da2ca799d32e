import { connectTo, createTestDatabase, type TestDatabase } from '../support/database.js';

let db: TestDatabase;

beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

test('a function that runs with the rights of the owner looks at no table of its caller', async () => {
  const worker = await connectTo(db.url);
  try {
    await worker.query('set role app_worker');
    await worker.query('create temp table stripe_webhook_events_other (like stripe_webhook_events including defaults)');
    await worker.query('create temp table seen (by_whom text)');
    await worker.query('grant all on seen to public');
    await worker.query(
      `insert into stripe_webhook_events_other (id, stripe_event_id, stripe_created_at, kind, type, livemode, payload, status, object_key)
       select uuidv7(), 'evt_1', '2031-05-02', 'SNAPSHOT', 'x', false, '{}', 'RECEIVED', 'x'`,
    );
    await worker.query(`create function pg_temp.trap() returns trigger language plpgsql as
      $$ begin insert into seen values (current_user); return old; end $$`);
    await worker.query(
      'create trigger trap before delete on pg_temp.stripe_webhook_events_other for each row execute function pg_temp.trap()',
    );
    await worker.query("select webhook_events_add_month('2031-05-01')");
    const { rows } = await worker.query('select * from seen');
    expect(rows).toEqual([]);
  } finally {
    await worker.end();
  }
});

test('every function with rights of its own names the schemas it looks into, the temporary one last', async () => {
  const rows = await db.query<{ proname: string; path: string | null }>(
    `select p.proname, (select setting from unnest(p.proconfig) setting where setting like 'search_path=%') as path
     from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prosecdef and n.nspname = 'public'`,
  );
  expect(rows.length).toBeGreaterThan(0);
  for (const { path } of rows) expect(path).toMatch(/^search_path=\w+, pg_temp$/);
});
