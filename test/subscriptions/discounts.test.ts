import { MrrJob } from '../../src/features/insights/mrr-job.js';
import { discountEvents } from '../../src/features/subscriptions/discount.events.js';
import { StripeSubscription } from '../../src/features/subscriptions/subscription.entity.js';
import { handlers } from '../../src/webhooks/handlers.js';
import { replayEvents } from '../../src/webhooks/replay.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { partsOn, type Parts } from '../webhooks/parts.js';
import { aBillingTenant, type BilledContract, type BillingTenant, day, type Facts } from './support.js';

let app: TestApp;
let parts: Parts;
let tenant: BillingTenant;

beforeAll(async () => {
  app = await startApp();
  parts = partsOn(app.db, app.sandbox);
  tenant = await aBillingTenant(app);
});
afterAll(async () => {
  await parts.close();
  await app.stop();
});

const aCoupon = async (form: Record<string, string>) => (await tenant.stripe<{ id: string }>('POST', '/coupons', form)).id; // prettier-ignore

/** What somebody does in Stripe's dashboard. */
const give = async ({ stripeId }: BilledContract, ...coupons: string[]) => {
  const form = coupons.length ? coupons.map((coupon, i) => [`discounts[${i}][coupon]`, coupon]) : [['discounts', '']];
  await tenant.stripe('POST', `/subscriptions/${stripeId}`, Object.fromEntries(form) as Record<string, string>);
};

const instant = (days = 0) => new Date((tenant.now() + days * day) * 1_000).toISOString();

/** The months of the tenant from the beginning on, in the currency of its contracts. */
const months = async (): Promise<Facts[]> =>
  (await tenant.ask(`{ mrr(from: "${instant(-200)}", to: "${instant()}") { month closing { amount } expansion { amount } contraction { amount } } }`)).mrr as Facts[]; // prettier-ignore
const present = async () => (await months()).at(-1)?.closing.amount as number;

const shown = async ({ id }: BilledContract) =>
  (await tenant.ask(`{ subscription(id: "${id}") { discounts { name duration percentOff amountOff { amount currency } startsAt endsAt } } }`)).subscription.discounts as Facts[]; // prettier-ignore

const discounts = () =>
  tenant.rows(
    `select stripe_discount_id, stripe_subscription_id, duration, percent_off, amount_off, currency, starts_at, ends_at, removed_at, told_at
     from stripe_discounts where tenant_id = $1 order by 1`,
  );
const history = () =>
  tenant.rows(
    `select stripe_event_id, state, discount_ids, replaces from subscription_history where tenant_id = $1 and kind = 'STATE' order by 1`,
  );

/** Does something while nothing is delivered, then delivers all of it backwards, and some of it twice. */
async function inDisorder(work: () => Promise<void>): Promise<void> {
  await app.sandbox.control('/deliveries/faults', { hold: true, duplicate: 0.5 });
  await work();
  const { data } = await app.sandbox.control<{ data: { id: string }[] }>('/deliveries?state=held');
  await app.sandbox.control('/deliveries/faults', { hold: false, duplicate: 0 });
  await app.sandbox.control('/deliveries/release', { ids: data.map(({ id }) => id).toReversed() });
  await tenant.settled();
}

test('what is taken off a subscription lowers its invoices and its recurring revenue, and nothing when it has ended', async () => {
  const contract = await tenant.aSubscription({ contract: { unit_amount: 2_000, quantity: 3 } });
  await tenant.settled();
  expect(await present()).toBe(6_000);
  expect(await shown(contract)).toEqual([]);

  // A quarter off for two months, and two dollars off for good.
  const quarter = await aCoupon({ name: 'Welcome', percent_off: '25', duration: 'repeating', duration_in_months: '2' });
  const fixed = await aCoupon({ amount_off: '200', currency: 'usd', duration: 'forever' });
  await give(contract, quarter, fixed);
  await tenant.settled();
  expect(await present()).toBe(4_300);
  expect((await shown(contract)).toSorted((a, b) => b.duration.localeCompare(a.duration))).toEqual([
    { name: 'Welcome', duration: 'REPEATING', percentOff: '25', amountOff: null, startsAt: instant().replace(/\.\d+/, '.000'), endsAt: expect.any(String) }, // prettier-ignore
    { name: null, duration: 'FOREVER', percentOff: null, amountOff: { amount: 200, currency: 'usd' }, startsAt: expect.any(String), endsAt: null }, // prettier-ignore
  ]);
  await tenant.advance(32 * day);
  const [invoice] = (await tenant.ask(`{ invoices(first: 1) { edges { node { total { amount } } } } }`)).invoices.edges;
  expect(invoice.node.total.amount).toBe(4_300);

  await tenant.advance(40 * day);
  expect(await present()).toBe(5_800);
  expect((await months()).map(({ closing }) => closing.amount).filter((amount) => amount > 0).slice(-2)).toEqual([4_300, 5_800]); // prettier-ignore
  await give(contract);
  await tenant.settled();
  expect(await present()).toBe(6_000);
  await tenant.ask(`mutation { cancelSubscription(input: { id: "${contract.id}", atPeriodEnd: false }) { subscription { status } } }`); // prettier-ignore
  await tenant.settled();
  expect(await present()).toBe(0);
});

