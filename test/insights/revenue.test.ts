import { randomUUID } from 'node:crypto';
import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { postBookings } from '../../src/features/ledger/ledger-record.js';
import { type BookingReport } from '../../src/stripe/bookings.js';
import { type Stage, startStage } from '../graphql/stage.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { aStripeConfig, aTenant } from '../support/factories.js';
import { aToken } from '../support/tokens.js';

interface Booked {
  readonly at: string;
  readonly category?: string;
  readonly amount: number;
  readonly stripeFee?: number;
  readonly applicationFee?: number;
  readonly currency?: string;
}

interface Period {
  readonly start: string;
  readonly currency: string;
  readonly gross: number;
  readonly refunds: number;
  readonly disputes: number;
  readonly stripeFees: number;
  readonly applicationFees: number;
  readonly net: number;
  readonly payments: number;
}

let db: TestDatabase;
let stage: Stage;
let database: Database;

beforeAll(async () => {
  db = await createTestDatabase();
  stage = await startStage({}, db);
  database = new Database(createOrm({ url: db.url, entities }), false);
});
afterAll(async () => {
  await database?.orm.close(true);
  await stage?.stop();
  await db?.drop();
});

function reportOf({ at, category = 'charge', amount, stripeFee = 0, applicationFee = 0, currency = 'usd' }: Booked) {
  const net = amount - stripeFee - applicationFee;
  return {
    id: `txn_${randomUUID().replaceAll('-', '')}`,
    ...{ type: category, category, currency, amount, stripeFee, applicationFee, net },
    ...{ sourceId: null, chargeId: null, payoutId: null, description: null },
    ...{ created: new Date(at), availableOn: new Date(at) },
  } as unknown as BookingReport;
}

async function aBusiness(timeZone: string, bookings: readonly Booked[] = []) {
  const { id, name } = await aTenant(db, { time_zone: timeZone });
  const { accountId } = await aStripeConfig(db, { tenantId: id, default_currency: 'eur' });
  await database.tenant(id).transaction((em) => postBookings(em, accountId as never, bookings.map(reportOf)));
  return { id, name, token: await aToken({ tenantId: id, role: 'viewer' }) };
}

const money = '{ amount currency }';
const fields = `start gross ${money} refunds ${money} disputes ${money} stripeFees ${money} applicationFees ${money} net ${money} payments`;
type Answer = { start: string; payments: number } & Record<string, { amount: number; currency: string }>;

const flat = ({ start, payments, ...amounts }: Answer): Period => ({
  start,
  currency: amounts.gross!.currency,
  payments,
  ...(Object.fromEntries(Object.entries(amounts).map(([name, { amount }]) => [name, amount])) as Omit<
    Period,
    'start' | 'currency' | 'payments'
  >),
});

async function revenue(token: string, from: string, to: string, interval: string): Promise<Period[]> {
  const query = `query ($from: DateTime!, $to: DateTime!, $interval: ReportInterval!) {
    revenue(from: $from, to: $to, interval: $interval) { ${fields} } }`;
  const { data, errors } = await stage.ask(query, { from, to, interval }, token);
  expect(errors).toBeUndefined();
  return data.revenue.map(flat);
}

const grossOf = (periods: readonly Period[]) => periods.map(({ start, gross }) => [start, gross]);

test('what was booked counts in the period of the tenant, whatever the clock did on that day', async () => {
  const { token } = await aBusiness('Europe/Berlin', [
    { at: '2026-03-28T22:59:59Z', amount: 1 },
    { at: '2026-03-28T23:00:00Z', amount: 10 }, // midnight: the day that has 23 hours
    { at: '2026-03-29T21:59:59Z', amount: 100 },
    { at: '2026-03-29T22:00:00Z', amount: 1_000 },
    { at: '2026-10-24T22:00:00Z', amount: 2 }, // the day that has 25
    { at: '2026-10-25T22:59:59Z', amount: 20 },
    { at: '2026-10-25T23:00:00Z', amount: 200 },
  ]);
  expect(grossOf(await revenue(token, '2026-03-28T12:00:00Z', '2026-03-30T12:00:00Z', 'DAY'))).toEqual([
    ['2026-03-27T23:00:00.000Z', 1],
    ['2026-03-28T23:00:00.000Z', 110],
    ['2026-03-29T22:00:00.000Z', 1_000],
  ]);
  expect(grossOf(await revenue(token, '2026-10-24T22:00:00Z', '2026-10-25T23:00:00.001Z', 'DAY'))).toEqual([
    ['2026-10-24T22:00:00.000Z', 22],
    ['2026-10-25T23:00:00.000Z', 200],
  ]);
  // Weeks begin on Mondays.
  expect(grossOf(await revenue(token, '2026-03-23T00:00:00Z', '2026-03-30T00:00:00Z', 'WEEK'))).toEqual([
    ['2026-03-22T23:00:00.000Z', 111],
    ['2026-03-29T22:00:00.000Z', 1_000],
  ]);
  expect(grossOf(await revenue(token, '2026-09-01T00:00:00Z', '2026-11-01T00:00:00Z', 'MONTH'))).toEqual([
    ['2026-08-31T22:00:00.000Z', 0],
    ['2026-09-30T22:00:00.000Z', 222],
    ['2026-10-31T23:00:00.000Z', 0],
  ]);
});

