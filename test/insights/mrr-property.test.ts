import fc from 'fast-check';
import { mrr, paid, told } from './support/months.js';
import { type State, Subscribers, type Told } from './support/subscribers.js';

let all: Subscribers;
beforeAll(async () => {
  all = await Subscribers.open();
});
afterAll(() => all?.close());

// Histories that nobody thought of.

interface Change {
  readonly sub: number;
  /** Hours since the beginning; no two of one subscription at once. */
  readonly hour: number;
  readonly state: State | null;
}

const discountIds = ['di_0', 'di_1', 'di_2', 'di_3'] as const;

const aState = fc.record({
  status: fc.constantFrom(
    'trialing',
    'active',
    'active',
    'active',
    'past_due',
    'unpaid',
    'paused',
    'canceled',
    'incomplete',
  ),
  quantity: fc.integer({ min: 0, max: 30 }),
  unitAmount: fc.integer({ min: 0, max: 99_999 }),
  interval: fc.constantFrom('day', 'week', 'month', 'year'),
  intervalCount: fc.constantFrom(1, 1, 2, 3, 6),
  pause: fc.constantFrom(null, null, null, 'void', 'keep_as_draft', 'mark_uncollectible'),
  discounts: fc.oneof(
    { arbitrary: fc.constant([]), weight: 2 },
    fc.shuffledSubarray([...discountIds], { maxLength: 3 }),
  ),
}) as fc.Arbitrary<State>;

interface Discount {
  readonly percentOff?: number;
  readonly amountOff?: number;
  readonly currency?: string;
  readonly duration: 'once' | 'repeating' | 'forever';
  /** Hours since the beginning. */
  readonly ends: number | null;
  readonly removed: number | null;
}

const anHour = fc.nat(24 * 400);
const aDiscount = fc
  .tuple(
    fc.oneof(
      fc.record({ percentOff: fc.integer({ min: 1, max: 100 }) }),
      fc.record({ amountOff: fc.integer({ min: 1, max: 60_000 }), currency: fc.constantFrom('usd', 'usd', 'eur') }),
    ),
    fc.constantFrom('once', 'repeating', 'forever', 'forever'),
    anHour,
    fc.option(anHour, { freq: 3 }),
  )
  .map(([off, duration, ends, removed]) => ({ ...off, duration, ends: duration === 'repeating' ? ends : null, removed })) as fc.Arbitrary<Discount>; // prettier-ignore
const someDiscounts = fc.array(aDiscount, { minLength: discountIds.length, maxLength: discountIds.length });

const aHistory = fc.uniqueArray(
  fc.record({ sub: fc.nat(5), hour: fc.nat(24 * 400), state: fc.option(aState, { freq: 8 }) }) as fc.Arbitrary<Change>,
  { minLength: 1, maxLength: 40, selector: ({ sub, hour }) => `${sub} ${hour}` },
);

const begin = Date.UTC(2025, 0, 1);
const customerOf = (sub: number) => sub % 3;
const currencyOf = (sub: number) => (sub === 5 ? 'eur' : 'usd');

/** A month's worth, by the definition and in whole numbers. Three percentages of whole percents make six decimals. */
function worth(state: State, currency: string, inEffect: ReadonlyMap<string, Discount>): number {
  const { status, quantity, unitAmount, interval, intervalCount, pause } = state;
  if (status !== 'active' && status !== 'past_due') return 0;
  if (pause === 'void' || pause === 'mark_uncollectible') return 0;
  const [times, by] = { day: [365, 12], week: [52, 12], month: [1, 1], year: [1, 12] }[interval!] as [number, number];
  let price = BigInt(unitAmount! * quantity!) * 1_000_000n;
  for (const { percentOff, amountOff, currency: of } of state.discounts!.flatMap((id) => inEffect.get(id) ?? [])) {
    if (percentOff !== undefined) price = (price * BigInt(100 - percentOff)) / 100n;
    else if (of === currency) price -= BigInt(amountOff!) * 1_000_000n;
    if (price < 0n) price = 0n;
  }
  const [above, below] = [price * BigInt(times), BigInt(by * intervalCount!) * 1_000_000n];
  return Number((2n * above + below) / (2n * below));
}

