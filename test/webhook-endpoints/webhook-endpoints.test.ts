import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { AddressGuard } from '../../src/features/webhook-endpoints/endpoint-address.js';
import { DeliveryRetention } from '../../src/features/webhook-endpoints/delivery-retention.js';
import { EndpointSecrets } from '../../src/features/webhook-endpoints/endpoint-secret.js';
import { WebhookSender, type WebhookSenderSettings } from '../../src/features/webhook-endpoints/webhook-sender.js';
import { webhookTypes } from '../../src/features/webhook-endpoints/webhook-type.js';
import { systemClock } from '../../src/shared/clock.js';
import { newUuid, type Uuid } from '../../src/shared/uuid.js';
import { aCustomer, anInvoice, aStripeConfig, aTenant, insertRow, type Row } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { atRest } from '../support/sandbox.js';
import { until } from '../support/until.js';
import { silent } from '../webhooks/stage.js';
import { isSigned, type Receiver, startReceiver } from './receiver.js';
import { testProgram } from '../support/program.js';

const linkKey = 'a key of the installation, for these tests';
let app: TestApp;
let receiver: Receiver;
let database: Database;

beforeAll(async () => {
  // Nothing is sent but by what a test runs itself.
  app = await startApp({ env: { PROCESS_ROLE: 'api', LINK_SECRET: linkKey } });
  receiver = await startReceiver();
  database = new Database(createOrm({ url: app.db.url, entities }), false);
});
beforeEach(async () => {
  receiver.told.length = 0;
  receiver.answer(200);
  await app.db.query(`delete from webhook_deliveries`);
});
afterAll(async () => {
  await receiver.stop();
  await database.orm.close(true);
  await app.stop();
});

const sender = (settings: Partial<WebhookSenderSettings> = {}) =>
  new WebhookSender({
    ...{ database, secrets: new EndpointSecrets(linkKey), guard: new AddressGuard(true), clock: systemClock },
    ...{ logger: silent, ...settings },
  });

const everything = [
  ...['payment.succeeded', 'payment.failed', 'payment.refunded', 'invoice.paid', 'dispute.created', 'dispute.closed'],
  ...['subscription.created', 'subscription.updated', 'subscription.canceled', 'payout.paid', 'account.updated'],
];

interface Endpoint {
  readonly tenantId: Uuid;
  readonly id: Uuid;
  readonly secret: string;
  readonly admin: string;
}

async function anEndpoint(tenant?: { readonly id: Uuid }, input: Row = {}): Promise<Endpoint> {
  const { id: tenantId } = tenant ?? (await aTenant(app.db));
  const admin = await app.token({ tenantId });
  const { createWebhookEndpoint: made } = await app.ask(
    'mutation ($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { secret webhookEndpoint { id status types } } }',
    { input: { url: receiver.url, types: everything, ...input } },
    admin,
  );
  return { tenantId, id: made.webhookEndpoint.id, secret: made.secret, admin };
}

/** One mutation about an endpoint or a delivery. */
const change = async ({ admin }: Endpoint, mutation: string, input: Row, fields: string): Promise<Row> => {
  const type = `${mutation[0]!.toUpperCase()}${mutation.slice(1)}Input`;
  const query = `mutation ($input: ${type}!) { ${mutation}(input: $input) { ${fields} } }`;
  return (await app.ask<Record<string, Row>>(query, { input }, admin))[mutation]!;
};
const ping = async (endpoint: Endpoint) =>
  (
    (await change(endpoint, 'pingWebhookEndpoint', { id: endpoint.id }, 'webhookDelivery { id }'))
      .webhookDelivery as Row
  ).id as string;
const deliveries = async ({ admin }: Pick<Endpoint, 'admin'>): Promise<Row[]> =>
  (
    await app.ask(
      '{ webhookDeliveries { nodes { id type data state attempts error responseStatus lastAttemptAt nextAttemptAt deliveredAt endpoint { id } } } }',
      {},
      admin,
    )
  ).webhookDeliveries.nodes;
const endpointOf = async ({ admin }: Endpoint): Promise<Row> =>
  (await app.ask('{ webhookEndpoints { nodes { id url status disabledReason failingSince } } }', {}, admin))
    .webhookEndpoints.nodes[0];