test('a midnight that comes twice begins the day the first time, and one that does not come when the clock jumps', async () => {
  const { token } = await aBusiness('America/Havana', [
    { at: '2026-11-01T03:59:59Z', amount: 1 },
    { at: '2026-11-01T04:30:00Z', amount: 10 }, // 00:30, and an hour later 00:30 again
    { at: '2026-11-01T05:30:00Z', amount: 100 },
    { at: '2026-03-08T04:59:59Z', amount: 1 },
    { at: '2026-03-08T05:00:00Z', amount: 10 }, // 01:00, just after 23:59
  ]);
  expect(grossOf(await revenue(token, '2026-10-31T12:00:00Z', '2026-11-01T12:00:00Z', 'DAY'))).toEqual([
    ['2026-10-31T04:00:00.000Z', 1],
    ['2026-11-01T04:00:00.000Z', 110],
  ]);
  expect(grossOf(await revenue(token, '2026-03-07T12:00:00Z', '2026-03-08T12:00:00Z', 'DAY'))).toEqual([
    ['2026-03-07T05:00:00.000Z', 1],
    ['2026-03-08T05:00:00.000Z', 10],
  ]);
});

test.each(['UTC', 'Australia/Sydney', 'America/St_Johns'])(
  'the periods of a year add up to the ledger, each currency by itself: %s',
  async (timeZone) => {
    const categories = ['charge', 'charge', 'charge_failure', 'refund', 'refund_failure', 'dispute', 'dispute_reversal', 'fee', 'payout', 'other']; // prettier-ignore
    const bookings = Array.from({ length: 300 }, (_, i) => {
      const category = categories[i % categories.length]!;
      const isOut = ['charge_failure', 'refund', 'dispute', 'fee', 'payout'].includes(category);
      const at = new Date(Date.UTC(2026, 0, 1) + i * 29.3 * 3_600_000).toISOString();
      const amount = (isOut ? -1 : 1) * (1_000 + i);
      const fees = category === 'charge' ? { stripeFee: 59 + (i % 7), applicationFee: 25 } : {};
      return { at, category, amount, ...fees, currency: i % 3 ? 'usd' : 'jpy' };
    });
    const { id, token } = await aBusiness(timeZone, bookings);
    const inLedger = await db.query<{ currency: string; account: string; total: string; n: string }>(
      `select currency, account, sum(amount) as total, count(*) as n from ledger_postings where tenant_id = $1 group by 1, 2`,
      [id],
    );
    const of = (currency: string, account: string) =>
      Number(inLedger.find((row) => row.currency === currency && row.account === account)?.total ?? 0);
    for (const interval of ['DAY', 'WEEK', 'MONTH']) {
      const all = await revenue(token, '2026-01-01T00:00:00Z', '2027-01-10T00:00:00Z', interval);
      for (const currency of ['usd', 'jpy']) {
        const sum = (name: keyof Period) =>
          all.filter((one) => one.currency === currency).reduce((total, one) => total + (one[name] as number), 0);
        expect(sum('gross')).toBe(-of(currency, 'CUSTOMER_RECEIVABLE'));
        expect(sum('refunds')).toBe(of(currency, 'REFUNDS'));
        expect(sum('disputes')).toBe(of(currency, 'DISPUTES'));
        expect(sum('stripeFees')).toBe(of(currency, 'STRIPE_FEES'));
        expect(sum('applicationFees')).toBe(of(currency, 'APPLICATION_FEES'));
        // What else changed the balance is no revenue: payouts, and what nobody knows.
        expect(sum('net')).toBe(
          of(currency, 'STRIPE_BALANCE') + of(currency, 'PAYOUTS') + of(currency, 'SUSPENSE') + of(currency, 'BANK'),
        );
        expect(sum('payments')).toBe(
          bookings.filter((one) => one.category === 'charge' && one.currency === currency).length,
        );
      }
      const starts = all.filter(({ currency }) => currency === 'usd').map(({ start }) => start);
      expect(new Set(starts).size).toBe(starts.length);
      expect(all).toHaveLength(2 * starts.length);
    }
  },
);

test('without any booking there are periods of nothing, in the currency of the account', async () => {
  const { token } = await aBusiness('UTC');
  const periods = await revenue(token, '2026-01-01T00:00:00Z', '2026-03-01T00:00:00Z', 'MONTH');
  expect(periods).toEqual(
    ['2026-01-01T00:00:00.000Z', '2026-02-01T00:00:00.000Z'].map((start) => ({
      ...{ start, currency: 'eur', gross: 0, refunds: 0, disputes: 0, stripeFees: 0, applicationFees: 0, net: 0 },
      payments: 0,
    })),
  );
});

