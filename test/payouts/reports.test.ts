import { type TenantDb } from '../../src/db/database.js';
import { decimalOf, pageSize, reports, rowsOf } from '../../src/features/payouts/reports.js';
import { bankOf, type Bank, type Tenant } from '../ledger/support/bank.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { partsOn } from '../webhooks/parts.js';

let app: TestApp;
let bank: Bank;
let tenant: Tenant;
let token: string;

beforeAll(async () => {
  app = await startApp();
  bank = bankOf(app);
  tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  token = await app.token(tenant, 'viewer');
});
afterAll(() => app.stop());

const get = (path: string, as: string | null = token) =>
  fetch(`${app.url}/api/reports/${path}`, { headers: as ? { authorization: `Bearer ${as}` } : {} });

/** The lines of a file, by column. Nothing in these tests has a comma in it. */
async function linesOf(path: string): Promise<Record<string, string>[]> {
  const [head, ...lines] = (await (await get(path)).text()).trimEnd().split('\r\n');
  const columns = head!.replace(/^\uFEFF/, '').split(',');
  return lines.map((line) => Object.fromEntries(line.split(',').map((cell, i) => [columns[i]!, cell])));
}

test('payments, books and payouts can be had as CSV, with the same amounts as in the API', async () => {
  const { id } = await bank.paid(tenant, 10_000);
  await bank.posted(tenant, 1);
  await app.sandbox.control('/advance', { seconds: 4 * 86_400 });
  await until(async () => (await bank.accounts(tenant)).BANK, 'the money arrived');
  const answer = await get('payments.csv');
  expect(answer.headers.get('content-type')).toBe('text/csv; charset=utf-8');
  expect(answer.headers.get('content-disposition')).toBe('attachment; filename=payments.csv');
  await answer.text();
  expect(await linesOf('payments.csv')).toMatchObject([
    {
      id,
      status: 'SUCCEEDED',
      amount: '100.00',
      stripe_fee: '3.20',
      application_fee: '2.50',
      net: '94.30',
      payout: expect.stringMatching(/^po_/),
    },
  ]);
  const lines = await linesOf('ledger.csv');
  expect(
    lines
      .slice(0, 4)
      .map(({ account, debit, credit }) => [account, debit || `-${credit}`])
      .toSorted(),
  ).toEqual([
    ['APPLICATION_FEES', '2.50'],
    ['CUSTOMER_RECEIVABLE', '-100.00'],
    ['STRIPE_BALANCE', '94.30'],
    ['STRIPE_FEES', '3.20'],
  ]);
  expect(lines[0]).toMatchObject({ number: '1', transaction: '1', payment: id });
  expect(await linesOf('payouts.csv')).toMatchObject([
    { amount: '94.30', payments: '100.00', fees: '-5.70', total: '94.30', status: 'PAID' },
  ]);
});

test('a text that begins like a formula is no formula any more; a negative amount stays a number', async () => {
  const other = await app.aConnectedTenant();
  const { id } = await bank.paid(other, 1_000);
  await app.db.query(`update payments set description = '=1+1' where id = $1`, [id]);
  await app.db.query(`update customers set name = '@SUM(A1)' where tenant_id = $1`, [other.id]);
  await bank.posted(other, 1);
  const mine = await app.token(other);
  const payments = await (await get('payments.csv', mine)).text();
  expect(payments).toContain("'=1+1");
  expect(payments).toContain(",'@SUM(A1),");
  const ledger = await (await get('ledger.csv', mine)).text();
  expect(ledger).toMatch(/,10\.00,-10\.00,/);
});

test('a file of many pages is whole, in order, and only of the time that was asked for', async () => {
  const busy = await app.aConnectedTenant();
  await app.db.query(
    `insert into payments (tenant_id, livemode, stripe_account_id, stripe_payment_intent_id, amount, currency, created_at)
     select $1, false, $2, 'pi_many' || n, n, 'usd', '2026-01-01T00:00:00Z'::timestamptz + (n / 7) * interval '1 second'
     from generate_series(1, 2500) n`,
    [busy.id, busy.accountId],
  );
  const mine = await app.token(busy);
  const lines = (await (await get('payments.csv', mine)).text()).trimEnd().split('\r\n').slice(1);
  expect(lines).toHaveLength(2_500);
  expect(new Set(lines.map((line) => line.split(',')[0])).size).toBe(2_500);
  const part = await (await get('payments.csv?from=2026-01-01T00:00:10Z&to=2026-01-01T00:00:12Z', mine)).text();
  expect(part.trimEnd().split('\r\n')).toHaveLength(1 + 14);
});

test('a file is read a page at a time, as fast as it is taken and no faster', async () => {
  const busy = await app.aConnectedTenant();
  await app.db.query(
    `insert into payments (tenant_id, livemode, stripe_account_id, stripe_payment_intent_id, amount, currency)
     select $1, false, $2, 'pi_slow' || n, n, 'usd' from generate_series(1, $3) n`,
    [busy.id, busy.accountId, 3 * pageSize],
  );
  const parts = partsOn(app.db, app.sandbox);
  const db = parts.database.tenant(busy.id);
  let pages = 0;
  const counting = { transaction: (work) => ((pages += 1), db.transaction(work)) } as Pick<TenantDb, 'transaction'>;
  const rows = rowsOf(counting as TenantDb, reports.payments!, { from: null, to: null });
  const take = async (count: number) => {
    for (let i = 0; i < count; i += 1) await rows.next();
    return pages;
  };
  expect([await take(1), await take(pageSize - 1), await take(1)]).toEqual([1, 1, 2]);
  await rows.return(undefined);
  expect(pages).toBe(2);
  await parts.close();
});

test('nobody gets a file of somebody else, without a token, or one that there is not', async () => {
  const stranger = await app.aConnectedTenant();
  const lines = (await (await get('payments.csv', await app.token(stranger))).text()).trimEnd().split('\r\n');
  expect(lines).toHaveLength(1);
  expect((await get('payments.csv', null)).status).toBe(401);
  expect((await get('payments.csv', 'nonsense')).status).toBe(401);
  expect((await get('payments.csv', await app.token(stranger, 'platform_admin'))).status).toBe(403);
  expect((await get('customers.csv')).status).toBe(404);
  expect((await get('constructor.csv')).status).toBe(404);
  expect((await get('payments.csv?from=yesterday')).status).toBe(400);
});

test.each([
  [9_430, 'usd', '94.30'],
  [-5, 'usd', '-0.05'],
  [500, 'jpy', '500'],
  [1_230, 'kwd', '1.230'],
  ['9007199254740993', 'usd', '90071992547409.93'],
])('%s minor units of %s are written %s', (minor, currency, text) => {
  expect(decimalOf(minor, currency)?.text).toBe(text);
});
