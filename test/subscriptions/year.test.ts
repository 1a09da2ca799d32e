import { randomInt } from 'node:crypto';
import { atRest } from '../support/sandbox.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { booksAtStripe, booksHere } from './books.js';
import { aBillingTenant, day } from './support.js';
import { aYear } from './year.js';

// A year of one tenant. What we hold in the end is what the local Stripe holds, although its events came doubled and in disorder.
// `npm run test:year` lives it with 200 contracts.

const { YEAR_CONTRACTS, YEAR_SEED } = process.env;
const contracts = Number(YEAR_CONTRACTS ?? 6);
// With every commit the same year; another one whenever many are asked for.
const seed = Number(YEAR_SEED ?? (YEAR_CONTRACTS ? randomInt(1_000_000) : 2026));

let app: TestApp;
beforeAll(async () => {
  app = await startApp({ env: { RATE_LIMIT_PER_MINUTE: '1000000' } });
});
afterAll(() => app.stop());

test(`${contracts} contracts over twelve months are at the end what they are at Stripe, to the cent (YEAR_SEED=${seed})`, async () => {
  await app.sandbox.control('/deliveries/faults', { duplicate: 0.3, reorder_ms: 300, seed });
  const tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 0 });
  const happened = await aYear(app, tenant, contracts, seed);
  await app.sandbox.control('/deliveries/faults', { duplicate: 0, reorder_ms: 0 });
  await tenant.advance(day);
  await atRest(app.sandbox);
  await tenant.settled();

  const there = await booksAtStripe(tenant);
  // The books are kept beside, from what Stripe has booked.
  await until(async () => (await booksHere(tenant)).balance.usd === there.balance.usd, 'all is booked', 20_000).catch(
    () => undefined,
  );
  const here = await booksHere(tenant);
  const size = (books: object) => Object.keys(books).length;
  expect(size(here.invoices)).toBeGreaterThan(contracts * 2);
  expect(here).toEqual(there);
  expect([size(here.disputes), size(here.refunds)]).toEqual([happened.disputes, happened.refunds]);

  const numbers = (await tenant.rows('select number from invoices where tenant_id = $1 order by number')).map(
    ({ number }) => number as string,
  );
  expect(numbers).toEqual(numbers.map((_, i) => `TEST-SUB-${String(i + 1).padStart(6, '0')}`));
  const [dead] = await app.db.query(
    `select count(*)::int as n from stripe_webhook_events where status not in ('PROCESSED', 'IGNORED')`,
  );
  expect(dead).toEqual({ n: 0 });

  if (process.env.YEAR_CONTRACTS) {
    const [events] = await app.db.query<{ n: number }>('select count(*)::int as n from stripe_webhook_events');
    const [invoices, payments] = [size(here.invoices), size(here.payments)];
    process.stdout.write(
      `${JSON.stringify({ seed, contracts, events: events!.n, invoices, payments, ...happened })}\n`,
    );
  }
}, 1_200_000);