const makeDue = () => app.db.query(`update webhook_deliveries set next_attempt_at = now() where state = 'PENDING'`);
const aPayment = (tenantId: Uuid, columns: Row) =>
  insertRow(app.db, 'payments', {
    ...{ tenant_id: tenantId, livemode: false, stripe_account_id: 'acct_test', amount: 1_000, currency: 'usd' },
    ...columns,
  });
const asTenant = (tenantId: Uuid, sql: string, values: unknown[] = []) =>
  database.tenant(tenantId).transaction((em) => em.execute(sql, values));

test('what a payment comes to is told once, signed, and without a word about the customer', async () => {
  const tenant = await app.aConnectedTenant();
  const endpoint = await anEndpoint(tenant);
  const silentTenant = await anEndpoint(undefined, { types: ['payout.paid'] });
  const worker = await startApp({ beside: app, env: { PROCESS_ROLE: 'worker', LINK_SECRET: linkKey } });
  try {
    const customer = await aCustomer(app.db, {
      tenantId: tenant.id,
      name: 'Canary Limited',
      email: 'canary@customers.example',
    });
    const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId: customer.id });
    const { createPaymentIntent: asked } = await app.ask(
      'mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { clientSecret payment { id } } }',
      { input: { idempotencyKey: randomUUID(), invoiceId } },
      endpoint.admin,
    );
    const [intent] = asked.clientSecret.split('_secret_');
    await app.sandbox.api('POST', `/v1/payment_intents/${intent}/confirm`, {
      ...{ account: tenant.accountId, asBrowser: true },
      form: { client_secret: asked.clientSecret, payment_method: 'pm_card_visa' },
    });
    await until(
      () => receiver.of('payment.succeeded').length > 0 && receiver.of('invoice.paid').length > 0,
      'it was told',
    );
    const [told] = receiver.of('payment.succeeded');
    expect(isSigned(told!, endpoint.secret)).toBe(true);
    expect(isSigned(told!, silentTenant.secret)).toBe(false);
    expect(told!.event.data).toMatchObject({
      ...{ id: asked.payment.id, status: 'SUCCEEDED', invoiceId, customerId: customer.id, failure: null },
      ...{ stripePaymentIntentId: intent, refunded: { amount: 0, currency: 'usd' } },
    });
    expect(receiver.told.map(({ body }) => body).join()).not.toMatch(/canary/i);

    // Stripe repeats itself, or somebody has its events processed again.
    const isSettled = async () =>
      (await app.db.query(`select from stripe_webhook_queue where state = 'READY'`)).length === 0;
    await atRest(app.sandbox);
    await until(isSettled, 'all events are processed');
    const before = await deliveries(endpoint);
    const events = await app.db.query<{ id: string }>(
      `select id from stripe_webhook_events where stripe_account_id = $1 and type like 'payment_intent.%'`,
      [tenant.accountId],
    );
    expect(events.length).toBeGreaterThan(0);
    const replay =
      'mutation ($input: ReplayWebhookEventInput!) { replayWebhookEvent(input: $input) { webhookEvent { id } } }';
    for (const { id } of events) {
      const isReplayed = async () => !(await app.graphql(replay, { input: { id } }, endpoint.admin)).errors;
      await until(isReplayed, 'nobody is at the event any more');
    }
    await until(isSettled, 'all are processed again');
    const ofPayment = (all: Row[]) =>
      all.filter(({ type }) => /^(payment|invoice)/.test(type as string)).map(({ id }) => id as string);
    expect(ofPayment(await deliveries(endpoint)).toSorted()).toEqual(ofPayment(before).toSorted());
    expect(await deliveries(silentTenant)).toEqual([]);
  } finally {
    await worker.stop();
  }
});

