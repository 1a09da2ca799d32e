import { type MikroORM } from '@mikro-orm/postgresql';
import { Database, type TenantDb } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { together, withNext } from '../../src/db/together.js';
import { audit } from '../../src/features/audit/audit.js';
import { AuditEntry } from '../../src/features/audit/audit-entry.entity.js';
import { once } from '../../src/jobs/effects.js';
import { aTenant } from '../support/factories.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { Wire } from '../support/wire.js';

let db: TestDatabase;
let wire: Wire;
let orm: MikroORM;
let tenant: TenantDb;

beforeAll(async () => {
  db = await createTestDatabase();
  wire = await Wire.to(db.url);
  orm = createOrm({ url: wire.url, entities: [AuditEntry] });
  tenant = new Database(orm, false).tenant((await aTenant(db)).id);
  await tenant.transaction((em) => em.execute('select 1'));
});

afterAll(async () => {
  await orm?.close(true);
  await wire?.close();
  await db?.drop();
});

async function tripsOf(work: () => Promise<unknown>): Promise<number> {
  const before = wire.trips;
  await work();
  return wire.trips - before;
}

const change = { actor: 'user-1', action: 'test.done', subjectType: 'test', subjectId: null };
const auditEntries = () => db.query('select action from audit_log order by id');

test('what is asked together takes one round trip, keeps its order, and may be asked within what is asked', async () => {
  const asked = tenant.transaction((em) =>
    together(
      em,
      // The one that takes longest to ask is still the first that is asked.
      () => new Promise<void>((resolve) => setImmediate(resolve)).then(() => once(em, 'a')),
      () =>
        together(
          em,
          () => once(em, 'a'),
          () => em.execute('select 2 as n'),
        ),
      () => Promise.resolve('asked nothing'),
      async () => (await em.execute<unknown[]>('select 3 as n')).concat(await em.execute<unknown[]>('select 4 as n')),
    ),
  );
  expect(await asked).toEqual([true, [false, [{ n: 2 }]], 'asked nothing', [{ n: 3 }, { n: 4 }]]);

  const trips = await tripsOf(() =>
    tenant.transaction((em) =>
      together(
        em,
        () => em.execute('select 1'),
        () =>
          together(
            em,
            () => em.execute('select 2'),
            () => em.execute('select 3'),
          ),
      ),
    ),
  );
  expect(trips).toBe(2); // the second is COMMIT
});

test('a statement that is refused fails what was asked with it, and the transaction', async () => {
  const failed = tenant.transaction(async (em) => {
    await together(
      em,
      () => once(em, 'b'),
      () => em.execute('select 1 / 0'),
    );
  });
  await expect(failed).rejects.toThrow('division by zero');
  expect(await tenant.transaction((em) => once(em, 'b'))).toBe(true);
  // What fails by itself lets the others come to their end.
  const thrown = tenant.transaction((em) =>
    together(
      em,
      () => Promise.reject(new Error('not today')),
      () => em.execute('select 1'),
    ),
  );
  await expect(thrown).rejects.toThrow('not today');
});

test('what is left to be written travels with COMMIT', async () => {
  const trips = await tripsOf(() =>
    tenant.transaction(async (em) => {
      await em.execute('select 1');
      audit(em, change);
      await withNext(em, async () => void (await once(em, 'c')));
    }),
  );
  expect(trips).toBe(2);
  expect(await auditEntries()).toEqual([{ action: 'test.done' }]);
  expect(await tenant.transaction((em) => once(em, 'c'))).toBe(false);
});

test('what is refused with COMMIT leaves nothing behind, and the connection can be used', async () => {
  const before = await auditEntries();
  const refused = tenant.transaction(async (em) => {
    audit(em, change);
    await withNext(em, async () => void (await em.execute('select 1 / 0')));
  });
  await expect(refused).rejects.toThrow('division by zero');
  // What failed before anything was sent sends nothing.
  const trips = await tripsOf(async () => {
    const thrown = tenant.transaction(async (em) => {
      audit(em, change);
      await withNext(em);
      throw new Error('not today');
    });
    await expect(thrown).rejects.toThrow('not today');
  });
  expect(trips).toBe(0);
  expect(await auditEntries()).toEqual(before);
  expect(await tenant.transaction((em) => em.execute('select 1 as n'))).toEqual([{ n: 1 }]);
});
