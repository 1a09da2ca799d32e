import { MrrJob } from '../../src/features/insights/mrr-job.js';
import { takeOverUntold } from '../../src/features/insights/mrr-rollup.js';
import { createLogger } from '../../src/shared/logger.js';
import { mrr, told } from './support/months.js';
import { type Business, type DiscountTold, type State, Subscribers, type Told } from './support/subscribers.js';

let all: Subscribers;
beforeAll(async () => {
  all = await Subscribers.open();
});
afterAll(() => all?.close());

let made = 0;
const aDiscountId = () => `di_${(made += 1)}`;
const closings = async (business: Business, from: string, to: string) =>
  (await mrr(business, from, to)).map(({ values }) => values.closing);

/** A subscription of a customer of its own that began on 10 January 2025, with what is taken off it. */
async function aDiscounted(business: Business, state: State, ...discounts: Omit<DiscountTold, 'id'>[]) {
  const sub = await business.aSubscription(await business.aCustomer());
  const ids = discounts.map(aDiscountId);
  for (const [i, discount] of discounts.entries()) await business.tellDiscount(sub, { id: ids[i]!, ...discount });
  await business.tell([told(sub, '2025-01-10T09:00:00Z', { ...state, discounts: ids })]);
  return { sub, ids };
}

test.each<[string, State, Omit<DiscountTold, 'id'>[], number]>([
  ['a quarter off', { unitAmount: 1_000 }, [{ percentOff: 25 }], 750],
  ['a quarter off each seat', { unitAmount: 999, quantity: 3 }, [{ percentOff: 25 }], 2_248], // 2,247.75
  ['an amount off, whatever the seats', { unitAmount: 1_000, quantity: 5 }, [{ amountOff: 700 }], 4_300],
  ['half a cent', { unitAmount: 1_001 }, [{ percentOff: 50 }], 501], // 500.50
  ['a percentage with decimals', { unitAmount: 10_000 }, [{ percentOff: 33.33 }], 6_667],
  ['a percentage, then an amount', { unitAmount: 10_000 }, [{ percentOff: 10 }, { amountOff: 500 }], 8_500],
  ['an amount, then a percentage', { unitAmount: 10_000 }, [{ amountOff: 500 }, { percentOff: 10 }], 8_550],
  ['three of them', { unitAmount: 10_000 }, [{ percentOff: 50 }, { percentOff: 50 }, { amountOff: 1 }], 2_499],
  ['more than there is', { unitAmount: 1_000 }, [{ amountOff: 1_200 }], 0],
  ['more than there is, and then some of nothing', { unitAmount: 1_000 }, [{ amountOff: 1_200 }, { percentOff: 10 }], 0], // prettier-ignore
  ['all of it', { unitAmount: 1_000 }, [{ percentOff: 100 }], 0],
  ['an amount off each year', { unitAmount: 120_000, interval: 'year' }, [{ amountOff: 12_000 }], 9_000],
  ['a percentage off each year', { unitAmount: 99_999, interval: 'year' }, [{ percentOff: 15 }], 7_083], // 7,083.2625
  ['an amount off each week', { unitAmount: 999, interval: 'week' }, [{ amountOff: 99 }], 3_900], // 900 × 52 ÷ 12
  ['an amount off each quarter', { unitAmount: 3_000, intervalCount: 3 }, [{ amountOff: 300 }], 900],
  ['an amount in another currency', { unitAmount: 1_000 }, [{ amountOff: 300, currency: 'eur' }, { percentOff: 10 }], 900], // prettier-ignore
  ['what is for one charge', { unitAmount: 1_000 }, [{ percentOff: 50, duration: 'once' }, { percentOff: 10 }], 900],
  ['what was over before it began', { unitAmount: 1_000 }, [{ percentOff: 50, duration: 'repeating', endsAt: '2025-01-10T09:00:00Z' }], 1_000], // prettier-ignore
])('%s is taken off a price before it is counted by the month', async (_name, state, discounts, closing) => {
  const business = await all.aBusiness();
  await aDiscounted(business, state, ...discounts);
  expect((await closings(business, '2025-01-15', '2025-01-20'))[0] ?? 0).toBe(closing);
});

