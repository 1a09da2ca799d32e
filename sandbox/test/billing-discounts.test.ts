import type Stripe from 'stripe';
import { aBilling, at, type Billing, day, january31 } from './support/billing.js';
import { failure } from './support/stripe.js';

let billing: Billing;
let price: Stripe.Price;
beforeAll(async () => {
  billing = await aBilling();
  price = await billing.aPrice();
});
afterAll(() => billing.stop());
afterEach(() => {
  expect(billing.violations()).toEqual([]);
});

const aCoupon = (params: Stripe.CouponCreateParams = {}) =>
  billing.stripe.coupons.create({ duration: 'forever', ...(params.amount_off ? { currency: 'usd' } : { percent_off: 25 }), ...params }); // prettier-ignore

interface Subscribed {
  readonly subscription: Stripe.Subscription;
  readonly invoice: Stripe.Invoice;
  readonly clock: Stripe.TestHelpers.TestClock;
  readonly customer: Stripe.Customer;
}

/** A subscription over ten dollars a month with these coupons, on a clock of its own. */
async function subscribed(
  coupons: Stripe.Coupon[],
  params: Partial<Stripe.SubscriptionCreateParams> = {},
): Promise<Subscribed> {
  const clock = await billing.aClock();
  const customer = await billing.aCustomer('pm_card_visa', clock);
  const subscription = await billing.stripe.subscriptions.create({
    customer: customer.id,
    items: [{ price: price.id }],
    discounts: coupons.map(({ id }) => ({ coupon: id })),
    expand: ['latest_invoice', 'discounts.source.coupon'],
    ...params,
  });
  return { subscription, invoice: subscription.latest_invoice as Stripe.Invoice, clock, customer };
}

const invoicesOf = async ({ id }: Stripe.Subscription) =>
  (await billing.stripe.invoices.list({ subscription: id })).data.toReversed();

describe('coupons', () => {
  test('a coupon is made, renamed, listed and deleted, and what it takes off never changes', async () => {
    billing.news();
    const made = await billing.stripe.coupons.create({ id: 'SUMMER', percent_off: 12.5, duration: 'repeating', duration_in_months: 3, name: 'Summer' }); // prettier-ignore
    expect(made).toMatchObject({ id: 'SUMMER', percent_off: 12.5, amount_off: null, currency: null, valid: true });
    const renamed = await billing.stripe.coupons.update('SUMMER', { name: 'Sun', metadata: { by: 'us' } });
    expect(renamed).toMatchObject({ name: 'Sun', metadata: { by: 'us' } });
    expect(await failure(billing.stripe.coupons.update('SUMMER', { percent_off: 50 } as never))).toMatchObject({
      code: 'parameter_unknown',
    });
    expect(await failure(billing.stripe.coupons.create({ id: 'SUMMER', percent_off: 5 }))).toMatchObject({
      code: 'resource_already_exists',
    });
    expect((await billing.stripe.coupons.list()).data.map(({ id }) => id)).toContain('SUMMER');
    expect(await billing.stripe.coupons.del('SUMMER')).toEqual(expect.objectContaining({ deleted: true }));
    expect(await failure(billing.stripe.coupons.retrieve('SUMMER'))).toMatchObject({ code: 'resource_missing' });
    expect(billing.news()).toEqual(['coupon.created', 'coupon.updated', 'coupon.deleted']);
  });

  test.each([
    [{ percent_off: 10, amount_off: 100, currency: 'usd' }, 'percent_off'],
    [{}, 'percent_off'],
    [{ percent_off: 101 }, 'percent_off'],
    [{ amount_off: 100 }, 'currency'],
    [{ percent_off: 10, duration: 'repeating' as const }, 'duration_in_months'],
    [{ percent_off: 10, duration: 'forever' as const, duration_in_months: 3 }, 'duration_in_months'],
  ])('%j is refused because of %s', async (params, param) => {
    expect(await failure(billing.stripe.coupons.create(params))).toMatchObject({ param });
  });

  test('a coupon that was redeemed as often as it may be, and one that is not known, are refused', async () => {
    const coupon = await aCoupon({ max_redemptions: 1 });
    await subscribed([coupon]);
    expect(await billing.stripe.coupons.retrieve(coupon.id)).toMatchObject({ times_redeemed: 1, valid: false });
    const again = await failure(subscribed([coupon]));
    expect(again).toMatchObject({ code: 'coupon_expired', param: 'discounts[0][coupon]' });
    expect(await failure(subscribed([{ ...coupon, id: 'nobody' }]))).toMatchObject({ code: 'resource_missing' });
  });
});

