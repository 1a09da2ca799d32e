import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import { type Browser, type Page } from 'playwright-core';
import { aBilling, at, type Billing } from './support/billing.js';
import { aBrowser, hasBrowser } from './support/browser.js';
import { failure } from './support/stripe.js';

let billing: Billing;
let shop: { url: string; server: Server };
beforeAll(async () => {
  billing = await aBilling();
  const server = createServer((request, response) => {
    response.setHeader('content-type', 'text/html');
    response.end(`<h1>Shop</h1><p id="path">${request.url ?? ''}</p>`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  shop = { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
});
afterAll(async () => {
  shop.server.closeAllConnections();
  shop.server.close();
  await billing.stop();
});
afterEach(() => {
  expect(billing.violations()).toEqual([]);
});

const oneTime = (amount = 2000) => ({
  price_data: { currency: 'usd', unit_amount: amount, product_data: { name: 'Visit' } },
  quantity: 1,
});

describe('checkout sessions', () => {
  test('say what is to be paid, are expired once and by themselves after a day', async () => {
    const session = await billing.stripe.checkout.sessions.create({
      mode: 'payment',
      line_items: [oneTime(), { ...oneTime(500), quantity: 3 }],
      success_url: `${shop.url}/done`,
      expand: ['line_items'],
    });
    expect(session).toMatchObject({
      status: 'open',
      amount_total: 3500,
      payment_status: 'unpaid',
      payment_intent: null,
    });
    expect(session.line_items?.data).toHaveLength(2);
    expect((await billing.stripe.checkout.sessions.listLineItems(session.id)).data[1]).toMatchObject({
      quantity: 3,
      amount_total: 1500,
    });
    billing.news();
    expect(await billing.stripe.checkout.sessions.expire(session.id)).toMatchObject({ status: 'expired', url: null });
    expect(billing.news()).toEqual(['checkout.session.expired']);
    expect(await failure(billing.stripe.checkout.sessions.expire(session.id))).toMatchObject({ statusCode: 400 });
  });

  test('refuse what does not fit together', async () => {
    const recurring = await billing.aPrice();
    const base = { success_url: shop.url };
    const create = billing.stripe.checkout.sessions.create.bind(billing.stripe.checkout.sessions);
    expect(await failure(create({ ...base, mode: 'payment' }))).toMatchObject({ code: 'parameter_missing' });
    expect(
      await failure(create({ ...base, mode: 'payment', line_items: [{ price: recurring.id, quantity: 1 }] })),
    ).toMatchObject({ statusCode: 400 });
    expect(await failure(create({ ...base, mode: 'subscription', line_items: [oneTime()] }))).toMatchObject({
      param: 'line_items',
    });
    expect(await failure(create({ mode: 'payment', line_items: [oneTime()] }))).toMatchObject({ param: 'success_url' });
  });
});

describe('portal sessions', () => {
  test('use the default configuration, or one that was made', async () => {
    const customer = await billing.aCustomer();
    const session = await billing.stripe.billingPortal.sessions.create({
      customer: customer.id,
      expand: ['configuration'],
    });
    expect(session).toMatchObject({ configuration: { is_default: true }, customer: customer.id });
    const made = await billing.stripe.billingPortal.configurations.create({
      features: { invoice_history: { enabled: true }, subscription_cancel: { enabled: true, mode: 'immediately' } },
    });
    expect(made.features.subscription_cancel).toMatchObject({ enabled: true, mode: 'immediately' });
    const changed = await billing.stripe.billingPortal.configurations.update(made.id, { active: false });
    expect(changed.active).toBe(false);
    expect(
      await failure(billing.stripe.billingPortal.sessions.create({ customer: customer.id, configuration: made.id })),
    ).toMatchObject({ param: 'configuration' });
    expect((await fetch(`${session.url}x`)).status).toBe(404);
  });
});

const clicking = hasBrowser() ? describe : describe.skip;

clicking('in a browser', () => {
  let browser: Browser;
  let page: Page;
  beforeAll(async () => {
    browser = await aBrowser();
  }, 60_000);
  afterAll(async () => {
    await browser.close();
  });
  beforeEach(async () => {
    page = await browser.newPage();
  });
  afterEach(async () => {
    await page.close();
  });

  const enter = async (number: string, button: string) => {
    await page.getByLabel('Card number').fill(number);
    await page.getByLabel('Expires').fill('12 / 34');
    await page.getByLabel('CVC').fill('123');
    await page.getByRole('button', { name: button, exact: true }).click();
  };
  const path = () => page.locator('#path').textContent();

  test('a guest pays: a declined card can be replaced, and the shop hears of it', async () => {
    const session = await billing.stripe.checkout.sessions.create({
      mode: 'payment',
      line_items: [oneTime()],
      success_url: `${shop.url}/done?session={CHECKOUT_SESSION_ID}`,
      cancel_url: `${shop.url}/cart`,
      payment_intent_data: { metadata: { order: '7' } },
    });
    billing.news();
    await page.goto(session.url!);
    expect(await page.getByRole('main').textContent()).toContain('$20.00');
    await page.getByLabel('Email').fill('guest@example.com');
    await enter('4000 0000 0000 0002', 'Pay');
    expect(await page.getByRole('alert').textContent()).toContain('declined');
    await page.getByLabel('Email').fill('guest@example.com');
    await enter('4242 4242 4242 4242', 'Pay');
    expect(await path()).toBe(`/done?session=${session.id}`);
    const done = await billing.stripe.checkout.sessions.retrieve(session.id, { expand: ['payment_intent'] });
    expect(done).toMatchObject({
      status: 'complete',
      payment_status: 'paid',
      customer: null,
      customer_details: { email: 'guest@example.com' },
      payment_intent: { status: 'succeeded', amount: 2000, metadata: { order: '7' } },
    });
    expect(billing.news()).toContain('checkout.session.completed');
  });

  test('a subscription on a connected account, through the bank’s page', async () => {
    const account = await billing.connected();
    const price = await billing.aPrice({}, account);
    const session = await billing.stripe.checkout.sessions.create(
      {
        mode: 'subscription',
        customer_email: 'payer@example.com',
        line_items: [{ price: price.id, quantity: 2 }],
        subscription_data: { application_fee_percent: 10, metadata: { contract: 'c-1' } },
        success_url: `${shop.url}/done`,
      },
      account,
    );
    await page.goto(session.url!);
    await enter('4000 0000 0000 3220', 'Subscribe');
    await page.getByRole('button', { name: 'Complete authentication' }).click();
    expect(await path()).toBe('/done');
    const done = await billing.stripe.checkout.sessions.retrieve(
      session.id,
      { expand: ['subscription', 'invoice', 'customer'] },
      account,
    );
    expect(done).toMatchObject({
      status: 'complete',
      payment_status: 'paid',
      subscription: { status: 'active', application_fee_percent: 10, metadata: { contract: 'c-1' } },
      invoice: { status: 'paid', amount_paid: 2000 },
      customer: { email: 'payer@example.com' },
    });
    const [fee] = (await billing.stripe.applicationFees.list({ limit: 1 })).data;
    expect(fee).toMatchObject({ amount: 200, account: account.stripeAccount });
  });

  test('a method is saved for later, and a failed authentication can be repeated', async () => {
    const customer = await billing.aCustomer(null);
    const session = await billing.stripe.checkout.sessions.create({
      mode: 'setup',
      customer: customer.id,
      currency: 'usd',
      success_url: `${shop.url}/saved`,
    });
    await page.goto(session.url!);
    await enter('4000 0000 0000 3220', 'Save');
    await page.getByRole('button', { name: 'Fail authentication' }).click();
    expect(await page.getByRole('alert').textContent()).toContain('not authenticated');
    await enter('4242 4242 4242 4242', 'Save');
    expect(await path()).toBe('/saved');
    const { data } = await billing.stripe.paymentMethods.list({ customer: customer.id });
    expect(data).toMatchObject([{ card: { last4: '4242' } }]);
  });

  test('the portal: a new card becomes the default, another is removed, a subscription is canceled and kept', async () => {
    const customer = await billing.aCustomer();
    const price = await billing.aPrice();
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    const session = await billing.stripe.billingPortal.sessions.create({
      customer: customer.id,
      return_url: `${shop.url}/account`,
    });
    await page.goto(session.url);
    await page.getByRole('link', { name: 'Add a payment method' }).click();
    await enter('5555 5555 5555 4444', 'Add');
    expect(await page.getByRole('main').textContent()).toContain('mastercard •••• 4444');
    const owner = await billing.stripe.customers.retrieve(customer.id, {
      expand: ['invoice_settings.default_payment_method'],
    });
    expect(owner as object).toMatchObject({
      invoice_settings: { default_payment_method: { card: { last4: '4444' } } },
    });
    await page.getByRole('button', { name: 'Remove' }).first().click();
    expect((await billing.stripe.paymentMethods.list({ customer: customer.id })).data).toHaveLength(1);

    await page.getByRole('link', { name: 'Cancel subscription' }).click();
    await page.getByRole('button', { name: 'Cancel subscription' }).click();
    expect((await billing.stripe.subscriptions.retrieve(id)).cancel_at_period_end).toBe(true);
    await page.getByRole('button', { name: 'Don’t cancel' }).click();
    expect(await billing.stripe.subscriptions.retrieve(id)).toMatchObject({
      cancel_at_period_end: false,
      cancel_at: null,
    });
    await page.getByRole('link', { name: 'Return to the shop' }).click();
    expect(await path()).toBe('/account');
  });

  test('a flow goes straight to the cancellation and then where it was told', async () => {
    const clock = await billing.aClock(at(4, 1));
    const customer = await billing.aCustomer('pm_card_visa', clock);
    const price = await billing.aPrice();
    const { id } = await billing.stripe.subscriptions.create({ customer: customer.id, items: [{ price: price.id }] });
    const session = await billing.stripe.billingPortal.sessions.create({
      customer: customer.id,
      flow_data: {
        type: 'subscription_cancel',
        subscription_cancel: { subscription: id },
        after_completion: { type: 'redirect', redirect: { return_url: `${shop.url}/bye` } },
      },
    });
    await page.goto(session.url);
    await page.getByRole('button', { name: 'Cancel subscription' }).click();
    expect(await path()).toBe('/bye');
    expect(await billing.stripe.subscriptions.retrieve(id)).toMatchObject({
      cancel_at: at(5, 1),
      canceled_at: at(4, 1),
    });
  });

  test('an open invoice is paid on its own page', async () => {
    const customer = await billing.aCustomer(null);
    const invoice = await billing.stripe.invoices.create({
      customer: customer.id,
      collection_method: 'send_invoice',
      days_until_due: 10,
    });
    await billing.stripe.invoiceItems.create({
      customer: customer.id,
      invoice: invoice.id,
      amount: 700,
      currency: 'usd',
    });
    const sent = await billing.stripe.invoices.sendInvoice(invoice.id);
    await page.goto(sent.hosted_invoice_url!);
    await enter('4242 4242 4242 4242', 'Pay invoice');
    expect(await page.getByRole('main').textContent()).toContain('Status: paid');
    expect((await billing.stripe.invoices.retrieve(invoice.id)).status).toBe('paid');
  });
});
