import { randomUUID } from 'node:crypto';
import { insightsEvents } from '../../src/features/insights/insights.events.js';
import { once } from '../../src/jobs/effects.js';
import { type StripeEvent } from '../../src/stripe/types.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aBillingTenant, type BillingTenant, day, type Facts } from '../subscriptions/support.js';
import { partsOn, type Parts } from '../webhooks/parts.js';

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

const change = (name: string, input: object) =>
  tenant.ask(`mutation ($input: ${name[0]!.toUpperCase()}${name.slice(1)}Input!) { ${name}(input: $input) { subscription { status } } }`, { input }); // prettier-ignore

const columns = 'stripe_event_id, stripe_subscription_id, kind, effective_at, rank, state, currency, replaces';
const history = () => tenant.rows(`select ${columns} from subscription_history where tenant_id = $1 order by stripe_event_id`); // prettier-ignore
const states = () => tenant.rows(`select stripe_subscription_id, effective_at, status, state, mrr from subscription_states where tenant_id = $1 order by 1, 2`); // prettier-ignore

test('what Stripe reports of subscriptions becomes their history, and the same one from the same events in any order', async () => {
  const contract = { unit_amount: 2_000, quantity: 3 };
  const [grown, tried, gone] = [
    await tenant.aSubscription({ contract }),
    await tenant.aSubscription({ contract, input: { trialDays: 10 } }),
    await tenant.aSubscription({ contract }),
  ];
  await change('updateSubscription', { id: grown.id, quantity: 5, idempotencyKey: randomUUID() });
  await change('pauseSubscription', { id: gone.id, behavior: 'VOID' });
  await change('resumeSubscription', { id: gone.id });
  await tenant.advance(5 * day);
  await change('cancelSubscription', { id: gone.id, atPeriodEnd: false });
  await tenant.advance(7 * day);

  // What it says of now is what the subscriptions say of themselves.
  const last = (await states()).reduce<Map<string, Facts>>((map, row) => map.set(row.stripe_subscription_id, row), new Map()); // prettier-ignore
  expect(
    [grown, tried, gone].map(({ stripeId }) => [last.get(stripeId)?.status, Number(last.get(stripeId)?.mrr)]),
  ).toEqual([
    // prettier-ignore
    ['ACTIVE', 10_000],
    ['ACTIVE', 6_000],
    ['CANCELED', 0],
  ]);
  const range = `from: "${new Date(tenant.now() * 1_000 - 20 * day * 1_000).toISOString()}", to: "${new Date(tenant.now() * 1_000).toISOString()}"`;
  const months = async () =>
    (await tenant.ask(`{ mrr(${range}) { month closing { amount } customers } }`)).mrr as Facts[];
  const before = await months();
  expect(before.at(-1)).toMatchObject({ closing: { amount: 16_000 }, customers: 2 });
  const kept = await history();
  expect(kept.filter(({ kind }) => kind === 'PAID').map((row) => row.stripe_subscription_id)).toContain(tried.stripeId);
  expect(kept.some(({ replaces }) => replaces?.startsWith('ACTIVE 3 2000 MONTH'))).toBe(true);

  const stored = await app.db.query<{ payload: StripeEvent }>(
    'select payload from stripe_webhook_events where stripe_account_id = $1',
    [tenant.accountId],
  );
  const heldThen = await states();
  for (const order of [1, -1]) {
    await app.db.query(`alter table subscription_history disable trigger user`);
    await app.db.query('delete from subscription_history where tenant_id = $1', [tenant.id]);
    await app.db.query(`alter table subscription_history enable trigger user`);
    const byId = stored.map(({ payload }) => payload).toSorted((a, b) => (a.id < b.id ? -order : order));
    for (const event of [...byId, ...byId.slice(0, 10)]) {
      const handler = insightsEvents[event.type as keyof typeof insightsEvents];
      const about = { accountId: tenant.accountId, eventId: event.id, created: new Date(event.created * 1_000) };
      const context = { ...about, tenantId: tenant.id, livemode: false, once } as never;
      await parts.database.tenant(tenant.id).transaction((em) => handler?.apply(em, event as never, context, null));
    }
    expect(await history()).toEqual(kept);
    expect(await states()).toEqual(heldThen);
    expect(await months()).toEqual(before);
  }
});

test('nobody changes a history', async () => {
  const refused = async (sql: string) => parts.database.tenant(tenant.id).transaction((em) => em.execute(sql)).then(() => false, () => true); // prettier-ignore
  expect(await refused(`update subscription_history set status = 'ACTIVE'`)).toBe(true);
  expect(await refused('delete from subscription_history')).toBe(true);
  await expect(app.db.query('delete from subscription_history')).rejects.toThrow();
});
