import fc from 'fast-check';
import { applicationFee } from '../../src/shared/fee.js';
import { maxAmount, minorStep } from '../../src/shared/money.js';

// Of every kind that https://docs.stripe.com/currencies knows: two decimals, none, three, and whole units in hundredths.
const currencies = [
  ...'usd eur gbp aud cad chf nzd huf twd'.split(' '),
  ...'bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf'.split(' '),
  ...'bhd jod kwd omr tnd isk ugx'.split(' '),
];

/** Whole steps of a currency, as large as Stripe takes them. */
const amounts = fc
  .constantFrom(...currencies)
  .chain((currency) =>
    fc
      .integer({ min: 1, max: Math.floor(maxAmount / minorStep(currency)) })
      .map((steps) => ({ currency, amount: steps * minorStep(currency) })),
  );

const rules = fc.record({
  hundredths: fc.oneof(fc.integer({ min: 0, max: 10_000 }), fc.constantFrom(0, 1, 250, 290, 9_999, 10_000)),
  fixed: fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.integer({ min: 0, max: maxAmount }), fc.constant(0)),
});

const percent = (hundredths: number) => `${Math.floor(hundredths / 100)}.${String(hundredths % 100).padStart(2, '0')}`;

/** The same in whole numbers only: amount × hundredths / 10,000 + fixed, in steps, half to even. */
function expected(amount: number, currency: string, { hundredths, fixed }: { hundredths: number; fixed: number }) {
  const step = BigInt(minorStep(currency));
  const numerator = BigInt(amount) * BigInt(hundredths) + BigInt(fixed) * 10_000n;
  const denominator = 10_000n * step;
  const [whole, rest] = [numerator / denominator, numerator % denominator];
  const isUp = rest * 2n > denominator || (rest * 2n === denominator && whole % 2n === 1n);
  const rounded = (whole + (isUp ? 1n : 0n)) * step;
  const most = BigInt(amount) - step;
  const fee = rounded < most ? rounded : most;
  return fee > 0n ? Number(fee) : undefined;
}

test('a fee is exact to the last digit, in every currency', () => {
  fc.assert(
    fc.property(amounts, rules, ({ amount, currency }, { hundredths, fixed }) => {
      const fee = applicationFee(amount, currency, { percent: percent(hundredths), fixed });
      expect(fee).toBe(expected(amount, currency, { hundredths, fixed }));
    }),
    { numRuns: 2_000 },
  );
});

test('a fee is what Stripe takes: whole steps, above zero, below the amount; or none at all', () => {
  fc.assert(
    fc.property(amounts, rules, ({ amount, currency }, { hundredths, fixed }) => {
      const fee = applicationFee(amount, currency, { percent: percent(hundredths), fixed });
      if (fee === undefined) return;
      expect(Number.isSafeInteger(fee)).toBe(true);
      expect(fee % minorStep(currency)).toBe(0);
      expect(fee).toBeGreaterThan(0);
      expect(fee).toBeLessThan(amount);
    }),
    { numRuns: 1_000 },
  );
});

test('a larger amount never has a smaller fee', () => {
  fc.assert(
    fc.property(amounts, amounts, rules, (a, b, { hundredths, fixed }) => {
      const rule = { percent: percent(hundredths), fixed };
      const [small, large] = [a.amount, b.amount].map((amount) => amount - (amount % 100)).sort((x, y) => x - y);
      if (!small || !large) return;
      const feeOf = (amount: number) => applicationFee(amount, a.currency, rule) ?? 0;
      expect(feeOf(large)).toBeGreaterThanOrEqual(feeOf(small));
    }),
  );
});

test.each([
  [10_000, 'usd', '2.50', 0, 250],
  [10_000, 'usd', '2.90', 30, 320],
  [20, 'usd', '2.50', 0, undefined], // 0.5 → 0
  [60, 'usd', '2.50', 0, 2], // 1.5 → 2
  [100, 'usd', '2.50', 0, 2], // 2.5 → 2
  [140, 'usd', '2.50', 0, 4], // 3.5 → 4
  [500, 'jpy', '2.50', 0, 12], // 12.5 → 12: whole yen
  [10_000, 'kwd', '2.55', 0, 260], // 255 → 26 steps of 10, for 25.5 is nearest to the even 26
  [10_000, 'isk', '2.50', 0, 200], // 250 → 2 steps of 100
  [100, 'usd', '100.00', 0, 99], // never all of it
  [1, 'usd', '50.00', 10, undefined], // nothing lies between zero and the amount
  [5_000, 'usd', '0.00', 0, undefined],
])('of %i %s at %s %% + %i it is %s', (amount, currency, percent, fixed, fee) => {
  expect(applicationFee(amount, currency, { percent, fixed })).toBe(fee);
});
