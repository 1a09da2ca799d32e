import { aBilling, at, type Billing, january31 } from './support/billing.js';
import { aStripe, failure } from './support/stripe.js';

describe('test clocks', () => {
  let billing: Billing;
  beforeAll(async () => {
    billing = await aBilling();
  });
  afterAll(async () => {
    await billing.stop();
  });
  afterEach(() => {
    expect(billing.violations()).toEqual([]);
  });

  test('a clock is made, looked at, advanced and deleted, with an event each time', async () => {
    const clock = await billing.aClock();
    expect(clock).toMatchObject({ status: 'ready', frozen_time: january31 });
    const advancing = await billing.stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: january31 + 60 });
    expect(advancing).toMatchObject({
      status: 'advancing',
      status_details: { advancing: { target_frozen_time: january31 + 60 } },
    });
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await billing.stripe.testHelpers.testClocks.retrieve(clock.id)).toMatchObject({
      status: 'ready',
      frozen_time: january31 + 60,
    });
    const customer = await billing.aCustomer('pm_card_visa', clock);
    expect(customer).toMatchObject({ test_clock: clock.id, created: january31 + 60 });
    await billing.stripe.testHelpers.testClocks.del(clock.id);
    expect(await failure(billing.stripe.testHelpers.testClocks.retrieve(clock.id))).toMatchObject({ statusCode: 404 });
    expect((await billing.stripe.customers.retrieve(customer.id)).deleted).toBe(true);
    expect(billing.news().filter((type) => type.startsWith('test_helpers'))).toEqual([
      'test_helpers.test_clock.created',
      'test_helpers.test_clock.advancing',
      'test_helpers.test_clock.ready',
      'test_helpers.test_clock.deleted',
    ]);
  });

  test('it only moves forward, and at most two intervals of the shortest subscription', async () => {
    const clock = await billing.aClock(at(1, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const [monthly, weekly] = [await billing.aPrice(), await billing.aPrice({ recurring: { interval: 'week' } })];
    for (const price of [monthly, weekly])
      await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    const advance = (to: number) => billing.stripe.testHelpers.testClocks.advance(clock.id, { frozen_time: to });
    expect(await failure(advance(at(1, 1)))).toMatchObject({ statusCode: 400, param: 'frozen_time' });
    expect(await failure(advance(at(1, 15) + 1))).toMatchObject({ statusCode: 400, param: 'frozen_time' });
    await billing.advance(clock, at(1, 15));
    expect((await billing.stripe.invoices.list({ customer: customer.id })).data).toHaveLength(4);
  });

  test('what falls due is done in the order of time, whatever was planned first', async () => {
    const clock = await billing.aClock(at(1, 1));
    const price = await billing.aPrice();
    const customers: string[] = [];
    for (const trial of [9, 3, 6]) {
      const customer = await billing.aCustomer('pm_card_visa', clock);
      customers.push(customer.id);
      await billing.stripe.subscriptions.create({
        customer: customer.id,
        items: [{ price: price.id }],
        trial_period_days: trial,
      });
    }
    billing.news();
    await billing.advance(clock, at(1, 12));
    const paid = billing.happened
      .filter(({ type, data }) => type === 'invoice.paid' && data.object['billing_reason'] === 'subscription_cycle')
      .map(({ data }) => data.object['customer'])
      .filter((id) => customers.includes(id as string));
    expect(paid).toEqual([customers[1], customers[2], customers[0]]);
  });
});

test('the clock of the whole sandbox bills a year of months for a hundred subscriptions in a moment', async () => {
  const running = await aStripe();
  try {
    const { stripe } = running;
    const price = await stripe.prices.create({
      currency: 'usd',
      unit_amount: 1000,
      recurring: { interval: 'month' },
      product_data: { name: 'Care' },
    });
    for (let i = 0; i < 100; i++) {
      const customer = await stripe.customers.create({
        payment_method: 'pm_card_visa',
        invoice_settings: { default_payment_method: 'pm_card_visa' },
      });
      await stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    }
    const before = performance.now();
    await running.control('/advance', { seconds: 365.5 * 86_400 });
    expect(performance.now() - before).toBeLessThan(5_000);
    const state = await running.control<{ accounts: { counts: Record<string, number> }[] }>('/state');
    // The first ones, and twelve renewals each.
    expect(state.accounts[0]!.counts).toMatchObject({ subscription: 100, invoice: 1300 });
    expect((await stripe.invoices.list({ status: 'open', limit: 1 })).data).toEqual([]);
  } finally {
    await running.stop();
  }
});
