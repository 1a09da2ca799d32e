import { stat } from 'node:fs/promises';
import { jwtVerify } from 'jose';
import { issueTokens } from '../../dev/dev-file.js';
import { demoTenants, seedRows } from '../../dev/seed.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { localDirectory } from '../../dev/local-directory.js';

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

const counts = () =>
  db.query(`select (select count(*)::int from tenants) as tenants, (select count(*)::int from users) as users,
    (select count(*)::int from customers) as customers, (select count(*)::int from contracts) as contracts,
    (select count(*)::int from invoices) as invoices, (select md5(string_agg(i::text, '' order by number)) from invoices i) as content`);

test('seeding again changes nothing, not even what was changed since', async () => {
  await seedRows(db.adminUrl);
  const [first] = await counts();
  expect(first).toMatchObject({ tenants: 3, users: 9, customers: 10, contracts: 4 });
  await seedRows(db.adminUrl);
  expect(await counts()).toEqual([first]);

  await db.query(
    `update invoices set amount_paid = total, payment_status = 'PAID', status = 'PAID' where number = 'HAR-1001'`,
  );
  const [changed] = await counts();
  await seedRows(db.adminUrl);
  expect(await counts()).toEqual([changed]);
});

test('there is a tenant at each stage, and the one that is new has an invoice over 100.00', async () => {
  expect(demoTenants.map(({ stage }) => stage)).toEqual(['onboarded', 'half', 'none']);
  const fresh = demoTenants.find(({ stage }) => stage === 'none')!;
  expect(await db.query('select 1 from invoices where tenant_id = $1 and total = 10000', [fresh.id])).not.toEqual([]);
});

test('tokens say who one is, and nothing else', async () => {
  const secret = 'a-secret-for-this-test-0123456789abcdef';
  const tokens = await issueTokens({ secret, issuer: 'i', audience: 'a' }, demoTenants);
  expect(tokens.tenants.map(({ name }) => name)).toEqual(demoTenants.map(({ name }) => name));
  const check = async (token: string) =>
    (await jwtVerify(token, new TextEncoder().encode(secret), { issuer: 'i', audience: 'a' })).payload;
  expect(await check(tokens.tenants[1]!.billing)).toMatchObject({ tenant_id: demoTenants[1]!.id, role: 'billing' });
  expect(Object.keys(await check(tokens.platformAdmin)).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'role', 'sub']);
});

test('the directory for local things is in the checkout', async () => {
  expect((await stat(`${localDirectory}/../package.json`)).isFile()).toBe(true);
});
