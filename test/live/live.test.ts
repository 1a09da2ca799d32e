import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { LiveFeed } from '../../src/features/live/live-feed.js';
import { systemClock } from '../../src/shared/clock.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { aCustomer, anInvoice, aTenant } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aToken } from '../support/tokens.js';
import { until } from '../support/until.js';
import { silent } from '../webhooks/stage.js';
import { aLiveClient, type LiveClient, toldOf } from './support.js';

let app: TestApp;
const clients: LiveClient[] = [];

beforeAll(async () => {
  app = await startApp();
});
afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.dispose()));
});
afterAll(() => app?.stop());

const live = (...args: Parameters<typeof aLiveClient>) => {
  const client = aLiveClient(...args);
  clients.push(client);
  return client;
};
const onPayment = `subscription ($paymentId: UUID, $invoiceId: Int) {
  paymentUpdated(paymentId: $paymentId, invoiceId: $invoiceId) { id status amount { formatted } invoice { id paymentStatus } failure { code } }
}`;
const onConfig = `subscription { stripeConfigUpdated { id chargesEnabled applicationFeePercent } }`;

interface Asked {
  readonly clientSecret: string;
  readonly stripeAccountId: string;
  readonly payment: { readonly id: Uuid };
}

async function aTenantWithPayment() {
  const tenant = await app.aConnectedTenant();
  const token = await app.token(tenant, 'billing');
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId });
  const asked = await aPayment(token, { invoiceId });
  return { tenant, token, customerId, invoiceId, asked };
}

async function aPayment(token: string, what: object): Promise<Asked> {
  const input = { idempotencyKey: `${Math.random()}`, ...what };
  const { createPaymentIntent } = await app.ask(
    `mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { clientSecret stripeAccountId payment { id } } }`,
    { input },
    token,
  );
  return createPaymentIntent as Asked;
}

const confirm = ({ clientSecret, stripeAccountId }: Asked, method = 'pm_card_visa') =>
  app.sandbox
    .api('POST', `/v1/payment_intents/${clientSecret.split('_secret_')[0]}/confirm`, {
      account: stripeAccountId,
      asBrowser: true,
      form: { client_secret: clientSecret, payment_method: method },
    })
    .catch(() => undefined);

test('a payment is told as it is now, and then as the webhooks bring it', async () => {
  const { token, asked, invoiceId } = await aTenantWithPayment();
  const following = live(app, token).follow(onPayment, { paymentId: asked.payment.id });
  expect(await toldOf(following, 1)).toMatchObject([
    { id: asked.payment.id, status: 'PENDING', invoice: { id: invoiceId } },
  ]);
  await confirm(asked, 'pm_card_visa_chargeDeclined');
  await until(() => following.told.at(-1)?.status === 'FAILED', 'the decline is told');
  expect(following.told.at(-1)!.failure).toEqual({ code: 'card_declined' });
  await confirm(asked);
  await until(() => following.told.at(-1)?.status === 'SUCCEEDED', 'the success is told');
  expect(following.told.at(-1)).toMatchObject({
    amount: { formatted: 'USD 100.00' },
    invoice: { paymentStatus: 'PAID' },
  });
  expect(following.errors).toEqual([]);
});

test('by invoice, payments of others are not told; without a filter, all are', async () => {
  const { token, asked, invoiceId, customerId } = await aTenantWithPayment();
  const client = live(app, token);
  const [ofInvoice, ofAll] = [client.follow(onPayment, { invoiceId }), client.follow(onPayment)];
  await Promise.all([toldOf(ofInvoice, 1), toldOf(ofAll, 1)]);
  const other = await aPayment(token, { customerId, amount: 500, currency: 'usd' });
  await until(() => ofAll.told.some(({ id }) => id === other.payment.id), 'the other payment is told');
  expect(new Set(ofInvoice.told.map(({ id }) => id))).toEqual(new Set([asked.payment.id]));
});