test('the months of discounts that come and go are those that were worked out by hand', async () => {
  const business = await all.aBusiness();
  const repeating = { duration: 'repeating' as const };
  // Anna: 100.00 a month, a quarter off for three months from January on; in June 10.00 off for good.
  const anna = await aDiscounted(business, { unitAmount: 10_000 }, { percentOff: 25, ...repeating, endsAt: '2025-04-10T09:00:00Z' }); // prettier-ignore
  const forGood = aDiscountId();
  await business.tellDiscount(anna.sub, { id: forGood, amountOff: 1_000 });
  // Bert: 1,200.00 a year, half off it as long as he is asked for it, until the middle of March; ten percent stay.
  const bert = await aDiscounted(business, { unitAmount: 120_000, interval: 'year' }, { percentOff: 50 }, { percentOff: 10 }); // prettier-ignore
  await business.tellDiscount(bert.sub, { id: bert.ids[0]!, percentOff: 50, removedAt: '2025-03-15T09:00:00Z' });
  // Cleo: half off her first charge only, which is no matter of any month; all of it off until the end of February, when she leaves.
  const cleo = await aDiscounted(business, { unitAmount: 2_000 }, { percentOff: 50, duration: 'once' });
  const free = aDiscountId();
  await business.tellDiscount(cleo.sub, { id: free, percentOff: 100, ...repeating, endsAt: '2025-12-01T00:00:00Z' });
  await business.tell([
    told(anna.sub, '2025-06-05T09:00:00Z', { unitAmount: 10_000, discounts: [forGood] }),
    told(cleo.sub, '2025-02-03T09:00:00Z', { unitAmount: 2_000, discounts: [free] }),
    told(cleo.sub, '2025-04-20T09:00:00Z', { unitAmount: 2_000, discounts: [free], status: 'canceled' }),
  ]);
  const rows = await mrr(business, '2025-01-15', '2025-06-20');
  expect(
    rows.map(({ month, values }) => [month.slice(0, 7), values.new, values.expansion, values.contraction, values.churn, values.closing]), // prettier-ignore
  ).toEqual([
    //           new    expansion contraction churn closing
    ['2025-01', 14_000, 0, 0, 0, 14_000], // 75.00 + 45.00 + 20.00, prettier-ignore
    ['2025-02',      0,        0,        0,  2_000, 12_000], // prettier-ignore
    ['2025-03', 0, 4_500, 0, 0, 16_500], // 75.00 + 90.00, prettier-ignore
    ['2025-04', 0, 2_500, 0, 0, 19_000], // 100.00 + 90.00, prettier-ignore
    ['2025-05',      0,        0,        0,      0, 19_000], // prettier-ignore
    ['2025-06',      0,        0,    1_000,      0, 18_000], // prettier-ignore
  ]);
  const incremental = await business.rolledUp();
  await business.rollUpAnew();
  expect(await business.rolledUp()).toEqual(incremental);
});

test('a discount that nothing is known of yet takes nothing off, and what is told of it later counts from its beginning', async () => {
  const business = await all.aBusiness();
  const sub = await business.aSubscription(await business.aCustomer());
  await business.tell([told(sub, '2025-01-10T09:00:00Z', { unitAmount: 1_000, discounts: ['di_late'] })]);
  expect(await closings(business, '2025-01-15', '2025-02-20')).toEqual([1_000, 1_000]);
  await business.tellDiscount(sub, { id: 'di_late', percentOff: 10 });
  expect(await closings(business, '2025-01-15', '2025-02-20')).toEqual([900, 900]);
});

test('a change of discounts alone is told apart from others of its second, in whatever order they come', async () => {
  const at = '2025-01-10T09:00:00Z';
  const [none, half, tenth] = [{ discounts: [] }, { discounts: ['di_half'] }, { discounts: ['di_tenth'] }];
  const cases: [string, number, (sub: string) => Told[]][] = [
    ['given', 500, (sub) => [told(sub, at, none), told(sub, at, half, none)]],
    ['taken away', 1_000, (sub) => [told(sub, at, half), told(sub, at, none, half)]],
    ['exchanged', 900, (sub) => [told(sub, at, none), told(sub, at, half, none), told(sub, at, tenth, half)]],
  ];
  for (const [name, closing, story] of cases)
    for (const order of [(list: Told[]) => list, (list: Told[]) => list.toReversed()]) {
      const business = await all.aBusiness();
      const sub = await business.aSubscription(await business.aCustomer());
      await business.tellDiscount(sub, { id: 'di_half', percentOff: 50 });
      await business.tellDiscount(sub, { id: 'di_tenth', percentOff: 10 });
      await business.tell(order(story(sub)));
      expect([name, (await closings(business, '2025-01-15', '2025-01-20'))[0]]).toEqual([name, closing]);
    }
});

test('what is said of a discount is the same in whatever order it is said', async () => {
  const whole: Omit<DiscountTold, 'id'> = { percentOff: 40, duration: 'repeating', endsAt: '2025-06-01T00:00:00Z' };
  const stories = [
    [whole, { ...whole, removedAt: '2025-03-05T00:00:00Z' }, { removedAt: '2025-04-09T00:00:00Z' }],
    [{ removedAt: '2025-04-09T00:00:00Z' }, { ...whole, removedAt: '2025-03-05T00:00:00Z' }, whole],
  ];
  for (const story of stories) {
    const business = await all.aBusiness();
    const { sub } = await aDiscounted(business, { unitAmount: 1_000 });
    await business.tell([told(sub, '2025-01-10T10:00:00Z', { unitAmount: 1_000, discounts: ['di_told'] })]);
    for (const discount of story) {
      await business.tellDiscount(sub, { id: 'di_told', ...discount });
      await business.rollUp();
    }
    expect(await closings(business, '2025-01-15', '2025-04-20')).toEqual([600, 600, 1_000, 1_000]);
  }
});

