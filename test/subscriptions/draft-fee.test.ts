import { startApp, type TestApp } from '../support/harness.js';
import { type ServerProcess, startServerProcess } from '../support/server-process.js';
import { until } from '../support/until.js';
import { aBillingTenant, type BillingTenant, day, type Facts } from './support.js';

/** How long until the first renewal, and not an hour longer: the invoice is a draft then. */
async function untilRenewal({ stripe, now }: BillingTenant, stripeId: string): Promise<number> {
  const { items } = await stripe('GET', `/subscriptions/${stripeId}`);
  return (items.data[0].current_period_end as number) + 600 - now();
}

const feesOf = async ({ rows }: BillingTenant, id: string): Promise<Facts[]> =>
  await rows(
    `select p.application_fee::int as booked, c.application_fee::int as set from payments p join stripe_invoices c
         on c.tenant_id = p.tenant_id and c.invoice_id = p.invoice_id
       where p.tenant_id = $1 and p.subscription_id = $2 order by p.created_at, p.id`,
    id,
  );

describe('the fixed part of the fee', () => {
  let app: TestApp;
  beforeAll(async () => {
    app = await startApp();
  });
  afterAll(() => app.stop());

  test('is set on each draft in time, and is what Stripe books; the first invoice is never a draft', async () => {
    const tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 50 });
    const { id, stripeId } = await tenant.aSubscription();
    await tenant.advance(await untilRenewal(tenant, stripeId));
    const [draft] = await tenant.rows(
      `select i.status, c.application_fee::int as fee from stripe_invoices c join invoices i on i.tenant_id = c.tenant_id and i.id = c.invoice_id
       where c.tenant_id = $1 and c.subscription_id = $2 and c.billing_reason = 'subscription_cycle'`,
      id,
    );
    expect(draft).toEqual({ status: 'DRAFT', fee: 175 });
    await tenant.advance(7_200);
    expect(await feesOf(tenant, id)).toEqual([
      { booked: 125, set: null },
      { booked: 175, set: 175 },
    ]);
  });

  test('is not asked for where a percentage says all', async () => {
    const tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 0 });
    const { id } = await tenant.aSubscription();
    await tenant.advance(32 * day);
    expect(await feesOf(tenant, id)).toEqual([
      { booked: 125, set: null },
      { booked: 125, set: null },
    ]);
    expect(await tenant.rows(`select from commands where tenant_id = $1 and kind = 'invoices.set-fee'`)).toEqual([]);
  });

  test('follows the rule of the day, also when the percentage changed after the subscription was made', async () => {
    const tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 0 });
    const { id, stripeId } = await tenant.aSubscription();
    await tenant.rows(`update stripe_config set application_fee_percent = 4 where tenant_id = $1`);
    await tenant.advance(await untilRenewal(tenant, stripeId));
    await tenant.advance(7_200);
    expect((await feesOf(tenant, id)).at(-1)).toEqual({ booked: 200, set: 200 });
  });
});

describe('a worker that is killed while it sets the fee', () => {
  let app: TestApp;
  let worker: TestApp | undefined;
  let dying: ServerProcess | undefined;
  beforeAll(async () => {
    app = await startApp({ env: { PROCESS_ROLE: 'api' } });
  });
  const leave = async () => {
    await worker?.stop();
    worker = undefined;
  };
  afterEach(() => Promise.all([leave(), dying?.stop()]));
  afterAll(() => app.stop());

  /** Only what is killed has to be a process of its own. */
  const aWorker = async () => {
    worker = await startApp({ beside: app, env: { PROCESS_ROLE: 'worker' } });
  };

  // The steps of a command in general are cut off one by one in test/jobs; here, the two that are this fee's own.
  test.each(['command.after-stripe', 'worker.after-fetch'])('at %s leaves nothing undone', async (failpoint) => {
    await aWorker();
    const tenant = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 50 });
    const { id, stripeId } = await tenant.aSubscription();
    await tenant.settled();
    await leave();
    const clock = (await tenant.stripe<Facts>('GET', '/test_helpers/test_clocks')).data[0];
    const frozen = tenant.now() + (await untilRenewal(tenant, stripeId));
    await tenant.stripe('POST', `/test_helpers/test_clocks/${clock.id}/advance`, { frozen_time: String(frozen) });

    const env = { ...app.env, PROCESS_ROLE: 'worker', METRICS_PORT: '0', FAILPOINT: failpoint };
    dying = await startServerProcess(env, { awaitReady: false });
    expect(await dying.ended).toMatchObject({ signal: 'SIGKILL' });
    // Time passes: leases end.
    await app.db.query(
      `update stripe_webhook_queue set lease_until = now() - interval '1 second' where lease_until is not null`,
    );
    await app.db.query(`update commands set lease_until = now() - interval '1 second' where finished_at is null`);
    await aWorker();
    await until(
      async () =>
        (await tenant.rows('select from stripe_invoices where tenant_id = $1 and application_fee = 175')).length === 1,
      'the fee is set',
    );
    await tenant.stripe('POST', `/test_helpers/test_clocks/${clock.id}/advance`, {
      frozen_time: String(frozen + 7_200),
    });
    await until(
      async () => (await feesOf(tenant, id)).some(({ booked, set }) => booked === 175 && set === 175),
      'the fee is booked',
    );
    const commands = await tenant.rows(`select state from commands where tenant_id = $1 and kind = 'invoices.set-fee'`);
    expect(commands.filter(({ state }) => state !== 'SUCCEEDED')).toEqual([]);
  });
});