test('in whatever order it is told and however often: the same discounts, the same history, the same months', async () => {
  const contract = await tenant.aSubscription({ contract: { unit_amount: 10_000, quantity: 1 } });
  await tenant.settled();
  const half = await aCoupon({ percent_off: '50', duration: 'repeating', duration_in_months: '1' });
  const [tenth, once] = [await aCoupon({ percent_off: '10', duration: 'forever' }), await aCoupon({ percent_off: '99', duration: 'once' })]; // prettier-ignore
  await inDisorder(async () => {
    await give(contract, half);
    await give(contract, tenth);
    await give(contract, tenth, once);
    await give(contract, half, tenth, once);
  });
  expect(await present()).toBe(4_500);
  await inDisorder(async () => {
    await tenant.advance(35 * day, { settles: false });
    await give(contract, tenth);
  });
  expect(await present()).toBe(9_000);

  expect((await discounts()).filter(({ duration }) => duration === null)).toEqual([]);
  const before = { discounts: await discounts(), history: await history(), months: await months() };
  await app.db.query('alter table subscription_history disable trigger user');
  await app.db.query(`delete from subscription_history where tenant_id = $1`, [tenant.id]);
  await app.db.query('alter table subscription_history enable trigger user');
  await app.db.query(`delete from stripe_discounts where tenant_id = $1`, [tenant.id]);
  await replayEvents(parts.database, handlers, { accountIds: [tenant.accountId] });
  await tenant.settled();
  expect({ discounts: await discounts(), history: await history(), months: await months() }).toEqual(before);
});

test('what no event told is asked of Stripe, once, and its customer’s months are made anew', async () => {
  const contract = await tenant.aSubscription({ contract: { unit_amount: 1_000, quantity: 1 } });
  await tenant.settled();
  const before = await present();
  const coupon = await aCoupon({ percent_off: '20', duration: 'forever' });
  await give(contract, coupon);
  await tenant.settled();
  // As if it had been there before the server was, and its coupon deleted since.
  await tenant.rows(
    `delete from stripe_discounts where tenant_id = $1 and stripe_subscription_id = $2`,
    contract.stripeId,
  );
  await app.db.query('update mrr_customers set reported = reported + 1 where tenant_id = $1', [tenant.id]);
  await tenant.stripe('DELETE', `/coupons/${coupon}`);
  expect(await present()).toBe(before);
  await tenant.rows(`update stripe_subscriptions set discount_ids = discount_ids || '{di_gone}' where tenant_id = $1 and stripe_subscription_id = $2`, contract.stripeId); // prettier-ignore
  const run = (settings = {}) => new MrrJob({ ...parts, ...settings }).run({ signal: new AbortController().signal });
  const asked = async () => (await app.sandbox.control<{ data: { path: string }[] }>('/requests')).data.filter(({ path }) => path.startsWith('/v1/subscriptions/')).length; // prettier-ignore
  const calls = await asked();
  // Its events may still be on their way; and a disconnected account has nothing more to say.
  await run();
  const connected = (at: string | null) => tenant.rows('update stripe_accounts set disconnected_at = $2 where tenant_id = $1', at); // prettier-ignore
  await connected(new Date().toISOString());
  await run({ settledMs: 0 });
  await connected(null);
  expect(await asked()).toBe(calls);
  await run({ settledMs: 0 });
  expect(await present()).toBe(before - 200);
  const kept = `select told_at, percent_off from stripe_discounts where tenant_id = $1 and (stripe_subscription_id = $2 or stripe_discount_id = 'di_gone') order by 2`; // prettier-ignore
  expect(await tenant.rows(kept, contract.stripeId)).toEqual([
    { told_at: null, percent_off: '20' },
    { told_at: null, percent_off: null },
  ]);
  await run({ settledMs: 0 });
  expect(await asked()).toBe(calls + 1);
});