test.each([
  ['2026-01-01T00:00:00Z', '2026-01-01T00:00:00Z', 'DAY'],
  ['2020-01-01T00:00:00Z', '2026-01-01T00:00:00Z', 'DAY'],
])('from %s to %s by %s is refused', async (from, to, interval) => {
  const { token } = await aBusiness('UTC');
  const query = `{ revenue(from: "${from}", to: "${to}", interval: ${interval}) { start } }`;
  expect((await stage.ask(query, {}, token)).errors![0]!.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: 'to' }); // prettier-ignore
});

test('the platform sees what all took together, and what it earned of whom; of its own mode only', async () => {
  const fee = { amount: 10_000, stripeFee: 320, applicationFee: 250, currency: 'nok' };
  const [one, other] = [
    await aBusiness('Asia/Tokyo', [{ at: '2027-05-01T10:00:00Z', ...fee }]),
    await aBusiness('UTC', [
      { at: '2027-05-02T10:00:00Z', ...fee },
      { at: '2027-05-03T10:00:00Z', ...fee, amount: 500, stripeFee: 0, applicationFee: 5 },
    ]),
  ];
  const atLive = { ...reportOf({ at: '2027-05-02T10:00:00Z', amount: 77, currency: 'nok' }) };
  const live = new Database(database.orm, true);
  await live.tenant(one.id).transaction((em) => postBookings(em, 'acct_live', [atLive]));
  const platform = await aToken({ role: 'platform_admin' });
  const range = 'from: "2027-05-01T00:00:00Z", to: "2027-06-01T00:00:00Z"';
  const query = `{ platform { revenue(${range}, interval: MONTH) { ${fields} }
    applicationFees(${range}) { tenantId tenantName currency payments gross ${money} applicationFees ${money} } } }`;
  const { data, errors } = await stage.ask(query, {}, platform);
  expect(errors).toBeUndefined();
  const { revenue: together, applicationFees } = data.platform;
  expect(together.map(flat)).toEqual([
    {
      ...{
        start: '2027-05-01T00:00:00.000Z',
        currency: 'nok',
        gross: 20_500,
        refunds: 0,
        disputes: 0,
        stripeFees: 640,
      },
      ...{ applicationFees: 505, net: 19_355, payments: 3 },
    },
  ]);
  const nok = (amount: number) => ({ amount, currency: 'nok' });
  expect(applicationFees).toEqual(
    [
      { ...one, payments: 1, gross: nok(10_000), applicationFees: nok(250) },
      { ...other, payments: 2, gross: nok(10_500), applicationFees: nok(255) },
    ]
      .map(({ id, name, token: _, ...rest }) => ({ tenantId: id, tenantName: name, currency: 'nok', ...rest }))
      .toSorted((a, b) => (a.tenantName < b.tenantName ? -1 : 1)),
  );
  const mine = await revenue(one.token, '2027-05-01T00:00:00Z', '2027-05-02T00:00:00Z', 'MONTH');
  expect(mine.reduce((total, { gross }) => total + gross, 0)).toBe(10_000);
});

test('the same figures can be had as CSV, up to now, page after page', async () => {
  const first = Date.UTC(2024, 0, 1, 12);
  const { token } = await aBusiness('Europe/Berlin', [
    { at: new Date(first).toISOString(), amount: 12_345, stripeFee: 45 },
    { at: new Date(first).toISOString(), amount: 700, currency: 'jpy' },
    { at: new Date(first + 900 * 86_400_000).toISOString(), category: 'refund', amount: -45 },
  ]);
  const linesOf = async (path: string) => {
    const headers = { authorization: `Bearer ${token}` };
    const text = await (await fetch(`${stage.url}/api/reports/${path}`, { headers })).text();
    return text.trimEnd().split('\r\n');
  };
  expect(await linesOf('revenue-monthly.csv?from=2023-12-31T23:30:00Z&to=2024-02-01T00:00:00Z')).toEqual([
    'start,currency,gross,refunds,disputes,stripe_fees,application_fees,net,payments',
    '2023-12-31T23:00:00.000Z,jpy,700,0,0,0,0,700,1',
    '2023-12-31T23:00:00.000Z,usd,123.45,0.00,0.00,0.45,0.00,123.00,1',
    '2024-01-31T23:00:00.000Z,jpy,0,0,0,0,0,0,0',
    '2024-01-31T23:00:00.000Z,usd,0.00,0.00,0.00,0.00,0.00,0.00,0',
  ]);
  const days = (await linesOf('revenue-daily.csv')).slice(1);
  // From the first booking to today, in two currencies, none twice.
  expect(new Set(days.map((line) => line.split(',', 2).join())).size).toBe(days.length);
  expect(days.length).toBeGreaterThan(1_800);
  expect(days.filter((line) => !/,0(\.00)?,0(\.00)?,0(\.00)?,0(\.00)?,0(\.00)?,0(\.00)?,0$/.test(line))).toHaveLength(
    3,
  );
  expect(await linesOf('revenue-weekly.csv?from=2030-01-01&to=2030-02-01')).toHaveLength(1);
});
