import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core';
import { PayLinks } from '../../src/features/pay-page/pay-links.js';
import { loadConfig } from '../../src/config.js';
import { executablePath, inBrowser } from '../support/browser.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aFailedRenewal, aLinkedInvoice, cards, type LinkedInvoice } from './support.js';

let app: TestApp;
let browser: Browser;
let page: Page;
/** What the browser complained of, and whom else it talked to. */
let complaints: string[];
let strangers: string[];

const desktop: BrowserContextOptions = { viewport: { width: 1280, height: 800 } };
const phone: BrowserContextOptions = { viewport: { width: 320, height: 568 }, hasTouch: true, isMobile: true };

async function open(url: string, options: BrowserContextOptions = desktop): Promise<void> {
  page = await (await browser.newContext(options)).newPage();
  [complaints, strangers] = [[], []];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    // A declined card is answered with 402, and browsers report that as an error of the network.
    if (message.type() === 'error' && !/status of 402/.test(message.text())) complaints.push(message.text());
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (![app.url, app.sandbox.url].includes(origin) && protocol !== 'data:') strangers.push(origin);
  });
  await page.goto(url);
  await page.locator('body[data-ready]').waitFor();
}

async function fillCard(number: string): Promise<void> {
  await page.getByLabel('Card number').fill(number);
  await page.getByLabel('Expires').fill('12 / 34');
  await page.getByLabel('Security code').fill('123');
}

const headline = (text: string) => page.getByRole('heading', { name: text }).waitFor({ timeout: 15_000 });
const payButton = () => page.getByRole('button', { name: /^Pay USD 100\.00$/ });

async function isPaid({ token, invoiceId }: LinkedInvoice): Promise<boolean> {
  const { invoice } = await app.ask(`query ($id: Int!) { invoice(id: $id) { status } }`, { id: invoiceId }, token);
  return invoice.status === 'PAID';
}

