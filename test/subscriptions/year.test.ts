import { randomInt, randomUUID } from 'node:crypto';
import { startApp, type TestApp } from '../support/harness.js';
import { booksAtStripe, booksHere } from './books.js';
import { aBillingTenant, type BilledContract, type BillingTenant, day, type Facts, giveMethod } from './support.js';

// A year of one tenant: contracts join, leave, grow, shrink, pause; cards fail and are replaced. What we hold in the end is what
// the local Stripe holds, although its events came doubled and in disorder.

const contracts = Number(process.env.YEAR_CONTRACTS ?? 8);
const seed = Number(process.env.YEAR_SEED ?? randomInt(1_000_000));

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

/** The same seed is the same year. https://en.wikipedia.org/wiki/Linear_congruential_generator */
function dice(state: number) {
  const next = () => (state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0) / 2 ** 32;
  return {
    chance: (p: number) => next() < p,
    between: (low: number, high: number) => low + Math.floor(next() * (high - low + 1)),
    oneOf: <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!,
  };
}

const change = (name: string) =>
  `mutation ($input: ${name[0]!.toUpperCase()}${name.slice(1)}Input!) { ${name}(input: $input) { subscription { status } } }`;

interface Billed extends BilledContract {
  gone: boolean;
  failing: boolean;
  paused: boolean;
}

async function live(tenant: BillingTenant, months: number): Promise<void> {
  const { chance, between, oneOf } = dice(seed);
  const billed: Billed[] = [];
  const join = async (count: number) => {
    for (let i = 0; i < count; i += 1) {
      const contract = { unit_amount: between(5, 200) * 100 + oneOf([0, 50, 99]), quantity: between(1, 40) };
      billed.push({ ...(await tenant.aSubscription({ contract })), gone: false, failing: false, paused: false });
    }
  };
  const ask = (name: string, input: object) =>
    tenant.ask(change(name), { input: { idempotencyKey: randomUUID(), ...input } });

  await join(Math.ceil(contracts / 2));
  for (let month = 0; month < months; month += 1) {
    const [open, paused] = await Promise.all([
      tenant.rows(`select id from stripe_subscriptions where tenant_id = $1 and status in ('ACTIVE', 'PAST_DUE')`),
      tenant.rows('select id from stripe_subscriptions where tenant_id = $1 and collection_paused'),
    ]);
    const alive = new Set(open.map(({ id }) => id as string));
    const resting = new Set(paused.map(({ id }) => id as string));
    for (const one of billed.filter(({ id, gone }) => !gone && alive.has(id))) {
      const { id } = one;
      if (one.failing && chance(0.6)) {
        await giveMethod(tenant, one.customer.stripeId, 'pm_card_visa').then((method) =>
          tenant.stripe('POST', `/subscriptions/${one.stripeId}`, { default_payment_method: method }),
        );
        one.failing = false;
      } else if (chance(0.05)) {
        const { id: method } = await tenant.stripe<Facts>(
          'POST',
          '/payment_methods/pm_card_chargeCustomerFail/attach',
          {
            customer: one.customer.stripeId,
          },
        );
        await tenant.stripe('POST', `/subscriptions/${one.stripeId}`, { default_payment_method: method });
        one.failing = true;
      }
      if (resting.has(id)) {
        if (chance(0.5)) await ask('resumeSubscription', { id });
      } else if (chance(0.05)) {
        await ask('pauseSubscription', { id, behavior: oneOf(['VOID', 'MARK_UNCOLLECTIBLE', 'KEEP_AS_DRAFT']) });
      }
      if (chance(0.2)) await ask('updateSubscription', { id, quantity: between(1, 60), prorate: chance(0.8) });
      else if (chance(0.05)) {
        const unitAmount = { amount: between(500, 20_000), currency: 'usd' };
        await ask('updateSubscription', { id, unitAmount });
      }
      if (chance(0.03)) {
        const atPeriodEnd = chance(0.6);
        await ask('cancelSubscription', { id, atPeriodEnd, prorate: !atPeriodEnd && chance(0.5) });
        one.gone = true;
      }
    }
    await join(month < months - 1 ? Math.floor(contracts / 2 / (months - 1)) : 0);
    await tenant.advance(between(28, 31) * day);
  }
}

test(`${contracts} contracts over twelve months are at the end what they are at Stripe, to the cent (YEAR_SEED=${seed})`, async () => {
  await app.sandbox.control('/deliveries/faults', { duplicate: 0.3, reorder_ms: 300, seed });
  const tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 0 });
  await live(tenant, 12);
  await app.sandbox.control('/deliveries/faults', { duplicate: 0, reorder_ms: 0 });
  await tenant.advance(day);

  const [here, there] = [await booksHere(tenant), await booksAtStripe(tenant)];
  expect(Object.keys(here.invoices).length).toBeGreaterThan(contracts * 2);
  expect(here).toEqual(there);

  const numbers = (await tenant.rows('select number from invoices where tenant_id = $1 order by number')).map(
    ({ number }) => number as string,
  );
  expect(numbers).toEqual(numbers.map((_, i) => `TEST-SUB-${String(i + 1).padStart(6, '0')}`));
  const [dead] = await app.db.query(
    `select count(*)::int as n from stripe_webhook_events where status not in ('PROCESSED', 'IGNORED')`,
  );
  expect(dead).toEqual({ n: 0 });
}, 180_000);
