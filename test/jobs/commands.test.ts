import { randomUUID } from 'node:crypto';
import { asUuid } from '../../src/shared/uuid.js';
import { CommandRecovery } from '../../src/jobs/commands/recovery.js';
import { paymentMethodCommands } from '../../src/features/payment-methods/payment-method.commands.js';
import { paymentCommands } from '../../src/features/payments/payment.service.js';
import { until } from '../support/until.js';
import { aRequest, createWorld, type TestTenant, type World } from '../payments/support/world.js';

let world: World;
let tenant: TestTenant;

beforeAll(async () => {
  world = await createWorld();
});

beforeEach(async () => {
  tenant = await world.aTenant();
});

afterEach(() => world.sandbox.control('/faults', undefined, 'DELETE'));

afterAll(() => world.stop());

/** Strikes every request, longer than anybody waits. */
const always = { times: null, ms: 2_500 };
const free = { amount: 5_000, currency: 'usd' };

function recovery(settings = {}) {
  return new CommandRecovery(world.database, world.stripe, [...paymentCommands, ...paymentMethodCommands], settings);
}

/** As though the process that held it had been gone for long enough. */
async function abandon(): Promise<void> {
  await world.db.query(
    `update commands set lease_until = now() - interval '1 second', next_attempt_at = now() where tenant_id = $1 and lease_until is not null`,
    [tenant.id],
  );
  await world.db.query('update commands set next_attempt_at = now() where tenant_id = $1', [tenant.id]);
}

async function command(): Promise<Record<string, unknown>> {
  const [row] = await world.db.query('select * from commands where tenant_id = $1 order by created_at desc limit 1', [
    tenant.id,
  ]);
  return row!;
}

async function recoverAll(): Promise<void> {
  await abandon();
  while ((await recovery().recoverOnce()) > 0);
}

/** What other tests left open on purpose. */
async function settleTheOthers(): Promise<void> {
  await world.db.query(
    `update commands set next_attempt_at = 'infinity' where tenant_id <> $1 and state in ('PENDING', 'UNKNOWN')`,
    [tenant.id],
  );
}

describe('an idempotency key', () => {
  test('gives the same answer again, and Stripe hears of it once', async () => {
    const request = aRequest(free);
    const first = await tenant.payments.createPaymentIntent(request);
    const again = await tenant.payments.createPaymentIntent({ ...request, metadata: {} });
    expect(again).toEqual({ ...first, clientSecret: null });
    expect(await tenant.payments.clientSecret(again)).toBe(first.clientSecret);
    expect(await tenant.intents()).toHaveLength(1);
    expect(await tenant.rows('payments')).toBe(1);
    expect(await tenant.rows('audit_log')).toBe(1);
  });

  test('is for one request: other parameters or another kind of request are refused', async () => {
    const request = aRequest(free);
    await tenant.payments.createPaymentIntent(request);
    const conflict = { code: 'IDEMPOTENCY_CONFLICT', details: { field: 'input.idempotencyKey' } };
    await expect(tenant.payments.createPaymentIntent({ ...request, amount: 5_001 })).rejects.toMatchObject(conflict);
    const { idempotencyKey } = request;
    const customerId = await tenant.aCustomer();
    await expect(tenant.methods.createSetupIntent({ customerId, idempotencyKey })).rejects.toMatchObject(conflict);
    expect(await tenant.intents()).toHaveLength(1);
  });

  test('used twenty times at once makes one payment, and every call is told of it', async () => {
    const request = aRequest({ ...free, customerId: await tenant.aCustomer() });
    const answers = await Promise.all(Array.from({ length: 20 }, () => tenant.payments.createPaymentIntent(request)));
    expect(new Set(answers.map(({ paymentId }) => paymentId)).size).toBe(1);
    expect(await tenant.intents()).toHaveLength(1);
    expect(await tenant.rows('payments')).toBe(1);
  });

  test('is of one tenant: another may use the same', async () => {
    const request = aRequest(free);
    const other = await world.aTenant();
    const [mine, theirs] = await Promise.all([
      tenant.payments.createPaymentIntent(request),
      other.payments.createPaymentIntent(request),
    ]);
    expect(mine.paymentId).not.toBe(theirs.paymentId);
    expect(await other.intents()).toHaveLength(1);
  });

  test.each([
    ['empty', ''],
    ['too long', 'k'.repeat(256)],
    ["one of the server's own", 'system:stripe-customer:x'],
    ['not text', 'a\0b'],
  ])('that is %s is refused', async (_what, idempotencyKey) => {
    await expect(tenant.payments.createPaymentIntent(aRequest({ ...free, idempotencyKey }))).rejects.toMatchObject({
      code: 'BAD_USER_INPUT',
      details: { field: 'input.idempotencyKey' },
    });
    expect(await tenant.rows('commands')).toBe(0);
  });

  test('whose request was not valid is still unused', async () => {
    const request = aRequest({ ...free, amount: 0 });
    await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject({ code: 'BAD_USER_INPUT' });
    await expect(tenant.payments.createPaymentIntent({ ...request, amount: 5_000 })).resolves.toBeDefined();
  });

  test('whose request is still being carried out gives CONFLICT to the impatient', async () => {
    await world.sandbox.control('/faults', {
      kind: 'delay',
      ms: 1_200,
      method: 'POST',
      path: '/v1/payment_intents',
      times: 1,
    });
    const request = aRequest(free);
    const first = tenant.payments.createPaymentIntent(request);
    await until(command, 'it is written down');
    await expect(tenant.with({ patienceMs: 100 }).createPaymentIntent(request)).rejects.toMatchObject({
      code: 'CONFLICT',
    });
    const patient = tenant.payments.createPaymentIntent(request);
    expect((await patient).paymentId).toBe((await first).paymentId);
    expect(await tenant.intents()).toHaveLength(1);
  });
});