inBrowser('the pay page')('in a browser', () => {
  beforeAll(async () => {
    app = await startApp();
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
  });
  afterEach(async () => {
    await page?.context().close();
    expect({ complaints, strangers }).toEqual({ complaints: [], strangers: [] });
  });
  afterAll(async () => {
    await browser?.close();
    await app?.stop();
  });

  test('an invoice is paid with a card', async () => {
    const invoice = await aLinkedInvoice(app);
    await open(invoice.url);
    expect(await page.getByRole('heading', { level: 1 }).innerText()).toBe(`Invoice ${invoice.number}`);
    // The account cannot take debits.
    expect(await page.getByLabel('Bank account').count()).toBe(0);
    await fillCard(cards.good);
    await payButton().click();
    await headline('This invoice is paid');
    expect(await page.locator('#due').innerText()).toBe('USD 0.00');
    expect(await page.locator('form').isVisible()).toBe(false);
    expect(await isPaid(invoice)).toBe(true);
    await page.reload();
    await headline('This invoice is paid');
  });

  test('on a phone: declined, told why, and paid with another card', async () => {
    const invoice = await aLinkedInvoice(app);
    await open(invoice.url, phone);
    const width = () => page.evaluate<number>('document.documentElement.scrollWidth');
    expect(await width()).toBe(320);
    await fillCard(cards.poor);
    await payButton().tap();
    await headline('The payment did not go through');
    expect(await page.getByRole('status').innerText()).toContain('Your card has insufficient funds.');
    expect(await width()).toBe(320);
    const box = await payButton().boundingBox();
    expect(box!.height).toBeGreaterThanOrEqual(44);
    await fillCard(cards.good);
    await payButton().tap();
    await headline('This invoice is paid');
    expect(await isPaid(invoice)).toBe(true);
  });

  test('with the keyboard alone: a mistake is pointed at, and the invoice paid', async () => {
    const invoice = await aLinkedInvoice(app);
    await open(invoice.url);
    const { keyboard } = page;
    const focused = () => page.evaluate<string>('document.activeElement.id || document.activeElement.value');
    await keyboard.press('Tab');
    expect(await focused()).toBe('number');
    const outline = await page.evaluate<string>('getComputedStyle(document.activeElement).outlineStyle');
    expect(outline).toBe('solid');
    await keyboard.type('4242');
    await keyboard.press('Enter');
    expect(await focused()).toBe('number');
    expect(await page.getByLabel('Card number').getAttribute('aria-invalid')).toBe('true');
    expect(await page.locator('#number-note').innerText()).toBe('Enter the number on the card.');
    await keyboard.press('Control+A');
    await keyboard.type(cards.good);
    for (const text of ['1234', '123']) {
      await keyboard.press('Tab');
      await keyboard.type(text === '1234' ? '12 / 34' : text);
    }
    await keyboard.press('Enter');
    await headline('This invoice is paid');
    expect(await focused()).toBe('outcome');
  });

  test('3D Secure: to the bank and back, and paid', async () => {
    const invoice = await aLinkedInvoice(app);
    await open(invoice.url);
    await fillCard(cards.secured);
    await payButton().click();
    await page.getByRole('button', { name: 'Complete authentication' }).click();
    await headline('This invoice is paid');
    expect(page.url()).toBe(invoice.url);
    expect(await isPaid(invoice)).toBe(true);
  });

  test('3D Secure refused: back on the page, which says so and takes another card', async () => {
    const invoice = await aLinkedInvoice(app);
    await open(invoice.url, phone);
    await fillCard(cards.secured);
    await payButton().tap();
    await page.getByRole('button', { name: 'Fail authentication' }).click();
    await headline('The payment did not go through');
    expect(page.url()).toBe(invoice.url);
    await fillCard(cards.good);
    await payButton().tap();
    await headline('This invoice is paid');
  });

  test('a bank debit shows as on its way, until the bank has settled it', async () => {
    const invoice = await aLinkedInvoice(app);
    const { accountId } = invoice.tenant;
    const form = { 'capabilities[us_bank_account_ach_payments][requested]': 'true' };
    await app.sandbox.api('POST', `/v1/accounts/${accountId}`, { form });
    await app.sandbox.control(`/accounts/${accountId}/onboard`, {});
    await open(invoice.url);
    await page.getByLabel('Bank account').check();
    await page.getByLabel('Account holder').fill('Jo Payer');
    await page.getByLabel('E-mail').fill('jo@payer.test');
    await page.getByLabel('Account number').fill('000123456789');
    await payButton().click();
    await headline('Your payment is on its way');
    await page.reload();
    await headline('Your payment is on its way');
    expect(await page.locator('form').isVisible()).toBe(false);
    await app.sandbox.control('/advance', { seconds: 7 * 86_400 });
    await headline('This invoice is paid');
  });

  test("a renewal that the saved card did not pay is paid with another one, by Stripe's own intent", async () => {
    const invoice = await aFailedRenewal(app);
    await open(invoice.url);
    await fillCard(cards.poor);
    await payButton().click();
    await headline('The payment did not go through');
    await fillCard(cards.secured);
    await payButton().click();
    await page.getByRole('button', { name: 'Complete authentication' }).click();
    await headline('This invoice is paid');
    expect(await isPaid(invoice)).toBe(true);
  });

  test('in dark colours the text can still be read', async () => {
    const { url } = await aLinkedInvoice(app);
    await open(url, { ...desktop, colorScheme: 'dark' });
    const colours = `(() => { const of = (element) => getComputedStyle(element); return [of(document.body).color, of(document.querySelector('main')).backgroundColor]; })()`;
    expect(await page.evaluate<string[]>(colours)).toEqual(['rgb(236, 239, 244)', 'rgb(26, 31, 40)']);
  });

  test('an expired link says so', async () => {
    const { tenant, invoiceId } = await aLinkedInvoice(app);
    const secret = loadConfig(app.env).linkSecret;
    const links = new PayLinks({ publicUrl: app.url, secret, clock: { now: () => new Date() } });
    const { url } = links.create({ tenantId: tenant.id, invoiceId, livemode: false }, 1);
    page = await (await browser.newContext(phone)).newPage();
    [complaints, strangers] = [[], []];
    await new Promise((resolve) => setTimeout(resolve, 1_100));
    expect((await page.goto(url))!.status()).toBe(410);
    await headline('This link has expired');
  });
});