describe('what invoices are lowered by', () => {
  test('percentages and amounts are taken off one after the other, in their order', async () => {
    const { subscription, invoice } = await subscribed([await aCoupon(), await aCoupon({ amount_off: 150 })]);
    const [quarter, fixed] = subscription.discounts as Stripe.Discount[];
    expect(quarter).toMatchObject({
      object: 'discount',
      subscription: subscription.id,
      end: null,
      source: { type: 'coupon', coupon: { percent_off: 25 } },
    });
    expect(invoice).toMatchObject({
      status: 'paid',
      subtotal: 1000,
      total: 600,
      amount_paid: 600,
      discounts: [quarter!.id, fixed!.id],
      total_discount_amounts: [
        { amount: 250, discount: quarter!.id },
        { amount: 150, discount: fixed!.id },
      ],
      lines: { data: [{ amount: 1000, discount_amounts: [{ amount: 250 }, { amount: 150 }] }] },
    });
    const other = await subscribed([await aCoupon({ amount_off: 150 }), await aCoupon()]);
    expect(other.invoice.total).toBe(637); // 850 less 212.50, of which half a cent is the customer's
  });

  test('no more is taken off than there is, and what is free needs no method', async () => {
    const customer = await billing.aCustomer(null);
    const coupon = await aCoupon({ amount_off: 5000 });
    const subscription = await billing.stripe.subscriptions.create({
      customer: customer.id,
      items: [{ price: price.id, quantity: 3 }],
      discounts: [{ coupon: coupon.id }],
      expand: ['latest_invoice'],
    });
    expect(subscription).toMatchObject({ status: 'active', latest_invoice: { status: 'paid', total: 0 } });
    expect((subscription.latest_invoice as Stripe.Invoice).total_discount_amounts).toMatchObject([{ amount: 3000 }]);
  });

  test('an amount is spread over the lines, and to the cent', async () => {
    const others = await Promise.all([billing.aPrice({ unit_amount: 1 }), billing.aPrice({ unit_amount: 999 })]);
    const items = [price, ...others].map(({ id }) => ({ price: id }));
    const { invoice } = await subscribed([await aCoupon({ amount_off: 1001 })], { items });
    const taken = invoice.lines.data.map((line) => line.discount_amounts![0]!.amount);
    expect(taken.reduce((sum, amount) => sum + amount, 0)).toBe(1001);
    expect(invoice.lines.data.every(({ amount }, i) => taken[i]! <= amount)).toBe(true);
    expect(invoice.total).toBe(999);
  });

  test('an amount of another currency is refused', async () => {
    const coupon = await aCoupon({ amount_off: 100, currency: 'eur' });
    expect(await failure(subscribed([coupon]))).toMatchObject({ param: 'discounts[0][coupon]' });
  });
});

describe('how long they last', () => {
  test('one for a single charge ends with it', async () => {
    const coupon = await aCoupon({ duration: 'once' });
    billing.news();
    const { subscription, invoice, clock } = await subscribed([coupon]);
    expect(invoice.total).toBe(750);
    expect(subscription.discounts).toEqual([]);
    expect(billing.news().filter((type) => /discount|subscription/.test(type))).toEqual([
      'customer.discount.created',
      'customer.discount.deleted',
      'customer.subscription.created',
    ]);
    await billing.advance(clock, at(3, 1));
    expect((await invoicesOf(subscription)).map(({ total }) => total)).toEqual([750, 1000]);
  });

  test('one for a single charge waits for the end of a trial', async () => {
    const { subscription, clock } = await subscribed([await aCoupon({ duration: 'once' })], { trial_period_days: 10 });
    expect(subscription.discounts).toHaveLength(1);
    await billing.advance(clock, january31 + 11 * 86_400);
    expect((await invoicesOf(subscription)).map(({ total }) => total)).toEqual([0, 750]);
    expect((await billing.stripe.subscriptions.retrieve(subscription.id)).discounts).toEqual([]);
  });

  test('one for three months lowers three invoices and is gone when they are over', async () => {
    const { subscription, clock } = await subscribed([await aCoupon({ duration: 'repeating', duration_in_months: 3 })]);
    const [discount] = subscription.discounts as Stripe.Discount[];
    expect(day(discount!.end!)).toBe('2026-04-30');
    await billing.advance(clock, at(3, 2));
    billing.news();
    await billing.advance(clock, at(5, 2));
    expect((await invoicesOf(subscription)).map(({ total }) => total)).toEqual([750, 750, 750, 1000]);
    expect(billing.news().filter((type) => /discount/.test(type))).toEqual(['customer.discount.deleted']);
    const change = billing.happened.find(
      ({ type, data }) => type === 'customer.subscription.updated' && data.object['id'] === subscription.id && data.previous_attributes?.['discounts'], // prettier-ignore
    );
    expect(change?.data).toMatchObject({ object: { discounts: [] }, previous_attributes: { discounts: [discount!.id] } }); // prettier-ignore
  });
});

