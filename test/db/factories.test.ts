import { createTestDatabase, connectTo, type TestDatabase } from '../support/database.js';
import { aContract, aCustomer, anInvoice, aStripeConfig, aTenant } from '../support/factories.js';

let db: TestDatabase;
beforeAll(async () => {
  db = await createTestDatabase();
});
afterAll(() => db.drop());

test('every factory makes up the parents it needs, and takes those it is given', async () => {
  const tenant = await aTenant(db, { name: 'Given' });
  const customer = await aCustomer(db, { tenantId: tenant.id });
  const given = { tenantId: tenant.id, customerId: customer.id };
  expect(await anInvoice(db, { ...given, total: 4_200 })).toMatchObject(given);
  expect(await aContract(db, given)).toMatchObject({ tenantId: tenant.id });
  expect(await aStripeConfig(db, { tenantId: tenant.id })).toMatchObject({ tenantId: tenant.id });

  const alone = await Promise.all([aCustomer(db), anInvoice(db), aContract(db), aStripeConfig(db)]);
  expect(new Set(alone.map(({ tenantId }) => tenantId)).size).toBe(4);
});

test('a test sees the database as the server does: without a role nothing, whatever was put in', async () => {
  await anInvoice(db);
  const client = await connectTo(db.url);
  try {
    await expect(client.query('select * from invoices')).rejects.toThrow(/permission denied/);
  } finally {
    await client.end();
  }
});

test('databases of two test files have nothing in common', async () => {
  const other = await createTestDatabase();
  try {
    await aTenant(db);
    expect(await other.query('select * from tenants')).toEqual([]);
  } finally {
    await other.drop();
  }
});
