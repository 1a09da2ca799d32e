import { ratio } from '../../src/features/insights/ratio.js';
import { takeOverUntold } from '../../src/features/insights/mrr-rollup.js';
import { createLogger } from '../../src/shared/logger.js';
import { MrrJob } from '../../src/features/insights/mrr-job.js';
import { amounts, type Month, mrr, paid, told } from './support/months.js';
import { eventId, Subscribers, type Told } from './support/subscribers.js';

let all: Subscribers;
beforeAll(async () => {
  all = await Subscribers.open();
});
afterAll(() => all?.close());

/** Stripe is not asked: nothing is unknown here that it would know. */
const jobParts = () => ({ database: all.database, stripe: all.stripe, logger: createLogger('silent') });

const table = (months: readonly Month[]) =>
  months.map(({ month, values }) => [month.slice(0, 7), ...amounts.slice(0, 7).map((name) => values[name]), values.customers]); // prettier-ignore

test('the months of a small business are those that were worked out by hand', async () => {
  const business = await all.aBusiness();
  const [anna, bert, cleo, dora] = [await business.aCustomer(), await business.aCustomer(), await business.aCustomer(), await business.aCustomer()]; // prettier-ignore
  const a1 = await business.aSubscription(anna);
  const a2 = await business.aSubscription(anna);
  const b = await business.aSubscription(bert);
  const c = await business.aSubscription(cleo);
  const d = await business.aSubscription(dora);
  const trial = { status: 'trialing', unitAmount: 3_000 } as const;
  await business.tell([
    // Anna: 10 seats at 12.00 a month; in March two fewer, and a second contract over 1,200.00 a year. Both end in May, she is back in July.
    told(a1, '2025-01-10T09:00:00Z', { quantity: 10, unitAmount: 1_200 }),
    told(a1, '2025-03-05T09:00:00Z', { quantity: 8, unitAmount: 1_200 }),
    told(a2, '2025-03-20T09:00:00Z', { unitAmount: 120_000, interval: 'year' }),
    told(a1, '2025-05-01T00:00:00Z', { quantity: 8, unitAmount: 1_200, status: 'canceled' }),
    told(a2, '2025-05-31T23:59:59Z', { unitAmount: 120_000, interval: 'year', status: 'canceled' }),
    // Bert: 9.99 a week; late with a payment in February, given up in April, paid after all in June.
    told(b, '2025-01-31T23:59:59Z', { unitAmount: 999, interval: 'week' }),
    told(b, '2025-02-10T09:00:00Z', { unitAmount: 999, interval: 'week', status: 'past_due' }),
    told(b, '2025-04-10T09:00:00Z', { unitAmount: 999, interval: 'week', status: 'unpaid' }),
    told(b, '2025-06-10T09:00:00Z', { unitAmount: 999, interval: 'week' }),
    // Cleo: a trial in February, over in March, paid in April. Paused for May, free of charge. From June on 30.50 every other month.
    told(c, '2025-02-15T09:00:00Z', trial),
    told(c, '2025-03-15T09:00:00Z', { ...trial, status: 'active' }),
    paid(c, '2025-04-02T09:00:00Z'),
    told(c, '2025-05-02T09:00:00Z', { unitAmount: 3_000, pause: 'void' }),
    told(c, '2025-06-02T09:00:00Z', { unitAmount: 3_050, intervalCount: 2 }),
    // Dora comes and goes within March: no month ends with her.
    told(d, '2025-03-02T09:00:00Z', { unitAmount: 5_000 }),
    told(d, '2025-03-30T09:00:00Z', { unitAmount: 5_000, status: 'canceled' }),
    // And in another currency, by itself; collected later, but collected.
    told(d, '2025-06-02T09:00:00Z', { unitAmount: 700, currency: 'eur', pause: 'keep_as_draft' }),
  ]);
  // 9.99 a week is 999 × 52 ÷ 12 = 4,329 a month; 30.50 every other month is 1,525.
  const months = await mrr(business, '2024-12-15', '2025-07-15');
  expect(table(months.filter(({ currency }) => currency === 'usd'))).toEqual([
    //           opening     new  expansion contraction churn reactivation closing customers
    ['2024-12',        0,      0,         0,          0,      0,         0,      0, 0], // prettier-ignore
    ['2025-01',        0, 16_329,         0,          0,      0,         0, 16_329, 2], // prettier-ignore
    ['2025-02',   16_329,      0,         0,          0,      0,         0, 16_329, 2], // prettier-ignore
    ['2025-03',   16_329,      0,     7_600,          0,      0,         0, 23_929, 2], // prettier-ignore
    ['2025-04',   23_929,  3_000,         0,          0,  4_329,         0, 22_600, 2], // prettier-ignore
    ['2025-05',   22_600,      0,         0,          0, 22_600,         0,      0, 0], // prettier-ignore
    ['2025-06',        0,      0,         0,          0,      0,     5_854,  5_854, 2], // prettier-ignore
    ['2025-07',    5_854,      0,         0,          0,      0,         0,  5_854, 2], // prettier-ignore
  ]);
  expect(
    months
      .filter(({ currency, values }) => currency === 'eur' && values.closing)
      .map(({ month, values }) => [month, values.new, values.arr]),
  ).toEqual([
    // prettier-ignore
    ['2025-06-01T00:00:00.000Z', 700, 8_400],
    ['2025-07-01T00:00:00.000Z', 0, 8_400],
  ]);
  const april = months.find(({ month, currency }) => month.startsWith('2025-04') && currency === 'usd')!;
  expect(april.values).toMatchObject({ arr: 271_200, newCustomers: 1, churnedCustomers: 1, reactivatedCustomers: 0 });
  expect(april.rates).toEqual(['0.5000', '0.1809', '0.1809']);
  const march = months.find(({ month, currency }) => month.startsWith('2025-03') && currency === 'usd')!;
  expect(march.rates).toEqual(['0.0000', '0.0000', '-0.4654']);
  expect(months[0]!.rates).toEqual([null, null, null]);

  const { mrrCohorts } = await business.ask(
    `{ mrrCohorts(from: "2025-01-01T00:00:00Z", to: "2025-07-01T00:00:00Z") { start currency months { month customers mrr { amount } } } }`,
  );
  expect(
    (mrrCohorts as { start: string; currency: string; months: { customers: number; mrr: { amount: number } }[] }[]).map(
      (cohort) => [
        cohort.start.slice(0, 7),
        cohort.currency,
        cohort.months.map((one) => [one.customers, one.mrr.amount]),
      ],
    ),
  ).toEqual([
    ['2025-01', 'usd', [[2, 16_329], [2, 16_329], [2, 23_929], [1, 19_600], [0, 0], [1, 4_329]]], // prettier-ignore
    ['2025-04', 'usd', [[1, 3_000], [0, 0], [1, 1_525]]], // prettier-ignore
    ['2025-06', 'eur', [[1, 700]]],
  ]);
});