test('a state that is left again in the same transaction, or undone, is not told; one that is kept is told as it ends', async () => {
  const endpoint = await anEndpoint();
  const { tenantId } = endpoint;
  const { id } = await aPayment(tenantId, { status: 'PROCESSING' });
  const fail = `update payments set status = 'FAILED', failure_code = 'card_declined', failure_message = 'Anna’s card' where id = ?`;
  const undone = database.tenant(tenantId).transaction(async (em) => {
    await em.execute(fail, [id]);
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  expect(await deliveries(endpoint)).toEqual([]);
  await asTenant(tenantId, fail, [id]);
  await asTenant(tenantId, fail, [id]);
  const [told, ...more] = await deliveries(endpoint);
  expect(told).toMatchObject({
    type: 'payment.failed',
    data: { failure: { code: 'card_declined', declineCode: null } },
  });
  expect(JSON.stringify(told)).not.toMatch(/Anna/);
  expect(more).toEqual([]);
});

test('of payments that change together each tells what happened to it, and what happened to none is not told', async () => {
  const endpoint = await anEndpoint();
  const { tenantId } = endpoint;
  const failed = { failure_code: 'card_declined', failure_message: 'Declined.' };
  const paid = { status: 'SUCCEEDED', amount_received: 1_000, succeeded_at: '2026-01-01' };
  const [wasFailed, fails, pays, isRefunded, goesOn] = [
    await aPayment(tenantId, { status: 'FAILED', ...failed }),
    await aPayment(tenantId, { status: 'PROCESSING' }),
    await aPayment(tenantId, { status: 'PROCESSING' }),
    await aPayment(tenantId, paid),
    await aPayment(tenantId, { status: 'PENDING' }),
  ];
  await asTenant(
    tenantId,
    `update payments p set status = r.status, amount_received = r.received, amount_refunded = r.refunded
     from json_to_recordset(?) as r (id uuid, status text, received bigint, refunded bigint) where p.id = r.id`,
    [
      JSON.stringify([
        { id: wasFailed.id, status: 'FAILED', received: 0, refunded: 0 },
        { id: fails.id, status: 'FAILED', received: 0, refunded: 0 },
        { id: pays.id, status: 'SUCCEEDED', received: 1_000, refunded: 0 },
        { id: isRefunded.id, status: 'SUCCEEDED', received: 1_000, refunded: 400 },
        { id: goesOn.id, status: 'PROCESSING', received: 0, refunded: 0 },
      ]),
    ],
  );
  const told = (await deliveries(endpoint)).map(({ type, data }) => [type, (data as Row).id]);
  expect(told.toSorted()).toEqual(
    [
      ['payment.failed', fails.id],
      ['payment.refunded', isRefunded.id],
      ['payment.succeeded', pays.id],
    ].toSorted(),
  );
});

test('each thing that happens is told under its name, with ids and amounts, when it happens and not again', async () => {
  const endpoint = await anEndpoint(undefined, { types: [...webhookTypes] });
  const { tenantId } = endpoint;
  await aStripeConfig(app.db, { tenantId });
  const { id: customerId } = await aCustomer(app.db, { tenantId });
  const { id: invoiceId } = await anInvoice(app.db, { tenantId, customerId });
  const run = (sql: string, ...values: unknown[]) => asTenant(tenantId, sql, values);
  /** Does something twice: the second time nothing happens. */
  const happens = async (sql: string, ...values: unknown[]) => {
    for (let i = 0; i < 2; i += 1) await run(sql, ...values);
  };
  const payment = newUuid();
  await run(
    `insert into payments (tenant_id, livemode, id, stripe_account_id, amount, currency) values (?, false, ?, 'acct_1', 1000, 'usd')`,
    ...[tenantId, payment],
  );
  await happens(`update payments set status = 'FAILED', failure_code = 'card_declined' where id = ?`, payment);
  await happens(
    `update payments set status = 'SUCCEEDED', amount_received = 1000, failure_code = null where id = ?`,
    payment,
  );
  await happens(`update payments set amount_refunded = 400 where id = ?`, payment);
  await happens(`update payments set amount_refunded = 1000 where id = ?`, payment);
  await happens(`update invoices set payment_status = 'PAID', amount_paid = total where id = ?`, invoiceId);
  await happens(
    `insert into stripe_subscriptions (tenant_id, livemode, customer_id, stripe_account_id, stripe_subscription_id, status, unit_amount, currency,
       billing_interval) values (?, false, ?, 'acct_1', 'sub_1', 'ACTIVE', 500, 'usd', 'MONTH') on conflict do nothing`,
    ...[tenantId, customerId],
  );
  await happens('update stripe_subscriptions set quantity = 3');
  await happens(`update stripe_subscriptions set metadata = '{"note": 1}'`);
  await happens(`update stripe_subscriptions set status = 'CANCELED', ended_at = '2026-11-01'`);
  await happens(
    `insert into disputes (tenant_id, livemode, payment_id, stripe_account_id, stripe_dispute_id, stripe_charge_id, amount, currency, status, reason,
       is_inquiry, charge_refundable, stripe_created_at)
     values (?, false, ?, 'acct_1', 'dp_1', 'ch_1', 1000, 'usd', 'NEEDS_RESPONSE', 'fraudulent', false, false, now()) on conflict do nothing`,
    ...[tenantId, payment],
  );
  await happens(`update disputes set status = 'LOST', closed_at = '2026-11-02'`);
  await happens(
    `insert into payouts (tenant_id, livemode, stripe_account_id, stripe_payout_id, amount, currency, status, method, automatic, reconciliation,
       arrival_date, stripe_created_at)
     values (?, false, 'acct_1', 'po_1', 9000, 'usd', 'IN_TRANSIT', 'standard', true, 'completed', now(), now()) on conflict do nothing`,
    tenantId,
  );
  await happens(`update payouts set status = 'PAID'`);
  // Banks send money back.
  await happens(`update payouts set status = 'FAILED', failure_code = 'account_closed'`);
  await happens('update stripe_config set payouts_enabled = false');

  const all = (await deliveries(endpoint)).toReversed();
  expect(all.map(({ type }) => type)).toEqual([
    ...[
      'payment.failed',
      'payment.succeeded',
      'payment.refunded',
      'payment.refunded',
      'invoice.paid',
      'subscription.created',
    ],
    ...[
      'subscription.updated',
      'subscription.canceled',
      'dispute.created',
      'dispute.closed',
      'payout.paid',
      'payout.failed',
    ],
    'account.updated',
  ]);
  expect(new Set(all.map(({ type }) => type))).toEqual(new Set(webhookTypes));
  const data = (type: string) => all.find((one) => one.type === type)!.data;
  expect(data('payment.refunded')).toMatchObject({ id: payment, refunded: { amount: 400, currency: 'usd' } });
  expect(data('invoice.paid')).toMatchObject({ id: invoiceId, customerId, paymentStatus: 'PAID' });
  expect(data('subscription.updated')).toMatchObject({ quantity: 3, unitAmount: { amount: 500, currency: 'usd' } });
  expect(data('subscription.canceled')).toMatchObject({ endedAt: '2026-11-01T00:00:00.000Z' });
  expect(data('dispute.closed')).toMatchObject({
    paymentId: payment,
    status: 'LOST',
    closedAt: '2026-11-02T00:00:00.000Z',
  });
  expect(data('payout.paid')).toMatchObject({ amount: { amount: 9000, currency: 'usd' }, stripePayoutId: 'po_1' });
});

test('an endpoint that is made later hears nothing of an invoice that was paid before, whatever is written of it', async () => {
  const { id: tenantId } = await aTenant(app.db);
  const { id: customerId } = await aCustomer(app.db, { tenantId });
  const { id } = await anInvoice(app.db, { tenantId, customerId });
  const pay = () => asTenant(tenantId, `update invoices set payment_status = 'PAID' where id = ?`, [id]);
  await pay();
  const endpoint = await anEndpoint({ id: tenantId });
  await pay();
  expect(await deliveries(endpoint)).toEqual([]);
});

test('what somebody else writes into the tables tells nothing', async () => {
  const endpoint = await anEndpoint();
  await aPayment(endpoint.tenantId, { status: 'SUCCEEDED', amount_received: 1_000 });
  await app.db.query(`update invoices set payment_status = 'PAID' where tenant_id = $1`, [endpoint.tenantId]);
  expect(await deliveries(endpoint)).toEqual([]);
});

test('what does not arrive is sent again, later each time, under the same id; and given up in the end', async () => {
  const endpoint = await anEndpoint();
  const id = await ping(endpoint);
  receiver.answer(500, 302, 'flood');
  await sender().sendDue();
  const [delivery] = await deliveries(endpoint);
  expect(delivery).toMatchObject({ state: 'PENDING', attempts: 1, responseStatus: 500, error: 'It answered 500.' });
  const [last, next] = [delivery!.lastAttemptAt, delivery!.nextAttemptAt].map((at) => Date.parse(at as string));
  expect(next! - last!).toBeGreaterThanOrEqual(5_000);
  expect(await endpointOf(endpoint)).toMatchObject({ status: 'ENABLED', failingSince: expect.any(String) });
  await app.db.query(`update webhook_deliveries set next_attempt_at = now() + interval '1 hour'`);
  await sender().sendDue(); // not due yet
  expect(receiver.told).toHaveLength(1);
  await makeDue();
  await sender().sendDue(); // nobody is followed anywhere
  expect((await deliveries(endpoint))[0]).toMatchObject({ attempts: 2, responseStatus: 302, state: 'PENDING' });
  await makeDue();
  await sender().sendDue();
  expect((await deliveries(endpoint))[0]).toMatchObject({ attempts: 3, state: 'DELIVERED', error: null });
  expect(await endpointOf(endpoint)).toMatchObject({ failingSince: null });
  expect(receiver.told.map(({ headers }) => headers['webhook-id'])).toEqual([id, id, id]);
  expect(new Set(receiver.told.map(({ body }) => body)).size).toBe(1);

  receiver.answer('hang', 500);
  await change(endpoint, 'replayWebhookDelivery', { id }, 'webhookDelivery { id }');
  await sender({ timeoutMs: 100 }).sendDue();
  expect((await deliveries(endpoint))[0]).toMatchObject({
    responseStatus: null,
    error: expect.stringMatching(/no answer/),
  });
  await app.db.query('update webhook_deliveries set attempts = 9');
  await makeDue();
  await sender().sendDue();
  expect((await deliveries(endpoint))[0]).toMatchObject({ state: 'FAILED', attempts: 10, nextAttemptAt: null });
});

test('an endpoint to which nothing arrives for days is switched off, and so is one that says it is gone', async () => {
  const withMail = new Database(database.orm, false, true);
  for (const [status, reason] of [
    [500, 'Nothing arrived there for five days.'],
    [410, 'It answered 410: it is gone.'],
  ] as const) {
    const endpoint = await anEndpoint(undefined, { url: `${receiver.url}?token=secret` });
    const { tenantId } = endpoint;
    await insertRow(app.db, 'users', {
      tenant_id: tenantId,
      email: 'admin@psa.example',
      name: 'An Admin',
      role: 'admin',
    });
    await ping(endpoint);
    await ping(endpoint);
    receiver.answer(status);
    if (status === 500) {
      await app.db.query(`update webhook_endpoints set failing_since = now() - interval '6 days' where id = $1`, [
        endpoint.id,
      ]);
    }
    await sender({ database: withMail }).sendDue();
    expect(await endpointOf(endpoint)).toMatchObject({ status: 'DISABLED', disabledReason: reason });
    expect((await deliveries(endpoint)).map(({ state }) => state)).toEqual(['FAILED', 'FAILED']);
    const audit = await app.db.query(
      `select actor from audit_log where subject_id = $1 and action = 'webhook-endpoint.disable'`,
      [endpoint.id],
    );
    expect(audit).toEqual([{ actor: 'webhooks' }]);
    const mails = await app.db.query<Row>('select template, recipient, data from mails where tenant_id = $1', [
      tenantId,
    ]);
    expect(mails).toMatchObject([{ template: 'webhook-endpoint-disabled', data: { url: receiver.url, reason } }]);
    const ask = app.graphql(
      `mutation ($input: PingWebhookEndpointInput!) { pingWebhookEndpoint(input: $input) { webhookDelivery { id } } }`,
      { input: { id: endpoint.id } },
      endpoint.admin,
    );
    expect((await ask).errors?.[0]?.extensions.code).toBe('INVALID_STATE');
    await change(endpoint, 'updateWebhookEndpoint', { id: endpoint.id, enabled: true }, 'webhookEndpoint { id }');
    expect(await endpointOf(endpoint)).toMatchObject({ status: 'ENABLED', disabledReason: null, failingSince: null });
  }
});

test('a rotated secret is used beside the new one for a while, or not at all', async () => {
  const endpoint = await anEndpoint();
  const rotate = async (keepPreviousHours: number) =>
    (await change(endpoint, 'rotateWebhookSecret', { id: endpoint.id, keepPreviousHours }, 'secret')).secret as string;
  const told = async () => {
    await ping(endpoint);
    await sender().sendDue();
    return receiver.told.at(-1)!;
  };
  const second = await rotate(24);
  expect(second).not.toBe(endpoint.secret);
  const first = await told();
  expect([endpoint.secret, second].map((secret) => isSigned(first, secret))).toEqual([true, true]);
  const third = await rotate(0);
  const last = await told();
  expect([second, third].map((secret) => isSigned(last, secret))).toEqual([false, true]);

  // Who changed the installation's key is told, instead of sending what nobody can verify.
  await ping(endpoint);
  await sender({ secrets: new EndpointSecrets('another key') }).sendDue();
  expect((await deliveries(endpoint))[0]).toMatchObject({ error: expect.stringMatching(/Rotate the secret/) });
});

test('a slow endpoint keeps nobody else waiting, and is not asked for more than four things at a time', async () => {
  const slow = await anEndpoint();
  const other = await anEndpoint();
  receiver.answer('hang');
  for (let i = 0; i < 6; i += 1) await ping(slow);
  // The next try is hours away: none is made within this test.
  await app.db.query('update webhook_deliveries set attempts = 5');
  const done = sender().sendDue();
  await until(() => receiver.told.length === 4, 'four requests hang');
  receiver.answer(200);
  await ping(other);
  await sender().sendDue();
  expect((await deliveries(other))[0]).toMatchObject({ state: 'DELIVERED' });
  receiver.release(500);
  await done;
  const states = (await deliveries(slow)).map(({ state }) => state as string).toSorted();
  expect(states).toEqual(['DELIVERED', 'DELIVERED', 'PENDING', 'PENDING', 'PENDING', 'PENDING']);
});

test('a tenant all of whose endpoints are slow keeps no other tenant waiting', async () => {
  const tenant = await aTenant(app.db);
  const slow = [await anEndpoint(tenant), await anEndpoint(tenant), await anEndpoint(tenant)];
  for (const endpoint of slow) for (let i = 0; i < 4; i += 1) await ping(endpoint);
  const other = await anEndpoint();
  const last = await ping(other);
  receiver.answer('hang');
  await app.db.query('update webhook_deliveries set attempts = 5');
  const done = sender().sendDue();
  await until(() => receiver.told.some(({ headers }) => headers['webhook-id'] === last), 'the other is told');
  await until(() => receiver.told.length >= 9, 'the slow ones hang');
  receiver.answer(200);
  receiver.release(500);
  await done;
  const states = (await deliveries(slow[0]!)).map(({ state }) => state as string);
  expect(states.filter((state) => state === 'PENDING')).toHaveLength(8);
  expect(states.filter((state) => state === 'DELIVERED')).toHaveLength(4);
});

test('a process that dies after an endpoint has answered tells it again, under the same id', async () => {
  const endpoint = await anEndpoint();
  const id = await ping(endpoint);
  const script = testProgram(new URL('send.mjs', import.meta.url));
  const env = { ...process.env, DATABASE_URL: app.db.url, LINK_KEY: linkKey, FAILPOINT: 'webhook-endpoint.after-send' };
  const signal = await new Promise((resolve) =>
    execFile(process.execPath, [script], { env }, (error) => resolve(error?.signal)),
  );
  expect(signal).toBe('SIGKILL');
  expect((await deliveries(endpoint))[0]).toMatchObject({ state: 'PENDING', attempts: 1 });
  await sender().sendDue(); // still leased
  expect(receiver.told).toHaveLength(1);
  await app.db.query(`update webhook_deliveries set lease_until = now() - interval '1 second'`);
  await sender().sendDue();
  expect(receiver.told.map(({ headers }) => headers['webhook-id'])).toEqual([id, id]);
  expect((await deliveries(endpoint))[0]).toMatchObject({ state: 'DELIVERED', attempts: 2 });
});

test('who lost a delivery to somebody else writes nothing about it', async () => {
  const endpoint = await anEndpoint();
  await ping(endpoint);
  receiver.answer('hang', 200);
  const sending = sender().sendDue();
  await until(() => receiver.told.length === 1, 'one request hangs');
  await app.db.query(`update webhook_deliveries set lease_until = now() - interval '1 second'`);
  await sender().sendDue();
  receiver.release(500);
  await sending;
  expect((await deliveries(endpoint))[0]).toMatchObject({ state: 'DELIVERED', error: null });
});

test('admins look after endpoints, each change is written down, and no secret is', async () => {
  const endpoint = await anEndpoint();
  const { id } = endpoint;
  await change(
    endpoint,
    'updateWebhookEndpoint',
    { id, description: ' Ours. ', types: ['invoice.paid'] },
    'webhookEndpoint { id }',
  );
  await ping(endpoint);
  await change(endpoint, 'rotateWebhookSecret', { id }, 'secret');
  await change(endpoint, 'deleteWebhookEndpoint', { id }, 'id');
  expect(await endpointOf(endpoint)).toBeUndefined();
  expect(await deliveries(endpoint)).toMatchObject([{ state: 'FAILED', endpoint: null }]);
  const log = await app.db.query<Row>('select action, details from audit_log where subject_id = $1 order by id', [id]);
  expect(log.map(({ action }) => action)).toEqual(
    ['create', 'update', 'ping', 'rotate-secret', 'delete'].map((verb) => `webhook-endpoint.${verb}`),
  );
  const stored = await app.db.query<{ text: string }>('select e::text as text from webhook_endpoints e where id = $1', [
    id,
  ]);
  for (const text of [JSON.stringify(log), stored[0]!.text]) expect(text).not.toMatch(/whsec/);
  await sender().sendDue();
  expect(receiver.told).toEqual([]);
});

test.each([
  ['url', { url: 'https://10.0.0.1/' }],
  ['url', { url: 'ftp://hooks.example.com/' }],
  ['types', { types: ['payment.exploded'] }],
  ['types', { types: [] }],
  ['description', { description: 'x'.repeat(501) }],
])('a bad %s is refused', async (field, input) => {
  const admin = await app.token(await aTenant(app.db));
  const query = 'mutation ($input: CreateWebhookEndpointInput!) { createWebhookEndpoint(input: $input) { secret } }';
  const { errors } = await app.graphql(
    query,
    { input: { url: receiver.url, types: ['invoice.paid'], ...input } },
    admin,
  );
  expect(errors?.[0]?.extensions).toMatchObject({ code: 'BAD_USER_INPUT', field: `input.${field}` });
});

test('a tenant has ten endpoints at most, also when it asks for many at once', async () => {
  const tenant = await aTenant(app.db);
  const made = await Promise.allSettled(Array.from({ length: 12 }, () => anEndpoint(tenant)));
  expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(10);
});

test('an endpoint that gets another address begins anew: what the old one failed at is not held against it', async () => {
  const endpoint = await anEndpoint();
  const fail = `update webhook_endpoints set failing_since = now() - interval '6 days' where id = $1`;
  await app.db.query(fail, [endpoint.id]);
  await change(
    endpoint,
    'updateWebhookEndpoint',
    { id: endpoint.id, description: 'The same' },
    'webhookEndpoint { id }',
  );
  expect(await endpointOf(endpoint)).toMatchObject({ failingSince: expect.any(String) as string });
  const url = `${receiver.url}/new`;
  await change(endpoint, 'updateWebhookEndpoint', { id: endpoint.id, url }, 'webhookEndpoint { id }');
  expect(await endpointOf(endpoint)).toMatchObject({ url, failingSince: null });
});

test('what endpoints were told is forgotten after a month; what they are still to be told is not', async () => {
  const endpoint = await anEndpoint();
  for (let i = 0; i < 3; i += 1) await ping(endpoint);
  await sender().sendDue();
  await ping(endpoint);
  await app.db.query(`update webhook_deliveries set created_at = now() - interval '31 days'`);
  await ping(endpoint);
  await sender({ database }).sendDue();
  await ping(endpoint);
  await app.db.query(`update webhook_deliveries set created_at = now() - interval '31 days' where state = 'PENDING'`);
  await new DeliveryRetention({ database }).run({ signal: new AbortController().signal });
  expect((await deliveries(endpoint)).map(({ state }) => state).toSorted()).toEqual(['DELIVERED', 'PENDING']);
});