test('a customer who is new to Stripe is made there once, however many payments need them at once', async () => {
  const customerId = await tenant.aCustomer();
  await Promise.all(
    Array.from({ length: 8 }, () => tenant.payments.createPaymentIntent(aRequest({ ...free, customerId }))),
  );
  const { data } = await world.sandbox.api<{ data: unknown[] }>('GET', '/v1/customers', { account: tenant.accountId });
  expect(data).toHaveLength(1);
  expect(await tenant.rows('stripe_customers')).toBe(1);
  expect(new Set((await tenant.intents()).map(({ customer }) => customer)).size).toBe(1);
  // What was personal in the plan is not kept.
  const [made] = await world.db.query(
    `select params from commands where tenant_id = $1 and kind = 'customers.create'`,
    [tenant.id],
  );
  expect(made).toEqual({ params: { customerId } });
});

describe('an answer that is lost', () => {
  test.each(['delay_after', 'reset_after', 'truncate'])(
    '(%s) is said to be unknown, and then found out',
    async (kind) => {
      await world.sandbox.control('/faults', { kind, ...always, method: 'POST', path: '/v1/payment_intents' });
      const request = aRequest(free);
      const failure = await tenant.payments.createPaymentIntent(request).catch((error: unknown) => error);
      expect(failure).toMatchObject({
        code: 'OUTCOME_UNKNOWN',
        details: { commandId: expect.any(String), paymentId: expect.any(String) },
      });
      expect(await command()).toMatchObject({ state: 'UNKNOWN', lease_token: null });

      await world.sandbox.control('/faults', undefined, 'DELETE');
      await recoverAll();
      expect(await command()).toMatchObject({ state: 'SUCCEEDED' });
      const [intent, ...others] = await tenant.intents();
      expect(others).toEqual([]);
      const { paymentId } = (failure as { details: { paymentId: string } }).details;
      expect(await tenant.payment(paymentId)).toMatchObject({
        stripe_payment_intent_id: intent!.id,
        status: 'PENDING',
      });
      await expect(tenant.payments.createPaymentIntent(request)).resolves.toMatchObject({ paymentId });
    },
  );

  test('is found out by the next call with the key, without recovery', async () => {
    await world.sandbox.control('/faults', {
      kind: 'delay_after',
      ...always,
      method: 'POST',
      path: '/v1/payment_intents',
    });
    const request = aRequest(free);
    await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await world.sandbox.control('/faults', undefined, 'DELETE');
    const { clientSecret, stripePaymentIntentId } = await tenant.payments.createPaymentIntent(request);
    expect(clientSecret).toMatch(/_secret_/);
    expect((await tenant.intents()).map(({ id }) => id)).toEqual([stripePaymentIntentId]);
  });
});