/** What is left of the whole at the end of a month, looked at afresh for each month. */
function closingOf(history: readonly Change[], discounts: readonly Discount[], monthEnd: number): Map<string, number> {
  const sums = new Map<string, number>();
  const lasts = (hour: number | null) => hour === null || begin + hour * 3_600_000 >= monthEnd;
  const inEffect = new Map(
    discounts.flatMap((one, i) =>
      one.duration !== 'once' && lasts(one.ends) && lasts(one.removed) ? [[discountIds[i]!, one]] : [],
    ),
  );
  for (let sub = 0; sub <= 5; sub += 1) {
    const past = history.filter((one) => one.sub === sub && begin + one.hour * 3_600_000 < monthEnd);
    const last = past
      .filter(({ state }) => state)
      .toSorted((a, b) => a.hour - b.hour)
      .at(-1);
    const hadTrial = history.some((one) => one.sub === sub && one.state?.status === 'trialing');
    const isPaid = past.some(({ state }) => !state);
    if (!last || (hadTrial && !isPaid)) continue;
    const key = `${customerOf(sub)} ${currencyOf(sub)}`;
    sums.set(key, (sums.get(key) ?? 0) + worth(last.state!, currencyOf(sub), inEffect));
  }
  return sums;
}

test('whatever happens, in whatever order it is told and however often it is rolled up between: the months are the same', async () => {
  await fc.assert(
    fc.asyncProperty(aHistory, someDiscounts, fc.infiniteStream(fc.nat(1_000)), async (history, discounts, dice) => {
      const roll = () => dice.next().value as number;
      const business = await all.aBusiness();
      const customers = await Promise.all([0, 1, 2].map(() => business.aCustomer()));
      const subs = await Promise.all(
        [0, 1, 2, 3, 4, 5].map((sub) => business.aSubscription(customers[customerOf(sub)]!)),
      );
      const events = history.map(({ sub, hour, state }): Told => {
        const at = new Date(begin + hour * 3_600_000).toISOString();
        return state ? told(subs[sub]!, at, { ...state, currency: currencyOf(sub) }) : paid(subs[sub]!, at);
      });
      const shuffled = [...events, ...events.filter(() => roll() < 200)]
        .map((event) => [roll(), event] as const)
        .toSorted(([a], [b]) => a - b)
        .map(([, event]) => event);
      const stamp = (hour: number) => new Date(begin + hour * 3_600_000).toISOString();
      const offers = discounts.map(({ ends, removed, ...off }, i) => ({
        ...{ id: discountIds[i]!, ...off, ...(ends !== null && { endsAt: stamp(ends) }) },
        ...(removed !== null && { removedAt: stamp(removed) }),
        after: roll() % Math.ceil(shuffled.length / 12),
      }));
      for (let i = 0; i < shuffled.length; i += 12) {
        await business.tell(shuffled.slice(i, i + 12));
        for (const { after, removedAt, ...offer } of offers.filter((one) => one.after === i / 12)) {
          // Of any subscription of each customer: which ones have it they say themselves.
          for (const sub of subs.slice(0, 3)) await business.tellDiscount(sub, offer);
          if (removedAt) for (const sub of subs.slice(0, 3)) await business.tellDiscount(sub, { ...offer, removedAt });
          if (roll() < 300) await business.rollUp();
        }
        if (roll() < 700) await business.rollUp();
      }
      const months = await mrr(business, '2024-12-10', '2026-04-01');
      const incremental = await business.rolledUp();
      await business.rollUpAnew();
      expect(await business.rolledUp()).toEqual(incremental);

      for (const currency of ['usd', 'eur']) {
        let previous = new Map<string, number>();
        const seen = new Set<string>();
        let closing = 0;
        for (const { month, values } of months.filter((one) => one.currency === currency)) {
          const end = new Date(month);
          end.setUTCMonth(end.getUTCMonth() + 1);
          const sums = closingOf(history, discounts, +end);
          const expected = { new: 0, expansion: 0, contraction: 0, churn: 0, reactivation: 0, customers: 0 };
          for (const key of [0, 1, 2].map((customer) => `${customer} ${currency}`)) {
            const [was, is] = [previous.get(key) ?? 0, sums.get(key) ?? 0];
            if (is > 0) expected.customers += 1;
            if (was === 0 && is > 0) expected[seen.has(key) ? 'reactivation' : 'new'] += is;
            else if (is === 0) expected.churn += was;
            else if (is > was) expected.expansion += is - was;
            else expected.contraction += was - is;
            if (is > 0) seen.add(key);
          }
          expect(values).toMatchObject(expected);
          expect(values.opening).toBe(closing);
          closing = values.closing;
          expect(closing).toBe(values.opening + values.new + values.expansion + values.reactivation - values.contraction - values.churn); // prettier-ignore
          previous = sums;
        }
      }
    }),
    { numRuns: Number(process.env.MRR_RUNS ?? 8) },
  );
});