test('another tenant sees nothing, whatever it asks for', async () => {
  const { token, asked, invoiceId } = await aTenantWithPayment();
  const stranger = live(app, await app.token(await app.aConnectedTenant()));
  const theirs = [
    stranger.follow(onPayment, { paymentId: asked.payment.id }),
    stranger.follow(onPayment, { invoiceId }),
    stranger.follow(onPayment),
  ];
  const own = live(app, token).follow(onPayment, { paymentId: asked.payment.id });
  await toldOf(own, 1);
  await confirm(asked);
  await until(() => own.told.at(-1)?.status === 'SUCCEEDED', 'the owner is told');
  await sleep(300);
  expect(theirs.map(({ told, errors }) => [told, errors])).toEqual([
    [[], []],
    [[], []],
    [[], []],
  ]);
});

test('the account is told when it changes, and when the platform changes its fee', async () => {
  const tenant = await app.aConnectedTenant();
  const following = live(app, await app.token(tenant, 'viewer')).follow(onConfig);
  await toldOf(following, 1);
  const input = { tenantId: tenant.id, percent: '1.25', fixed: 0 };
  await app.ask(
    `mutation ($input: UpdateApplicationFeeInput!) { updateApplicationFee(input: $input) { __typename } }`,
    { input },
    await aToken({ role: 'platform_admin' }),
  );
  await until(() => following.told.at(-1)?.applicationFeePercent === '1.25', 'the fee is told');
});

test('each row is told of, however many a statement makes or changes', async () => {
  const [mine, other] = [await aTenant(app.db), await aTenant(app.db)];
  const heard: Uuid[] = [];
  const feed = new LiveFeed({ url: app.db.url, livemode: false, clock: systemClock, logger: silent });
  const isListening = new Promise<void>((resolve) =>
    feed.watch(mine.id, 'payments', { changed: (id) => heard.push(id), missed: () => resolve() }),
  );
  feed.start();
  try {
    await isListening;
    const made = await app.db.query<{ id: Uuid | null }>(
      `insert into payments (tenant_id, livemode, stripe_account_id, amount, currency)
       select tenant, livemode, 'acct_test', 1000, 'usd' from unnest($1::uuid[]) tenant, (values (false), (true)) m (livemode), generate_series(1, 450)
       returning case when tenant_id = $2 and not livemode then id end as id`,
      [[mine.id, other.id], mine.id],
    );
    const ids = made.map(({ id }) => id).filter((id) => id !== null);
    await until(() => heard.length >= 450, 'all that were made are told');
    expect(heard.toSorted()).toEqual(ids.toSorted());
    heard.length = 0;
    await app.db.query(`update payments set status = 'PROCESSING' where tenant_id = any($1)`, [[mine.id, other.id]]);
    await until(() => heard.length >= 450, 'all that changed are told');
    expect(heard.toSorted()).toEqual(ids.toSorted());
  } finally {
    await feed.stop();
  }
});

test('after a reconnect the state of then comes first, and nothing that happened meanwhile is lost', async () => {
  const { token, asked } = await aTenantWithPayment();
  const client = live(app, token, 20);
  const following = client.follow(onPayment, { paymentId: asked.payment.id });
  await toldOf(following, 1);
  client.sockets[0]!.terminate();
  await confirm(asked);
  await until(() => following.told.at(-1)?.status === 'SUCCEEDED', 'the success is told');
  expect(client.sockets.length).toBeGreaterThan(1);
});