describe('an error of Stripe itself', () => {
  const failing = async (kind: string) => {
    await world.sandbox.control('/faults', { kind, ...always, method: 'POST', path: '/v1/payment_intents' });
    const request = aRequest(free);
    await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    await world.sandbox.control('/faults', undefined, 'DELETE');
    return request;
  };

  test('is not waited for under a key that only repeats it: what is not there is sent under another', async () => {
    const request = await failing('500_before');
    await recoverAll();
    // The first request might still come to an end.
    expect(await command()).toMatchObject({ state: 'UNKNOWN', key_generation: 1 });
    expect(await tenant.intents()).toEqual([]);
    await world.db.query(`update commands set key_spent_at = now() - interval '91 seconds' where tenant_id = $1`, [
      tenant.id,
    ]);
    await recoverAll();
    expect(await command()).toMatchObject({ state: 'SUCCEEDED' });
    const [intent, ...others] = await tenant.intents();
    expect(others).toEqual([]);
    await expect(tenant.payments.createPaymentIntent(request)).resolves.toMatchObject({
      stripePaymentIntentId: intent!.id,
    });
  });

  test('behind which it was done after all is found out at once', async () => {
    await failing('500_after');
    await recoverAll();
    expect(await command()).toMatchObject({ state: 'SUCCEEDED' });
    expect(await tenant.intents()).toHaveLength(1);
  });
});

describe('an account that is gone', () => {
  const unanswered = async (kind: string, more = {}) => {
    await world.sandbox.control('/faults', { kind, ...always, method: 'POST', path: '/v1/payment_intents' });
    await tenant.payments.createPaymentIntent(aRequest({ ...free, ...more })).catch(() => undefined);
    await world.sandbox.control('/faults', undefined, 'DELETE');
  };
  const disconnect = () =>
    world.db.query('update stripe_config set disconnected_at = now() where tenant_id = $1', [tenant.id]);
  const failed = { state: 'FAILED', outcome: { error: { code: 'ACCOUNT_DISCONNECTED' } } };

  test('is sent nothing any more', async () => {
    await unanswered('reset_before');
    await disconnect();
    await recoverAll();
    expect(await command()).toMatchObject(failed);
    expect(await tenant.intents()).toEqual([]);
    const [payment] = await world.db.query('select status from payments where tenant_id = $1', [tenant.id]);
    expect(payment).toEqual({ status: 'CANCELED' });
  });

  test('is not asked forever what became of a payment, and its invoice is paid elsewhere', async () => {
    const invoiceId = await tenant.anInvoice();
    await unanswered('reset_after', { amount: null, currency: null, invoiceId });
    await world.db.query(`update payments set status = 'PROCESSING' where tenant_id = $1`, [tenant.id]);
    await world.sandbox.control(`/accounts/${tenant.accountId}/deauthorize`, {});
    const next = await world.aTenant();
    await world.db.query('update stripe_config set stripe_account_id = $2 where tenant_id = $1', [
      tenant.id,
      next.accountId,
    ]);
    // While it is open it holds nothing back either: nothing will be heard of it.
    await expect(tenant.payments.createPaymentIntent(aRequest({ invoiceId }))).resolves.toBeDefined();
    await recoverAll();
    const [lost] = await world.db.query(
      `select c.state, c.outcome, p.status from commands c join payments p on p.id::text = c.subject_id
       where c.tenant_id = $1 and c.stripe_account_id = $2 and c.kind = 'payments.create'`,
      [tenant.id, tenant.accountId],
    );
    expect(lost).toMatchObject({ ...failed, status: 'FAILED' });
  });
});