test('trials are converted when they are paid, lost when they end, and open until then', async () => {
  const business = await all.aBusiness();
  const subs = await Promise.all(
    Array.from({ length: 4 }, async () => business.aSubscription(await business.aCustomer())),
  );
  const [a, b, c, d] = subs as [string, string, string, string];
  await business.tell([
    ...subs.map((sub) => told(sub, '2025-02-10T00:00:00Z', { status: 'trialing' })),
    paid(a, '2025-02-11T00:00:00Z'),
    told(b, '2025-03-10T00:00:00Z', { status: 'canceled' }),
    told(c, '2025-03-10T00:00:00Z', { status: 'active' }),
    paid(d, '2025-04-10T00:00:00Z'),
  ]);
  const query = `{ trialConversion(from: "2025-01-15T00:00:00Z", to: "2025-03-01T00:00:00Z") { month started converted lost open conversionRate } }`;
  expect((await business.ask(query)).trialConversion).toEqual([
    { month: '2025-01-01T00:00:00.000Z', started: 0, converted: 0, lost: 0, open: 0, conversionRate: null },
    { month: '2025-02-01T00:00:00.000Z', started: 4, converted: 2, lost: 1, open: 1, conversionRate: '0.6667' },
  ]);
});

test('months end at midnight where the tenant is, and move with it', async () => {
  const business = await all.aBusiness('Pacific/Auckland');
  const sub = await business.aSubscription(await business.aCustomer());
  await business.tell([told(sub, '2025-01-31T11:30:00Z', {})]); // half past midnight in February
  const newIn = async () => (await mrr(business, '2025-01-10', '2025-02-20')).filter(({ values }) => values.new).map(({ month }) => month); // prettier-ignore
  expect(await newIn()).toEqual(['2025-01-31T11:00:00.000Z']);
  await all.db.query(`update tenants set time_zone = 'Europe/Berlin' where id = $1`, [business.id]);
  expect(await newIn()).toEqual(['2024-12-31T23:00:00.000Z']);
});

