import { randomUUID } from 'node:crypto';
import { refundCommands, RefundService } from '../../src/features/refunds/refund.service.js';
import { Commands } from '../../src/jobs/commands/commands.js';
import { CommandRecovery } from '../../src/jobs/commands/recovery.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { aRequest, createWorld, type Facts, type TestTenant, type World } from '../payments/support/world.js';
import { oneRequestProcesses } from '../support/one-request.js';

// A process is killed with SIGKILL between any two steps of a refund, and answers of Stripe get lost. In the end the money was given
// back once, or not at all, and both sides say the same.

let world: World;
const processes = oneRequestProcesses(new URL('./ask.mjs', import.meta.url));

beforeAll(async () => {
  world = await createWorld();
});
afterEach(() => world.sandbox.control('/faults', undefined, 'DELETE'));
afterAll(() => Promise.all([processes.stop(), world.stop()]));

interface Paid {
  readonly tenant: TestTenant;
  readonly paymentId: Uuid;
  readonly refunds: RefundService;
}

/** A payment over 100.00 from a saved card. */
async function aPayment(): Promise<Paid> {
  const tenant = await world.aTenant();
  const customerId = await tenant.aCustomer();
  const method = {
    customerId,
    stripePaymentMethodId: 'pm_card_visa',
    setAsDefault: false,
    idempotencyKey: null,
  } as const;
  const paymentMethodId = await tenant.methods.attachPaymentMethod(method);
  const { paymentId } = await tenant.payments.createPaymentIntent(
    aRequest({ customerId, paymentMethodId, amount: 10_000, currency: 'usd', confirm: true }),
  );
  return { tenant, paymentId, refunds: new RefundService(new Commands(tenant.db, world.stripe), 'user-1') };
}

const aRefund = (paymentId: Uuid, amount: number | null) => ({
  ...{ paymentId, amount, reason: null, refundApplicationFee: true },
  idempotencyKey: randomUUID(),
});

async function askAndDie(tenant: TestTenant, request: object, failpoint: string): Promise<NodeJS.Signals | null> {
  const { db, sandbox } = world;
  const { secretKey, publishableKey, url: apiBase } = sandbox;
  const settings = { url: db.url, secretKey, publishableKey, apiBase, tenantId: tenant.id, request };
  return (await processes.ask(settings, failpoint)).signal;
}

/** Time passes: leases end, and recovery comes round. */
async function recover(): Promise<void> {
  const recovery = new CommandRecovery(world.database, world.stripe, refundCommands);
  do {
    await world.db.query(
      `update commands set lease_until = now() - interval '1 second', next_attempt_at = now() where finished_at is null`,
    );
  } while ((await recovery.recoverOnce()) > 0);
}

async function refundsAtStripe({ accountId }: TestTenant): Promise<Facts[]> {
  const { data } = await world.sandbox.api<{ data: Facts[] }>('GET', '/v1/refunds', { account: accountId });
  return data;
}

const refundsHere = ({ id }: TestTenant) =>
  world.db.query<Facts>('select * from refunds where tenant_id = $1 order by created_at', [id]);

async function expectOneRefund({ tenant, paymentId }: Paid, amount: number): Promise<void> {
  const [made, ...others] = await refundsAtStripe(tenant);
  expect(others).toEqual([]);
  expect(made).toMatchObject({ amount });
  expect(await refundsHere(tenant)).toMatchObject([
    { stripe_refund_id: made!.id, status: 'SUCCEEDED', amount: String(amount) },
  ]);
  expect(await tenant.payment(paymentId)).toMatchObject({ amount_refunded: String(amount), refund_pending: false });
}

test.each([
  'command.before-insert',
  'command.after-insert',
  'command.after-stripe',
  'command.in-apply',
  'command.after-apply',
])('a process that dies at %s has given the money back once, when the same is asked again', async (failpoint) => {
  const paid = await aPayment();
  const request = aRefund(paid.paymentId, 4_000);
  expect(await askAndDie(paid.tenant, request, failpoint)).toBe('SIGKILL');
  await recover();
  await paid.refunds.refundPayment(request);
  await expectOneRefund(paid, 4_000);
});

test('the recovery itself may die, too', async () => {
  const paid = await aPayment();
  const request = aRefund(paid.paymentId, 4_000);
  for (const failpoint of ['command.after-insert', 'command.after-find', 'command.after-stripe', 'command.in-apply']) {
    expect(await askAndDie(paid.tenant, request, failpoint)).toBe('SIGKILL');
    await world.db.query(`update commands set lease_until = now() - interval '1 second' where finished_at is null`);
  }
  await recover();
  await expectOneRefund(paid, 4_000);
});

test.each(['delay_after', 'reset_after', 'truncate'])(
  'an answer that is lost (%s) gives nothing back twice, and counts until it is found out',
  async (kind) => {
    const paid = await aPayment();
    const { tenant, paymentId, refunds } = paid;
    await world.sandbox.control('/faults', { kind, times: null, ms: 2_500, method: 'POST', path: '/v1/refunds' });
    const request = aRefund(paymentId, 6_000);
    const failure = await refunds.refundPayment(request).catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'OUTCOME_UNKNOWN',
      details: { refundId: expect.any(String), paymentId },
    });
    expect(await tenant.payment(paymentId)).toMatchObject({ refund_pending: true });
    await world.sandbox.control('/faults', undefined, 'DELETE');
    // What may have been given back is not given back again before that is known.
    await expect(refunds.refundPayment(aRefund(paymentId, 6_000))).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'input.amount' },
    });
    await recover();
    await expectOneRefund(paid, 6_000);
    await expect(refunds.refundPayment(request)).resolves.toMatchObject({ paymentId });
  },
);

test('a refund that surely never happened, and is too old to be sent again, has failed; the amount is free again', async () => {
  const { tenant, paymentId, refunds } = await aPayment();
  await askAndDie(tenant, aRefund(paymentId, 10_000), 'command.after-insert');
  await world.db.query(`update commands set sent_at = now() - interval '2 days' where tenant_id = $1`, [tenant.id]);
  await recover();
  expect(await refundsAtStripe(tenant)).toEqual([]);
  expect(await refundsHere(tenant)).toMatchObject([{ status: 'FAILED', stripe_refund_id: null }]);
  expect(await tenant.payment(paymentId)).toMatchObject({ refund_pending: false, amount_refunded: '0' });
  await expect(refunds.refundPayment(aRefund(paymentId, null))).resolves.toBeDefined();
});

test('Stripe being down leaves nothing behind, and the key can be used again', async () => {
  const paid = await aPayment();
  await world.sandbox.control('/faults', { kind: '429', times: null, method: 'POST', path: '/v1/refunds' });
  const request = aRefund(paid.paymentId, null);
  await expect(paid.refunds.refundPayment(request)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  expect(await refundsHere(paid.tenant)).toEqual([]);
  await world.sandbox.control('/faults', undefined, 'DELETE');
  await paid.refunds.refundPayment(request);
  await expectOneRefund(paid, 10_000);
});