test('a discount that is told of after its subscription lowers what was rolled up in between', async () => {
  const contract = await tenant.aSubscription({ contract: { unit_amount: 1_000, quantity: 1 } });
  await tenant.settled();
  const before = await present();
  const coupon = await aCoupon({ amount_off: '300', currency: 'usd', duration: 'forever' });
  await app.sandbox.control('/deliveries/faults', { hold: true });
  await give(contract, coupon);
  // The event has the coupon's id alone, and who asks for the coupon hears that there is none: the subscription still knows.
  await tenant.stripe('DELETE', `/coupons/${coupon}`);
  const { data } = await app.sandbox.control<{ data: { id: string; type: string }[] }>('/deliveries?state=held');
  const release = (wanted: (type: string) => boolean) =>
    app.sandbox.control('/deliveries/release', { ids: data.filter(({ type }) => wanted(type)).map(({ id }) => id) });
  await app.sandbox.control('/deliveries/faults', { hold: false });
  await release((type) => type !== 'customer.discount.created');
  await until(async () => (await tenant.rows(`select 1 from stripe_subscriptions where tenant_id = $1 and discount_ids <> '{}' and stripe_subscription_id = $2`, contract.stripeId))[0], 'it is told that there is one'); // prettier-ignore
  expect(await present()).toBe(before);
  await release((type) => type === 'customer.discount.created');
  await tenant.settled();
  expect(await present()).toBe(before - 300);
});

test('one coupon in the place of another ends the one before, and what is not of a subscription is not kept', async () => {
  const contract = await tenant.aSubscription({ contract: { unit_amount: 1_000, quantity: 1 } });
  const [first, second] = [await aCoupon({ percent_off: '10', duration: 'forever' }), await aCoupon({ percent_off: '20', duration: 'forever' })]; // prettier-ignore
  await give(contract, first);
  await give(contract, second);
  await tenant.settled();
  expect((await shown(contract)).map(({ percentOff }) => percentOff)).toEqual(['20']);
  const kept = (await discounts()).length;
  const about = { accountId: tenant.accountId, eventId: 'evt_1', created: new Date(), tenantId: tenant.id, livemode: false }; // prettier-ignore
  const event = (object: object) => ({
    type: 'customer.discount.created',
    data: { object: { id: 'di_other', object: 'discount', customer: contract.customer.stripeId, start: 1, end: null, source: { type: 'coupon', coupon: first }, subscription: null, subscription_item: null, ...object } }, // prettier-ignore
  });
  const apply = (object: object) =>
    parts.database.tenant(tenant.id as never).transaction((em) => discountEvents['customer.discount.created'].apply(em, event(object) as never, about as never, null)); // prettier-ignore
  expect(await apply({ invoice: 'in_1' })).toBe('done');
  expect(await apply({})).toBe('done');
  expect(await discounts()).toHaveLength(kept);
  // Of an item, it is its subscription's; and what a coupon's id alone does not say is asked of Stripe.
  expect(await apply({ subscription_item: 'si_1' })).toBe('fetch');
});

test('what says of discounts what is known already has nothing new', () => {
  const asOf = new Date();
  const report = (ids: string[]) => ({ id: 'sub_1', status: 'active', interval: 'month', intervalCount: 1, pauseBehavior: null, discountIds: ids }) as never; // prettier-ignore
  const subscription = new StripeSubscription();
  expect(subscription.applyStripe(report(['di_1', 'di_2']), asOf, false)).toBe('newer');
  expect(subscription.applyStripe(report(['di_1', 'di_2']), asOf, false)).toBe('stale');
  expect(subscription.applyStripe(report(['di_2', 'di_1']), asOf, false)).toBe('unclear');
});
