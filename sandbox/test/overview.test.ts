import { existsSync } from 'node:fs';
import { type Browser, chromium, type Page } from 'playwright-core';
import { aListener, aStripe, type Listener, type TestStripe } from './support/stripe.js';

const executablePath = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';
const isThere = existsSync(executablePath);
if (!isThere && process.env['REQUIRE_BROWSER'])
  throw new Error(`There is no browser at ${executablePath}: set CHROMIUM_PATH.`);
if (!isThere)
  console.log(`No browser at ${executablePath}: the page is tested without one. Set CHROMIUM_PATH to change that.`);

let local: TestStripe;
let hook: Listener;
let account: { stripeAccount: string };
beforeAll(async () => {
  local = await aStripe({ delivery: { retrySchedule: [] } });
  hook = await aListener();
  await local.stripe.webhookEndpoints.create({ url: hook.url, enabled_events: ['*'], connect: true });
  account = await local.connected({ business_profile: { name: '<b>Shackleton & Co</b>' } });
  hook.answers.push(500);
  await local.stripe.customers.create({ name: 'Worsley' }, account);
  await local.stripe.paymentIntents.create(
    {
      amount: 12_300,
      currency: 'usd',
      payment_method: 'pm_card_visa',
      confirm: true,
      automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
    },
    account,
  );
  await local.stripe.customers.retrieve('cus_none').catch(() => undefined);
  await local.control('/advance', { seconds: 3_600 });
  await local.sandbox.deliveries.drained(2_000);
});
afterAll(async () => {
  await local.stop();
  await hook.close();
});

test('the page shows accounts, requests and deliveries, with names made harmless', async () => {
  const response = await fetch(local.url);
  expect(response.headers.get('content-security-policy')).toContain("default-src 'none'");
  const text = await response.text();
  expect(text).not.toContain('<b>Shackleton');
  expect(text).not.toMatch(/<script|https?:\/\/(?!127\.0\.0\.1)/);
  for (const part of [account.stripeAccount, 'POST /v1/payment_intents', 'charge.succeeded', 'customer.created'])
    expect(text).toContain(part);
});

test('GET /_control/state says how much there is, and all of it when asked', async () => {
  const state = await local.control<{
    platform: string;
    accounts: { account: string; counts: Record<string, number>; tables?: Record<string, { name: string }[]> }[];
  }>('/state');
  expect(state.accounts.find((entry) => entry.account === account.stripeAccount)!.counts).toMatchObject({
    customer: 1,
    payment_intent: 1,
  });
  const full = await local.control<typeof state>(`/state?account=${account.stripeAccount}&full=true`);
  expect(full.accounts).toHaveLength(1);
  expect(full.accounts[0]!.tables!['customer']).toMatchObject([{ name: 'Worsley' }]);
});

describe('in a browser', () => {
  let browser: Browser | null = null;
  let page: Page | null = null;
  beforeAll(async () => {
    if (isThere) browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });
    page = (await browser?.newPage()) ?? null;
  });
  afterAll(() => browser?.close());

  const rows = (name: string) => page!.getByRole('table', { name }).locator('tbody tr');

  test('it can be read at a glance and narrowed to an account', async () => {
    if (!page) return;
    const errors: string[] = [];
    page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
    await page.goto(local.url);
    expect(await rows('Accounts').count()).toBe(2);
    expect(await rows('Accounts').nth(1).innerText()).toMatch(/<b>Shackleton & Co<\/b>[\s\S]*119\.13 usd/);
    expect(await rows('Requests').first().innerText()).toMatch(/404[\s\S]*No such customer/);
    expect(await page.getByText('failed', { exact: true }).count()).toBe(1);
    await page.getByRole('link', { name: account.stripeAccount }).first().click();
    expect(await rows('Accounts').count()).toBe(1);
    expect(await rows('Requests').allInnerTexts()).toEqual(
      expect.not.arrayContaining([expect.stringContaining('cus_none') as unknown]),
    );
    await page.getByRole('link', { name: 'all accounts' }).click();
    expect(await rows('Accounts').count()).toBe(2);
    // The icon that a browser asks for by itself is the only thing that is not there.
    expect(errors.filter((text) => !/favicon|404|img-src/.test(text))).toEqual([]);
  });

  test('it fits a telephone and goes dark with the machine', async () => {
    if (!page) return;
    await page.setViewportSize({ width: 390, height: 800 });
    const scheme = () => page!.evaluate<string>('getComputedStyle(document.documentElement).colorScheme');
    await page.emulateMedia({ colorScheme: 'dark' });
    await page.goto(local.url);
    expect(await scheme()).toContain('dark');
    expect(await page.evaluate('document.documentElement.scrollWidth <= window.innerWidth')).toBe(true);
    if (process.env['SCREENSHOTS']) await page.screenshot({ path: `${process.env['SCREENSHOTS']}/overview-dark.png` });
    await page.emulateMedia({ colorScheme: 'light' });
    await page.setViewportSize({ width: 1300, height: 900 });
    if (process.env['SCREENSHOTS']) await page.screenshot({ path: `${process.env['SCREENSHOTS']}/overview.png` });
  });
});