test('what no event told of the discounts of a subscription is taken over from it, and once', async () => {
  const business = await all.aBusiness();
  const { sub, ids } = await aDiscounted(business, { unitAmount: 1_000 });
  expect(ids).toEqual([]);
  await business.tellDiscount(sub, { id: 'di_untold', percentOff: 10 });
  const row = `update stripe_subscriptions set discount_ids = '{di_untold}', stripe_as_of = '2025-01-10' where stripe_subscription_id = $1`;
  await all.db.query(row, [sub]);
  expect(await takeOverUntold(business.db, 3_600_000)).toBe(0); // it may still be told
  expect(await takeOverUntold(business.db, 0)).toBe(1);
  expect(await takeOverUntold(business.db, 0)).toBe(0);
  expect((await closings(business, '2025-01-15', new Date().toISOString().slice(0, 10))).at(-1)).toBe(900);
});

test('a discount ends at its time although nothing is told, and no sooner', async () => {
  const business = await all.aBusiness();
  const ends = Date.now() + 1_500;
  await aDiscounted(business, { unitAmount: 1_000 }, { percentOff: 10, duration: 'repeating', endsAt: new Date(ends).toISOString() }); // prettier-ignore
  const now = async () => (await closings(business, '2025-01-15', new Date().toISOString().slice(0, 10))).at(-1);
  const due = () => all.db.query<{ at: Date | null }>('select due_at as at from mrr_customers where tenant_id = $1', [business.id]); // prettier-ignore
  expect(await now()).toBe(900);
  expect((await due()).map(({ at }) => at && +at)).toEqual([ends]);
  await new Promise((resolve) => setTimeout(resolve, ends - Date.now() + 50));
  expect(await now()).toBe(1_000);
  expect(await due()).toEqual([{ at: null }]);
  const incremental = await business.rolledUp();
  await business.rollUpAnew();
  expect(await business.rolledUp()).toEqual(incremental);
});

test('what ends by itself is rolled up by the clock, too, of whom nobody asks about', async () => {
  const business = await all.aBusiness();
  const endsAt = new Date(Date.now() + 1_000).toISOString();
  await aDiscounted(business, { unitAmount: 1_000 }, { percentOff: 10, duration: 'repeating', endsAt });
  await business.rollUp();
  await new Promise((resolve) => setTimeout(resolve, 1_100));
  const parts = { database: all.database, stripe: all.stripe, logger: createLogger('silent') };
  await new MrrJob(parts).run({ signal: new AbortController().signal });
  const sql = `select sum(case kind when 'CONTRACTION' then opening - closing else closing - opening end)::int as mrr from mrr_movements where tenant_id = $1`;
  expect(await all.db.query(sql, [business.id])).toEqual([{ mrr: 1_000 }]);
});

test('where the clock is a test clock, ahead of ours, discounts have ended by the last that was told', async () => {
  const business = await all.aBusiness();
  const inDays = (days: number) => new Date(Date.now() + days * 86_400_000).toISOString();
  const { sub, ids } = await aDiscounted(business, { unitAmount: 1_000 }, { percentOff: 10, duration: 'repeating', endsAt: inDays(40) }); // prettier-ignore
  const inMonthOf = async (at: string) =>
    (await mrr(business, '2025-01-15', inDays(120).slice(0, 10))).find(({ month }) => month.startsWith(at.slice(0, 7)))?.values.closing; // prettier-ignore
  await business.tell([told(sub, inDays(39), { unitAmount: 1_000, discounts: ids })]);
  expect((await closings(business, '2025-01-15', inDays(120).slice(0, 10))).at(-1)).toBe(900);
  // More than a month after it has ended: the month in which it did knows.
  await business.tell([told(sub, inDays(80), { unitAmount: 1_000, discounts: ids })]);
  expect(await inMonthOf(inDays(40))).toBe(1_000);
});

test("a tenant's discounts are no other tenant's, not even under the same id", async () => {
  const [mine, theirs] = [await all.aBusiness(), await all.aBusiness()];
  const sub = await mine.aSubscription(await mine.aCustomer());
  const other = await theirs.aSubscription(await theirs.aCustomer());
  await theirs.tellDiscount(other, { id: 'di_shared', percentOff: 90 });
  await mine.tell([told(sub, '2025-01-10T09:00:00Z', { unitAmount: 1_000, discounts: ['di_shared'] })]);
  await theirs.tell([told(other, '2025-01-10T09:00:00Z', { unitAmount: 1_000, discounts: ['di_shared'] })]);
  const january = async (business: Business) => (await closings(business, '2025-01-15', '2025-01-20'))[0];
  expect([await january(mine), await january(theirs)]).toEqual([1_000, 100]);
});
