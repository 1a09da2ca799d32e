import { execFile } from 'node:child_process';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { type Bank, bankOf, type Tenant } from './support/bank.js';

let app: TestApp;
let bank: Bank;
let tenant: Tenant;

beforeAll(async () => {
  app = await startApp();
  bank = bankOf(app);
  tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  const { id } = await bank.paid(tenant, 10_000);
  await bank.paid(await app.aConnectedTenant(), 500);
  await bank.posted(tenant, 1);
  await until(async () => {
    const [row] = await app.db.query('select net from payments where id = $1', [id]);
    return row!.net !== null;
  }, 'the payment is booked');
});
afterAll(() => app.stop());

/** Runs the command as an operator would. */
function verify(...args: string[]): Promise<{ code: number; out: string; err: string }> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      ['dist/dev/ledger-verify.js', ...args],
      { env: { ...process.env, ...app.env } },
      (_error, out, err) => resolve({ code: child.exitCode ?? -1, out, err }),
    );
  });
}

test('books that are right: exit code 0, and how much was looked at', async () => {
  const { code, out, err } = await verify('--settle', '0');
  expect([code, out, err]).toEqual([
    0,
    '2 accounts, 2 transactions, 0 differences.\n',
    expect.stringContaining('100% 2 of 2'),
  ]);
});

test('a cent too much: exit code 3, where it is, and a row that keeps it', async () => {
  const change = (by: string) =>
    app.db.query(`set session_replication_role = replica;
      update ledger_postings set amount = amount ${by} where tenant_id = '${tenant.id}' and account = 'STRIPE_FEES';
      reset session_replication_role`);
  await change('+ 1');
  const { code, out } = await verify('--tenant', tenant.id);
  await change('- 1');
  expect(code).toBe(3);
  expect(out).toContain('ZERO_SUM');
  expect(out).toContain('USD 0.01 instead of USD 0.00');
  const [row] = await app.db.query(
    'select differences from ledger_checks where tenant_id = $1 order by checked_at desc limit 1',
    [tenant.id],
  );
  expect(row!.differences).toEqual(
    expect.arrayContaining([expect.objectContaining({ what: 'ZERO_SUM', expected: 0, found: 1 })]),
  );
  expect((await verify('--tenant', tenant.id)).code).toBe(0);
});

test('a mistake in the arguments: exit code 2 and how it is used', async () => {
  const { code, err } = await verify('--tenant', 'somebody');
  expect(code).toBe(2);
  expect(err).toContain('npm run ledger:verify');
});