describe('changes', () => {
  test('a list of discounts takes the place of the one before, and an empty text clears it', async () => {
    const [a, b, c] = [await aCoupon(), await aCoupon({ percent_off: 10 }), await aCoupon({ percent_off: 50 })];
    const { subscription } = await subscribed([a]);
    const [first] = subscription.discounts as Stripe.Discount[];
    billing.news();
    const two = await billing.stripe.subscriptions.update(subscription.id, {
      discounts: [{ discount: first!.id }, { coupon: b.id }],
    });
    expect(two.discounts).toEqual([first!.id, expect.stringMatching(/^di_/)]);
    expect(billing.news()).toEqual(['customer.discount.created', 'customer.subscription.updated']);
    await billing.stripe.subscriptions.update(subscription.id, { discounts: [{ discount: first!.id }, { coupon: c.id }] }); // prettier-ignore
    expect(billing.news()).toEqual(['customer.discount.updated', 'customer.subscription.updated']);
    const switched = billing.happened.filter(({ type }) => type === 'customer.discount.updated').at(-1)!;
    expect(switched.data).toMatchObject({
      object: { source: { coupon: c.id } },
      previous_attributes: { id: two.discounts[1], source: { coupon: b.id } },
    });
    const none = await billing.stripe.subscriptions.update(subscription.id, { discounts: '' });
    expect(none.discounts).toEqual([]);
    const types = ['customer.discount.deleted', 'customer.discount.deleted', 'customer.subscription.updated'];
    expect(billing.news()).toEqual(types);
    expect(await failure(billing.stripe.subscriptions.deleteDiscount(subscription.id))).toMatchObject({ statusCode: 404 }); // prettier-ignore
  });

  test('the discount of a subscription is deleted by a call of its own; its invoices still say what it was', async () => {
    const coupon = await aCoupon();
    const { subscription, invoice } = await subscribed([coupon]);
    await billing.stripe.coupons.del(coupon.id);
    const kept = await billing.stripe.subscriptions.retrieve(subscription.id, { expand: ['discounts.source.coupon'] });
    expect(kept.discounts).toMatchObject([{ source: { coupon: { id: coupon.id, percent_off: 25 } } }]);
    billing.news();
    expect(await billing.stripe.subscriptions.deleteDiscount(subscription.id)).toMatchObject({ deleted: true });
    expect(billing.news()).toEqual(['customer.discount.deleted', 'customer.subscription.updated']);
    const after = await billing.stripe.invoices.retrieve(invoice.id, { expand: ['total_discount_amounts.discount'] });
    expect(after.total_discount_amounts).toMatchObject([{ amount: 250, discount: { deleted: true } }]);
  });

  test('a change of seats is charged net of the discount, and credits no more than was paid', async () => {
    const { subscription, clock } = await subscribed([await aCoupon({ percent_off: 50 })]);
    await billing.advance(clock, january31 + 14 * 86_400);
    const [item] = subscription.items.data;
    await billing.stripe.subscriptions.update(subscription.id, { items: [{ id: item!.id, quantity: 3 }] });
    const { data } = await billing.stripe.invoiceItems.list({ customer: subscription.customer as string });
    expect(data.map(({ amount }) => amount).toSorted((a, b) => a - b)).toEqual([-250, 750]); // half of 28 days, at half the price
  });

  test('previews know the discounts there are, and those that are asked about', async () => {
    const { subscription } = await subscribed([await aCoupon()]);
    const preview = (discounts?: Stripe.InvoiceCreatePreviewParams['discounts']) =>
      billing.stripe.invoices.createPreview({ subscription: subscription.id, ...(discounts !== undefined && { discounts }) }); // prettier-ignore
    expect((await preview()).total).toBe(750);
    expect((await preview('')).total).toBe(1000);
    expect((await preview([{ coupon: (await aCoupon({ amount_off: 400 })).id }])).total).toBe(600);
  });
});
