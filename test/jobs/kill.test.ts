import { paymentMethodCommands } from '../../src/features/payment-methods/payment-method.commands.js';
import { paymentCommands } from '../../src/features/payments/payment.service.js';
import { CommandRecovery } from '../../src/jobs/commands/recovery.js';
import { aRequest, createWorld, type TestTenant, type World } from '../payments/support/world.js';
import { type Ended, oneRequestProcesses } from '../support/one-request.js';

// A real process is killed with SIGKILL between any two steps of a command. Whatever it left behind, in the end one intent is at
// Stripe, one payment here, and they agree.

let world: World;
const processes = oneRequestProcesses(new URL('./support/ask.mjs', import.meta.url));

beforeAll(async () => {
  world = await createWorld();
});

afterAll(() => Promise.all([processes.stop(), world.stop()]));

function askAndDie(tenant: TestTenant, method: string, request: object, failpoint?: string): Promise<Ended> {
  const { db, sandbox } = world;
  const { secretKey, publishableKey, url: apiBase } = sandbox;
  const settings = { url: db.url, secretKey, publishableKey, apiBase, tenantId: tenant.id, method, request };
  return processes.ask(settings, failpoint);
}

/** Time passes: leases end, and recovery comes round. */
async function recover(): Promise<void> {
  const recovery = new CommandRecovery(world.database, world.stripe, [...paymentCommands, ...paymentMethodCommands]);
  do {
    await world.db.query(
      `update commands set lease_until = now() - interval '1 second', next_attempt_at = now() where finished_at is null`,
    );
  } while ((await recovery.recoverOnce()) > 0);
}

async function openCommands(tenant: TestTenant): Promise<number> {
  const [row] = await world.db.query(
    'select count(*) as n from commands where tenant_id = $1 and finished_at is null',
    [tenant.id],
  );
  return Number(row!.n);
}

// A new customer makes two commands, one within the other: the second time a point is passed is the payment's own, or the reverse.
const points = [
  'command.before-insert',
  'command.after-insert',
  'command.after-insert:2',
  'command.after-stripe',
  'command.after-stripe:2',
  'command.in-apply',
  'command.in-apply:2',
  'command.after-apply',
  'command.after-apply:2',
];

describe.each(points)('a process that dies at %s', (failpoint) => {
  test('leaves one payment and one intent once it was recovered, and the same request gets that answer', async () => {
    const tenant = await world.aTenant();
    const invoiceId = await tenant.anInvoice();
    const request = aRequest({ invoiceId });
    expect(await askAndDie(tenant, 'createPaymentIntent', request, failpoint)).toMatchObject({ signal: 'SIGKILL' });
    await recover();
    expect(await openCommands(tenant)).toBe(0);

    // Before anything was written there is nothing to recover; the client, who had no answer, asks again.
    const answer = await tenant.payments.createPaymentIntent(request);
    const [intent, ...others] = await tenant.intents();
    expect(others).toEqual([]);
    expect(answer).toMatchObject({ stripePaymentIntentId: intent!.id });
    expect(await tenant.rows('payments')).toBe(1);
    expect(await tenant.rows('stripe_customers')).toBe(1);
    expect(await tenant.rows('audit_log')).toBe(1);
    expect(await tenant.payment(answer.paymentId)).toMatchObject({
      status: 'PENDING',
      stripe_payment_intent_id: intent!.id,
    });
  });
});

test.each(['command.after-insert', 'command.after-stripe:2'])(
  'what a process left that died at %s is finished by the client who asks again, when recovery has not come round',
  async (failpoint) => {
    const tenant = await world.aTenant();
    const invoiceId = await tenant.anInvoice();
    const request = aRequest({ invoiceId });
    await askAndDie(tenant, 'createPaymentIntent', request, failpoint);
    await world.db.query(`update commands set lease_until = now() - interval '1 second' where finished_at is null`);
    const answer = await tenant.payments.createPaymentIntent(request);
    const intents = await tenant.intents();
    expect(intents.map(({ id }) => id)).toEqual([answer.stripePaymentIntentId]);
    expect(await tenant.rows('payments')).toBe(1);
    expect(await openCommands(tenant)).toBe(0);
  },
);

test.each(['command.after-insert', 'command.after-stripe', 'command.in-apply'])(
  'a capture whose process dies at %s takes the money once',
  async (failpoint) => {
    const tenant = await world.aTenant();
    const customerId = await tenant.aCustomer();
    const method = { customerId, stripePaymentMethodId: 'pm_card_visa', setAsDefault: false, idempotencyKey: null };
    const paymentMethodId = await tenant.methods.attachPaymentMethod(method);
    const { paymentId } = await tenant.payments.createPaymentIntent(
      aRequest({ customerId, paymentMethodId, amount: 10_000, currency: 'usd', confirm: true, captureLater: true }),
    );
    expect(await tenant.payment(paymentId)).toMatchObject({ status: 'AUTHORIZED' });
    const request = { paymentId, amount: 6_000, idempotencyKey: 'capture' } as const;
    expect(await askAndDie(tenant, 'capturePayment', request, failpoint)).toMatchObject({ signal: 'SIGKILL' });
    await recover();
    expect(await tenant.payment(paymentId)).toMatchObject({ status: 'SUCCEEDED', amount_received: '6000' });
    expect(await tenant.payments.capturePayment(request)).toBe(paymentId);
    expect(await tenant.intents()).toMatchObject([{ status: 'succeeded', amount_received: 6_000 }]);
  },
);

test('the recovery itself may die, too, wherever it is', async () => {
  const tenant = await world.aTenant();
  const request = aRequest({ amount: 5_000, currency: 'usd' });
  await askAndDie(tenant, 'createPaymentIntent', request, 'command.after-insert');
  for (const failpoint of ['command.after-find', 'command.after-stripe', 'command.after-find', 'command.in-apply']) {
    await world.db.query(`update commands set lease_until = now() - interval '1 second' where finished_at is null`);
    expect(await askAndDie(tenant, 'createPaymentIntent', request, failpoint)).toMatchObject({ signal: 'SIGKILL' });
  }
  await recover();
  expect(await tenant.intents()).toHaveLength(1);
  expect(await openCommands(tenant)).toBe(0);
});