test('of several states in one second the last holds, in whatever order they come', async () => {
  const at = '2025-01-10T09:00:00Z';
  const [one, two, three] = [{ quantity: 1 }, { quantity: 2 }, { quantity: 3 }];
  const cases: [string, number, (sub: string) => Told[]][] = [
    ['a chain', 3_000, (sub) => [told(sub, at, one), told(sub, at, two, one), told(sub, at, three, two)]],
    ['there and back', 1_000, (sub) => [told(sub, '2025-01-10T08:00:00Z', one), told(sub, at, two, one), told(sub, at, one, two)]], // prettier-ignore
    ['down a chain', 1_000, (sub) => [told(sub, at, three), told(sub, at, two, three), told(sub, at, one, two)]],
    ['what is final', 0, (sub) => [told(sub, at, { status: 'canceled' }), told(sub, at, two, one)]],
    ['incomplete, then active', 1_000, (sub) => [told(sub, at, { status: 'incomplete' }), told(sub, at, {}, { status: 'incomplete' })]], // prettier-ignore
    ['an update, and what it was about', 0, (sub) => [told(sub, at, { status: 'paused' }, {}), told(sub, at, { status: 'paused' }), told(sub, at, {})]], // prettier-ignore
  ];
  for (const [name, closing, story] of cases) {
    for (const order of [(list: Told[]) => list, (list: Told[]) => list.toReversed()]) {
      const business = await all.aBusiness();
      const sub = await business.aSubscription(await business.aCustomer());
      await business.tell(order(story(sub)));
      const [month] = await mrr(business, '2025-01-10', '2025-01-20');
      expect([name, month?.values.closing ?? 0]).toEqual([name, closing]);
    }
  }
});

test('what no event told is taken over from the subscription, and once', async () => {
  const business = await all.aBusiness();
  const row = { stripe_as_of: '2025-01-01T00:00:00Z', current_period_start: '2025-02-03T00:00:00Z' };
  const untold = await business.aSubscription(await business.aCustomer(), row);
  const changed = await business.aSubscription(await business.aCustomer(), { ...row, quantity: 5 });
  await business.tell([told(changed, '2025-01-10T00:00:00Z', { quantity: 4 })]);
  expect(await takeOverUntold(business.db, 3_600_000)).toBe(1); // they may still be told of; but one customer is new
  const closing = async (at: string) => (await mrr(business, at, at.replace(/\d\d$/, '28')))[0]?.values.closing;
  expect([await closing('2025-01-10'), await closing('2025-03-10')]).toEqual([4_000, 4_000]);
  await new MrrJob({ ...jobParts(), settledMs: 0 }).run({
    signal: new AbortController().signal,
  });
  expect([await closing('2025-01-10'), await closing('2025-03-10')]).toEqual([4_000, 5_000]);
  expect((await mrr(business, '2025-03-10', new Date().toISOString().slice(0, 10))).at(-1)!.values.closing).toBe(6_000);
  const lines = () => all.db.query('select 1 from subscription_history where stripe_subscription_id in ($1, $2)', [untold, changed]); // prettier-ignore
  expect(await lines()).toHaveLength(3);
  expect(await takeOverUntold(business.db, 0)).toBe(0);
  expect(await lines()).toHaveLength(3);
});