describe('a command that was cut off', () => {
  /** Written down, and then nothing: as after a kill before Stripe was asked. */
  async function cutOff(age: string): Promise<void> {
    await world.sandbox.control('/faults', {
      kind: 'reset_before',
      ...always,
      method: 'POST',
      path: '/v1/payment_intents',
    });
    await tenant.payments.createPaymentIntent(aRequest({ ...free, idempotencyKey: 'cut' })).catch(() => undefined);
    await world.sandbox.control('/faults', undefined, 'DELETE');
    await world.db.query(
      `update commands set state = 'PENDING', outcome = null, finished_at = null, sent_at = now() - $2::interval, idempotency_key = 'cut',
         lease_token = null, lease_until = null, next_attempt_at = now() where tenant_id = $1`,
      [tenant.id, age],
    );
    await world.db.query(`update payments set status = 'PENDING', failure_code = null where tenant_id = $1`, [
      tenant.id,
    ]);
  }

  test('is sent again while Stripe surely knows its key', async () => {
    await cutOff('22 hours');
    await recoverAll();
    expect(await command()).toMatchObject({ state: 'SUCCEEDED' });
    expect(await tenant.intents()).toHaveLength(1);
  });

  test('is never sent again later: what Stripe does not have has failed', async () => {
    await cutOff('23 hours 1 minute');
    await recoverAll();
    expect(await command()).toMatchObject({ state: 'FAILED', outcome: { error: { code: 'STRIPE_UNAVAILABLE' } } });
    expect(await tenant.intents()).toEqual([]);
    const [payment] = await world.db.query('select status from payments where tenant_id = $1', [tenant.id]);
    expect(payment).toEqual({ status: 'CANCELED' });
  });

  test('stays open while Stripe cannot be asked', async () => {
    await cutOff('1 hour');
    await world.sandbox.control('/faults', { kind: '500_before', ...always, path: '/v1/payment_intents' });
    await abandon();
    await recovery().recoverOnce();
    expect(await command()).toMatchObject({ state: 'UNKNOWN', lease_token: null });
    await world.sandbox.control('/faults', undefined, 'DELETE');
    await recoverAll();
    expect(await command()).toMatchObject({ state: 'SUCCEEDED' });
    expect(await tenant.intents()).toHaveLength(1);
  });

  test('is taken by one process of many', async () => {
    await cutOff('1 minute');
    await settleTheOthers();
    await abandon();
    const taken = await Promise.all(Array.from({ length: 6 }, () => recovery().recoverOnce()));
    expect(taken.filter((count) => count > 0)).toEqual([1]);
    expect(await tenant.intents()).toHaveLength(1);
  });

  test('is not taken from a process that still holds it', async () => {
    await cutOff('1 minute');
    await settleTheOthers();
    await world.db.query(`update commands set lease_until = now() + interval '1 minute' where tenant_id = $1`, [
      tenant.id,
    ]);
    expect(await recovery().recoverOnce()).toBe(0);
  });

  test('is not finished by one who lost it to another', async () => {
    await world.sandbox.control('/faults', {
      kind: 'delay',
      ms: 1_200,
      method: 'POST',
      path: '/v1/payment_intents',
      times: 1,
    });
    const slow = tenant.payments.createPaymentIntent(aRequest(free)).catch((error: unknown) => error);
    await until(command, 'it is written down');
    await abandon();
    await recovery().recoverOnce();
    expect(await slow).toMatchObject({ code: 'OUTCOME_UNKNOWN' });
    expect(await command()).toMatchObject({ state: 'UNKNOWN' });
    await recoverAll();
    expect(await command()).toMatchObject({ state: 'SUCCEEDED' });
    expect(await tenant.intents()).toHaveLength(1);
  });
});

test('while nothing reaches Stripe the answer is that nothing was done, and the key may be used again', async () => {
  await world.sandbox.control('/faults', { kind: '429', ...always, method: 'POST', path: '/v1/payment_intents' });
  const request = aRequest(free);
  await expect(tenant.payments.createPaymentIntent(request)).rejects.toMatchObject({ code: 'RATE_LIMITED' });
  expect(await command()).toMatchObject({ state: 'FAILED', idempotency_key: null });
  await world.sandbox.control('/faults', undefined, 'DELETE');
  await expect(tenant.payments.createPaymentIntent(request)).resolves.toBeDefined();
  expect(await tenant.intents()).toHaveLength(1);
  expect(await tenant.rows('payments')).toBe(1);
});

test('what was asked for about a row is found without looking through all that its tenant ever asked for', async () => {
  await world.db.query(
    `insert into commands (tenant_id, livemode, kind, params_hash, params, subject_id, actor, state, outcome, finished_at)
     select $1, false, 'payments.create', '', '{}', gen_random_uuid()::text, 'test', 'SUCCEEDED', '{}', now() from generate_series(1, 5000)`,
    [tenant.id],
  );
  await world.db.query('analyze commands');
  const plan = await world.database
    .tenant(asUuid(tenant.id))
    .transaction((em) =>
      em.execute<object[]>(
        `explain select from commands where subject_id = ? and kind = 'payments.create' and params @> '{"offSession": true}'`,
        [randomUUID()],
      ),
    );
  expect(JSON.stringify(plan)).toContain('commands_by_subject');
  await world.db.query('delete from commands where tenant_id = $1', [tenant.id]);
});

test('recovery runs by itself until it is stopped', async () => {
  await world.sandbox.control('/faults', {
    kind: 'delay_after',
    ...always,
    method: 'POST',
    path: '/v1/payment_intents',
  });
  await tenant.payments.createPaymentIntent(aRequest(free)).catch(() => undefined);
  await world.sandbox.control('/faults', undefined, 'DELETE');
  await abandon();
  const running = recovery({ idleMs: 10 });
  running.start();
  await until(async () => (await command()).state === 'SUCCEEDED', 'the command is done');
  await running.stop();
});
