import { PayLinks } from '../../src/features/pay-page/pay-links.js';
import { loadConfig } from '../../src/config.js';
import { aCustomer, anInvoice, aTenant } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { aFailedRenewal, aLinkedInvoice, createLink } from './support.js';

let app: TestApp;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());

const statusOf = async (url: string) => (await (await fetch(`${url}/status`)).json()) as Record<string, unknown>;
const begin = (url: string) => fetch(`${url}/intent`, { method: 'POST' });

interface Begun {
  readonly clientSecret: string;
  readonly publishableKey: string;
  readonly stripeAccountId: string;
}

/** What the page's form does. */
function confirm({ clientSecret, stripeAccountId }: Begun, paymentMethod: string) {
  return app.sandbox.api('POST', `/v1/payment_intents/${clientSecret.split('_secret_')[0]}/confirm`, {
    account: stripeAccountId,
    asBrowser: true,
    form: { client_secret: clientSecret, payment_method: paymentMethod, return_url: 'http://127.0.0.1/' },
  });
}

test('the page shows the invoice, under a strict policy with a new nonce each time', async () => {
  const { url, tenant, number } = await aLinkedInvoice(app, { due_at: '2026-12-24T00:00:00Z', total: 123_456 });
  const [one, other] = await Promise.all([fetch(url), fetch(url)]);
  expect(one.status).toBe(200);
  const policy = one.headers.get('content-security-policy')!;
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain(`connect-src 'self' ${app.sandbox.url}`);
  expect(policy).not.toMatch(/unsafe|stripe\.com|\*/);
  expect(policy).not.toBe(other.headers.get('content-security-policy'));
  expect(Object.fromEntries(one.headers)).toMatchObject({
    'cache-control': 'no-store',
    'referrer-policy': 'no-referrer',
    'x-robots-tag': 'noindex, nofollow',
    'x-content-type-options': 'nosniff',
  });
  const html = await one.text();
  for (const shown of [tenant.name, number, 'USD 1,234.56', 'December 24, 2026']) expect(html).toContain(shown);
  expect(html).not.toMatch(/<[^>]* on\w+=|style="|sk_test|whsec_|pi_\w+_secret_/);
});

test('names are text, whatever they look like', async () => {
  const { url } = await aLinkedInvoice(app, { number: `</script><script>alert('1')</script>"` });
  const html = await (await fetch(url)).text();
  expect(html).not.toContain('<script>alert');
});

test("with Stripe itself, Stripe.js is let in, and nobody else's script", async () => {
  const plain = await startApp({ beside: app, env: { STRIPE_API_BASE: '' } });
  const { url } = await aLinkedInvoice(app);
  const response = await fetch(url.replace(app.url, plain.url));
  await plain.stop();
  const policy = response.headers.get('content-security-policy')!;
  expect(policy).toMatch(/script-src 'nonce-[^']+' https:\/\/js\.stripe\.com https:\/\/\*\.js\.stripe\.com;/);
  expect(policy).toContain("connect-src 'self' https://api.stripe.com;");
  expect(policy).not.toContain('unsafe');
  const html = await response.text();
  expect(html).toMatch(/<script nonce="[^"]+" src="https:\/\/js\.stripe\.com\/v3\/">/);
  expect(html).not.toContain('payment_method_data');
});

test('looking makes nothing at Stripe; begun again and again, by any link, it is one intent', async () => {
  const { url, tenant, token, invoiceId } = await aLinkedInvoice(app);
  await fetch(url);
  await statusOf(url);
  const intents = () =>
    app.sandbox.api<{ data: unknown[] }>('GET', '/v1/payment_intents', { account: tenant.accountId });
  expect((await intents()).data).toHaveLength(0);
  const { createInvoicePayLink } = await app.ask(createLink, { input: { invoiceId, expiresInHours: 2 } }, token);
  const begun = await Promise.all(
    [url, url, createInvoicePayLink.url as string].map(async (at) => (await (await begin(at)).json()) as Begun),
  );
  expect(new Set(begun.map(({ clientSecret }) => clientSecret)).size).toBe(1);
  expect((await intents()).data).toHaveLength(1);
});

test('what Stripe says arrives: declined, tried again with the same intent, paid', async () => {
  const { url } = await aLinkedInvoice(app);
  expect(await statusOf(url)).toMatchObject({ state: 'open', due: 'USD 100.00' });
  const first = (await (await begin(url)).json()) as Begun;
  await confirm(first, 'pm_card_visa_chargeDeclinedInsufficientFunds').catch(() => undefined);
  const failed = await until(async () => {
    const now = await statusOf(url);
    return now.state === 'failed' && now;
  }, 'the page says that it failed');
  expect(failed.reason).toBe('Your card has insufficient funds.');
  const second = (await (await begin(url)).json()) as Begun;
  expect(second.clientSecret).toBe(first.clientSecret);
  await confirm(second, 'pm_card_visa');
  await until(async () => (await statusOf(url)).state === 'paid', 'the page says that it is paid');
  expect((await begin(url)).status).toBe(409);
  expect(await (await fetch(url)).text()).toContain('This invoice is paid');
});

test("what a subscription bills is paid by Stripe's own intent of it, once, with the platform's fee", async () => {
  const { url, billing, contract, invoiceId } = await aFailedRenewal(app);
  // Why the saved card failed is told to nobody who only has the link.
  expect(await statusOf(url)).toMatchObject({ state: 'open', due: 'USD 100.00', reason: null });
  const begun = await Promise.all([1, 2].map(async () => (await (await begin(url)).json()) as Begun));
  expect(new Set(begun.map(({ clientSecret }) => clientSecret)).size).toBe(1);
  await confirm(begun[0]!, 'pm_card_visa_chargeDeclinedInsufficientFunds').catch(() => undefined);
  await until(async () => (await statusOf(url)).reason === 'Your card has insufficient funds.', 'the page says why');
  await confirm(begun[0]!, 'pm_card_visa');
  await until(async () => (await statusOf(url)).state === 'paid', 'the page says that it is paid');
  await billing.settled();
  expect((await begin(url)).status).toBe(409);
  const payments = await billing.rows(
    `select status, amount, application_fee from payments where tenant_id = $1 and invoice_id = $2`,
    invoiceId,
  );
  // 2.5 % and 30.
  expect(payments).toEqual([{ status: 'SUCCEEDED', amount: '10000', application_fee: '280' }]);
  const [{ status }] = (await billing.rows(
    'select status from stripe_subscriptions where tenant_id = $1 and id = $2',
    contract.id,
  )) as [{ status: string }];
  expect(status).toBe('ACTIVE');
});

test('nobody pays another amount of a renewal than the page showed', async () => {
  const { url, billing, invoiceId } = await aFailedRenewal(app);
  await app.db.query('update invoices set total = total - 1 where tenant_id = $1 and id = $2', [billing.id, invoiceId]);
  expect(await (await begin(url)).json()).toEqual({ state: 'changed' });
  await app.db.query('update stripe_config set disconnected_at = now() where tenant_id = $1', [billing.id]);
  expect(await (await begin(url)).json()).toEqual({ state: 'not-ready' });
});

test('a payment that was given up is followed by a new intent', async () => {
  const { url, token, invoiceId } = await aLinkedInvoice(app);
  const first = (await (await begin(url)).json()) as Begun;
  const { payments } = await app.ask(
    `query ($id: Int!) { payments(filter: { invoiceId: $id }) { nodes { id metadata } } }`,
    { id: invoiceId },
    token,
  );
  expect(payments.nodes).toMatchObject([{ metadata: { source: 'pay-page' } }]);
  const input = { paymentId: payments.nodes[0].id };
  await app.ask(
    `mutation ($input: CancelPaymentInput!) { cancelPayment(input: $input) { payment { id } } }`,
    { input },
    token,
  );
  const second = (await (await begin(url)).json()) as Begun;
  expect(second.clientSecret).not.toBe(first.clientSecret);
});

test('withdrawn invoices, and tenants that cannot take payments, say so', async () => {
  const gone = await aLinkedInvoice(app);
  await app.db.query(`update invoices set status = 'VOID' where id = $1`, [gone.invoiceId]);
  expect(await statusOf(gone.url)).toMatchObject({ state: 'void' });
  const early = await aLinkedInvoice(app);
  await app.db.query(`update stripe_config set disconnected_at = now() where tenant_id = $1`, [early.tenant.id]);
  expect(await statusOf(early.url)).toMatchObject({ state: 'not-ready' });
  const refused = await begin(early.url);
  expect([refused.status, await refused.json()]).toEqual([409, { state: 'not-ready' }]);
  const page = await fetch(early.url);
  expect([page.status, (await page.text()).includes('Payment is not possible yet')]).toEqual([200, true]);
});

test('an expired link is gone, and a changed one unknown; neither tells anything', async () => {
  const { tenant, number, invoiceId, url } = await aLinkedInvoice(app);
  const secret = loadConfig(app.env).linkSecret;
  const links = new PayLinks({ publicUrl: app.url, secret, clock: { now: () => new Date() } });
  const old = links.create({ tenantId: tenant.id, invoiceId, livemode: false }, -1_000).url;
  const otherMode = links.create({ tenantId: tenant.id, invoiceId, livemode: true }, 60_000).url;
  const absent = links.create({ tenantId: tenant.id, invoiceId: 999_999, livemode: false }, 60_000).url;
  for (const [address, status, title] of [
    [old, 410, 'This link has expired'],
    [`${url}x`, 404, 'This link is not valid'],
    [otherMode, 404, 'This link is not valid'],
    [absent, 404, 'This link is not valid'],
    [`${app.url}/pay/nonsense`, 404, 'This link is not valid'],
  ] as const) {
    const [page, look, start] = await Promise.all([fetch(address), fetch(`${address}/status`), begin(address)]);
    const html = await page.text();
    expect([address, page.status, look.status]).toEqual([address, status, status]);
    expect([404, 410, 409]).toContain(start.status);
    expect(html).toContain(title);
    for (const fact of [tenant.name, number, tenant.accountId, 'USD']) expect(html).not.toContain(fact);
  }
});

test('links are for open invoices of the own tenant, and for at most a quarter of a year', async () => {
  const { token, invoiceId } = await aLinkedInvoice(app);
  const { id: stranger } = await anInvoice(
    app.db,
    await aCustomer(app.db, { tenantId: (await aTenant(app.db)).id }).then(({ tenantId }) => ({ tenantId })),
  );
  const codeOf = async (input: object) => {
    const { errors } = await app.graphql(createLink, { input }, token);
    return errors?.[0]?.extensions;
  };
  expect(await codeOf({ invoiceId: stranger })).toMatchObject({ code: 'NOT_FOUND', field: 'input.invoiceId' });
  expect(await codeOf({ invoiceId, expiresInHours: 0 })).toMatchObject({
    code: 'BAD_USER_INPUT',
    field: 'input.expiresInHours',
  });
  expect(await codeOf({ invoiceId, expiresInHours: 2_161 })).toMatchObject({ code: 'BAD_USER_INPUT' });
  await app.db.query(`update invoices set status = 'DRAFT' where id = $1`, [invoiceId]);
  expect(await codeOf({ invoiceId })).toMatchObject({ code: 'INVALID_STATE', field: 'input.invoiceId' });
});

test('who begins payments all the time is slowed down', async () => {
  const { url } = await aLinkedInvoice(app);
  const statuses = await Promise.all(Array.from({ length: 25 }, async () => (await begin(`${url}x`)).status));
  expect(statuses).toContain(429);
});
