import { execFile } from 'node:child_process';
import { Bookkeeper } from '../../src/features/ledger/bookkeeper.js';
import { ledgerChecks } from '../../src/features/ledger/ledger-check.js';
import { LedgerVerification } from '../../src/features/ledger/ledger-verification.js';
import { payoutChecks } from '../../src/features/payouts/payout-books.js';
import { metrics } from '../../src/shared/metrics.js';
import { partsOn } from '../webhooks/parts.js';
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
      ['dist/bin/ledger-verify.js', ...args],
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

test('by the clock all books are proven; what is found shows in driftReport and in the metrics', async () => {
  const parts = partsOn(app.db, app.sandbox);
  const checks = [...ledgerChecks, ...payoutChecks];
  const job = new LedgerVerification({ ...parts, checks });
  const { signal } = new AbortController();
  const bookkeeper = new Bookkeeper(parts.database, parts.stripe, [], checks, { logger: parts.logger, roundMs: 50 });
  const change = (by: string) =>
    app.db.query(`set session_replication_role = replica;
      update ledger_postings set amount = amount ${by} where tenant_id = '${tenant.id}' and account = 'STRIPE_FEES';
      update platform_ledger_postings set amount = amount ${by} where account = 'STRIPE_BALANCE';
      reset session_replication_role`);
  const seen = async () => {
    const query = '{ driftReport { books { transactions differences { what } } } }';
    return (await app.ask(query, {}, await app.token(tenant, 'viewer'))).driftReport.books as Record<string, unknown>;
  };
  const measured = (name: string, value: number) =>
    until(
      async () => (await metrics.getSingleMetricAsString(name)).endsWith(`\n${name} ${value}`),
      `${name} is ${value}`,
    );
  try {
    await app.db.query(`update payments set updated_at = now() - interval '1 hour'`);
    await change('+ 1');
    await job.run({ signal });
    const { differences } = (await seen()) as { differences: { what: string }[] };
    expect(differences.map(({ what }) => what)).toContain('ZERO_SUM');
    bookkeeper.start();
    await measured('ledger_differences', 1);
    await measured('ledger_platform_differences', 2);
    await change('- 1');
    await job.run({ signal });
    expect(await seen()).toMatchObject({ differences: [] });
    await measured('ledger_differences', 0);
    await measured('ledger_platform_differences', 0);
  } finally {
    await bookkeeper.stop();
    await parts.close();
  }
});