test('when the server loses the connection it listens on, it finds what it missed', async () => {
  const { token, asked } = await aTenantWithPayment();
  const onDescription = `subscription ($paymentId: UUID) { paymentUpdated(paymentId: $paymentId) { id description } }`;
  const following = live(app, token).follow(onDescription, { paymentId: asked.payment.id });
  await toldOf(following, 1);
  const cut = () =>
    app.db.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = 'psa-payments listener'`,
    );
  await cut();
  await app.db.query(`update payments set description = 'while nobody listened' where id = $1`, [asked.payment.id]);
  await until(() => following.told.at(-1)?.description === 'while nobody listened', 'the change is told');
});

test('without a token, with a wrong one, and when it expires, the connection ends with 4403', async () => {
  const { tenant } = await aTenantWithPayment();
  for (const token of ['', 'nonsense', await aToken({ tenantId: tenant.id, expires: '-1s' })]) {
    const client = live(app, token);
    client.follow(onPayment);
    expect(await until(() => client.closes[0], 'it is closed')).toMatchObject({ code: 4403 });
  }
  // Where the machine is so busy that the token expires before anything is told, one that lives longer will do.
  let told: unknown[] = [];
  for (const expires of ['2s', '15s', '60s']) {
    const brief = live(app, await aToken({ tenantId: tenant.id, expires }));
    told = brief.follow(onPayment).told;
    const closed = await until(() => brief.closes[0], 'it is closed', 90_000);
    expect(closed.code).toBe(4403);
    if (told.length === 0) continue;
    expect(closed.reason).toBe('The token expired');
    break;
  }
  expect(told).toHaveLength(1);
});

test('only subscriptions, within limits, for people of a tenant', async () => {
  const { token } = await aTenantWithPayment();
  const codeOf = async (client: LiveClient, query: string) => {
    const { errors } = await (async () => {
      const following = client.follow(query);
      await until(() => following.errors.length > 0, `${query} is refused`);
      return following;
    })();
    return errors[0]!.extensions?.code;
  };
  const client = live(app, token);
  expect(await codeOf(client, '{ viewer { subject } }')).toBe('BAD_USER_INPUT');
  expect(await codeOf(client, 'subscription { nothing }')).toBe('BAD_USER_INPUT');
  expect(await codeOf(client, 'subscription {')).toBe('BAD_USER_INPUT');
  const aliases = Array.from({ length: 20 }, (_, n) => `a${n}: id`).join(' ');
  expect(await codeOf(client, `subscription { paymentUpdated { ${aliases} } }`)).toBe('QUERY_TOO_COMPLEX');
  const platform = live(app, await aToken({ role: 'platform_admin' }));
  expect(await codeOf(platform, onConfig)).toBe('FORBIDDEN');
  const many = live(app, token);
  const followings = Array.from({ length: 21 }, () => many.follow(onConfig));
  await until(() => followings.some(({ errors }) => errors[0]?.extensions?.code === 'RATE_LIMITED'), 'one is too many');
  const { errors } = await app.graphql(onConfig, {}, token);
  expect(errors![0]).toMatchObject({ extensions: { code: 'BAD_USER_INPUT' } });
});

test('who cannot keep up is dropped with 1013, and may come back', async () => {
  const { token, tenant, asked } = await aTenantWithPayment();
  const client = live(app, token);
  const following = client.follow(onPayment);
  await toldOf(following, 1);
  await app.db.query(
    `insert into payments (tenant_id, livemode, stripe_account_id, amount, currency)
       select $1, false, $2, 100, 'usd' from generate_series(1, 12000)`,
    [tenant.id, tenant.accountId],
  );
  expect(await until(() => client.closes[0], 'it is closed')).toMatchObject({
    code: 1013,
    reason: 'The client is too slow',
  });
  const again = live(app, token).follow(onPayment, { paymentId: asked.payment.id });
  await toldOf(again, 1);
});

test('other addresses are not upgraded', async () => {
  const socket = new WebSocket(`${app.url.replace('http', 'ws')}/elsewhere`, 'graphql-transport-ws');
  const [error] = (await once(socket, 'error')) as [Error];
  expect(error.message).toContain('404');
});

test('a server that stops says so: 1001', async () => {
  const beside = await startApp({ beside: app });
  const { token } = await aTenantWithPayment();
  const client = live(beside, token);
  await toldOf(client.follow(onPayment), 1);
  await beside.stop();
  expect(await until(() => client.closes[0], 'it is closed')).toMatchObject({ code: 1001 });
});