test('a tenant whose figures cannot be made does not keep the others from theirs', async () => {
  const businesses = [await all.aBusiness(), await all.aBusiness()];
  for (const business of businesses)
    await business.tell([told(await business.aSubscription(await business.aCustomer()), '2025-01-10T00:00:00Z', {})]);
  const [first, other] = businesses.map(({ db }) => db.tenantId).toSorted();
  // More than a number can be, and its turn comes before the other's.
  await all.db.query(
    `insert into subscription_history (tenant_id, livemode, stripe_account_id, stripe_subscription_id, kind, stripe_event_id, effective_at, status,
       quantity, unit_amount, currency, billing_interval, interval_count)
     select tenant_id, livemode, stripe_account_id, stripe_subscription_id, kind, $2, '2025-01-11', 'ACTIVE', 2, 9223372036854775807, currency,
       billing_interval, interval_count from subscription_history where tenant_id = $1`,
    [first, eventId()],
  );
  const job = new MrrJob(jobParts());
  await expect(job.run({ signal: new AbortController().signal })).rejects.toThrow('It failed for 1 of');
  const waiting = await all.db.query(
    'select distinct tenant_id from mrr_customers where reported <> rolled_up and tenant_id in ($1, $2)',
    [first, other],
  );
  expect(waiting).toEqual([{ tenant_id: first }]);
});

test('what is reported while it is rolled up is rolled up the next time', async () => {
  const business = await all.aBusiness();
  const sub = await business.aSubscription(await business.aCustomer());
  await business.tell([told(sub, '2025-01-10T00:00:00Z', {})]);
  const closing = async () => (await mrr(business, '2025-01-10', '2025-01-20'))[0]?.values.closing ?? 0;
  const held = business.db.transaction(async (em) => {
    // An event that is being processed.
    await em.execute('update mrr_customers set reported = reported + 1');
    expect(await business.rollUp()).toBe(0);
    return closing();
  });
  expect(await held).toBe(0);
  expect(await closing()).toBe(1_000);
});

test('a tenant sees the months of its own customers only', async () => {
  const [mine, theirs] = [await all.aBusiness(), await all.aBusiness()];
  await theirs.tell([told(await theirs.aSubscription(await theirs.aCustomer()), '2025-01-10T00:00:00Z', {})]);
  await theirs.rollUp();
  expect(await mrr(mine, '2025-01-10', '2025-01-20')).toEqual([]);
  expect(await mine.ask(`{ mrrCohorts(from: "2025-01-01T00:00:00Z", to: "2026-01-01T00:00:00Z") { start } }`)).toEqual({ mrrCohorts: [] }); // prettier-ignore
});

test.each([
  [1, 3, '0.3333'],
  [2, 3, '0.6667'],
  [1, 20_000, '0.0001'],
  [-1, 3, '-0.3333'],
  [-2, 3, '-0.6667'],
  [-5, 2, '-2.5000'],
  [0, 5, '0.0000'],
  [1, 0, null],
])('%d of %d is %s', (part, whole, expected) => {
  expect(ratio(part, whole)).toBe(expected);
});

test('the same months can be had as CSV, rolled up just before', async () => {
  const business = await all.aBusiness('America/Los_Angeles');
  const sub = await business.aSubscription(await business.aCustomer());
  await business.tell([told(sub, '2025-01-10T00:00:00Z', { unitAmount: 1_050 })]);
  await business.tell([told(sub, '2025-02-10T00:00:00Z', { unitAmount: 950 })]);
  const headers = { authorization: `Bearer ${business.token}` };
  const csv = await (await fetch(`${all.stage.url}/api/reports/mrr.csv?to=2025-03-01`, { headers })).text();
  expect(csv.trimEnd().split('\r\n')).toEqual([
    'month,currency,opening,new,expansion,contraction,churn,reactivation,closing,arr,customers,customers_new,customers_churned',
    '2025-01-01T08:00:00.000Z,usd,0.00,10.50,0.00,0.00,0.00,0.00,10.50,126.00,1,1,0',
    '2025-02-01T08:00:00.000Z,usd,10.50,0.00,0.00,1.00,0.00,0.00,9.50,114.00,1,0,0',
  ]);
});
