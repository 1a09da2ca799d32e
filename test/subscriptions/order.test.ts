import fc from 'fast-check';
import { startApp, type TestApp } from '../support/harness.js';
import { booksAtStripe, booksHere } from './books.js';
import { aBillingTenant, type BillingTenant, day, type Facts, giveMethod } from './support.js';

// What happens to a subscription in Stripe's dashboard, told in any order, in part twice, and much of it within one second.

const runs = Number(process.env.ORDER_RUNS ?? 3);

let app: TestApp;
let tenant: BillingTenant;

beforeAll(async () => {
  app = await startApp();
  tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 0 });
});
afterAll(() => app.stop());

const happenings = ['month', 'more seats', 'failing card', 'good card', 'pause', 'resume', 'note', 'cancel'] as const;
type Happening = (typeof happenings)[number];

interface Contract {
  readonly id: string;
  readonly customer: string;
}

const changes: Readonly<Record<Happening, (contract: Contract) => Promise<unknown>>> = {
  month: () => advance(31 * day),
  'more seats': async ({ id }) => {
    const { items } = await tenant.stripe<Facts>('GET', `/subscriptions/${id}`);
    const form = { 'items[0][id]': items.data[0].id, 'items[0][quantity]': String(items.data[0].quantity + 2) };
    await tenant.stripe('POST', `/subscriptions/${id}`, { ...form, proration_behavior: 'always_invoice' });
  },
  'failing card': ({ customer }) => giveMethod(tenant, customer, 'pm_card_chargeCustomerFail'),
  'good card': ({ customer }) => giveMethod(tenant, customer, 'pm_card_visa'),
  pause: ({ id }) => tenant.stripe('POST', `/subscriptions/${id}`, { 'pause_collection[behavior]': 'void' }),
  resume: ({ id }) => tenant.stripe('POST', `/subscriptions/${id}`, { pause_collection: '' }),
  note: async ({ id }) => {
    const { data } = await tenant.stripe<Facts>('GET', '/invoices', { subscription: id, status: 'open' });
    if (data[0]) await tenant.stripe('POST', '/credit_notes', { invoice: data[0].id, amount: '100' });
  },
  cancel: ({ id }) => tenant.stripe('POST', `/subscriptions/${id}`, { cancel_at_period_end: 'true' }),
};

/** Moves the clock; what it says is held back. */
async function advance(seconds: number): Promise<void> {
  await tenant.advance(seconds, { settles: false });
}

/** Lets all that is held go in this order. */
async function release(order: readonly number[]): Promise<void> {
  const { data } = await app.sandbox.control<{ data: { id: string }[] }>('/deliveries?state=held');
  const ids = data
    .map(({ id }, i) => ({ id, place: order[i % order.length]! + i / 1_000 }))
    .toSorted((one, other) => one.place - other.place)
    .map(({ id }) => id);
  await app.sandbox.control('/deliveries/faults', { hold: false, duplicate: 0 });
  await app.sandbox.control('/deliveries/release', { ids });
  await tenant.settled();
}

test('in whatever order its events come, a subscription ends as it is at Stripe, with its invoices and payments', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom(...happenings), { minLength: 2, maxLength: 7 }),
      fc.array(fc.integer({ min: 0, max: 400 }), { minLength: 60, maxLength: 60 }),
      async (life, order) => {
        const { stripeId: customer } = await tenant.aCustomer();
        await tenant.settled();
        await app.sandbox.control('/deliveries/faults', { hold: true, duplicate: 0.3 });
        const price = await tenant.stripe('POST', '/prices', {
          ...{ currency: 'usd', unit_amount: '1000', 'recurring[interval]': 'month', 'product_data[name]': 'Care' },
        });
        const form = { customer, 'items[0][price]': price.id as string, 'items[0][quantity]': '3' };
        const { id } = await tenant.stripe('POST', '/subscriptions', { ...form, application_fee_percent: '2.5' });
        for (const happening of life) {
          // Some changes come too late: it is Stripe's to refuse them.
          await changes[happening]({ id, customer }).catch((error: Error) => {
            if (!/answered 4/.test(error.message)) throw error;
          });
        }
        await release(order);
        const { subscriptions, invoices, payments } = await booksHere(tenant);
        const there = await booksAtStripe(tenant);
        expect({ subscriptions, invoices, payments }).toEqual({
          subscriptions: there.subscriptions,
          invoices: there.invoices,
          payments: there.payments,
        });
      },
    ),
    { numRuns: runs, endOnFailure: true },
  );
});
