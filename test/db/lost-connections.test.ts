import { setTimeout as sleep } from 'node:timers/promises';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { newUuid } from '../../src/shared/uuid.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { until } from '../support/until.js';
import { Proxy } from '../webhooks/proxy.js';

let db: TestDatabase;

beforeEach(async () => {
  db = await createTestDatabase();
});
afterEach(() => db.drop());

const cut = () =>
  db.query(
    `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and usename = 'psa_app'`,
  );

test('transactions that lose their connection keep no place in the pool', async () => {
  const orm = createOrm({ url: db.url, entities: [], poolSize: 2 });
  const tenant = new Database(orm, false).tenant(newUuid());
  for (let round = 0; round < 6; round++) {
    const work = tenant.transaction(async (em) => {
      if (round % 2) setTimeout(() => void cut(), 50);
      else await cut().then(() => sleep(50));
      await em.execute('select pg_sleep(30)'); // it never gets there
    });
    await expect(work).rejects.toThrow();
  }
  const answers = await Promise.all(
    [1, 2, 3].map((n) => tenant.transaction((em) => em.execute<{ n: number }[]>(`select ${n} as n`))),
  );
  expect(answers).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 3 }]]);
  await orm.close(true);
});

test('a connection that was cut while it lay in the pool is replaced', async () => {
  const orm = createOrm({ url: db.url, entities: [], poolSize: 2 });
  const tenant = new Database(orm, false).tenant(newUuid());
  await tenant.transaction((em) => em.execute('select 1'));
  await cut();
  await until(
    async () =>
      (await db.query(`select from pg_stat_activity where datname = current_database() and usename = 'psa_app'`))
        .length === 0,
    'it is gone',
  );
  await sleep(50); // the news of it are read
  await tenant.transaction((em) => em.execute('select 1'));
  await orm.close(true);
});

test('a query that is never answered gives its place back when it is given up', async () => {
  const proxy = await Proxy.to(db.url);
  const orm = createOrm({ url: proxy.url, entities: [], poolSize: 1, queryTimeoutMs: 300 });
  const tenant = new Database(orm, false).tenant(newUuid());
  const asked = () =>
    tenant
      .transaction((em) => em.execute('select 1'))
      .then(
        () => true,
        () => false,
      );
  await until(asked, 'it answers');
  proxy.mode = 'swallow';
  await expect(tenant.transaction((em) => em.execute('select 1'))).rejects.toThrow();
  proxy.mode = 'pass';
  await until(asked, 'it answers again');
  await orm.close(true);
  await proxy.close();
});
