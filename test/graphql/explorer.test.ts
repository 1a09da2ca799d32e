import { type Browser, chromium, type Page } from 'playwright-core';
import { executablePath, inBrowser } from '../support/browser.js';
import { aCustomer, aTenant } from '../support/factories.js';
import { type Stage, startStage } from './stage.js';
import { aToken } from '../support/tokens.js';

let app: Stage;
let token: string;

beforeAll(async () => {
  const tenantId = '0190a000-0000-7000-8000-0000000000e1';
  token = await aToken({ tenantId });
  app = await startStage({ EXPLORER: 'true', EXPLORER_TOKEN: token });
  await aTenant(app.db, { id: tenantId, name: 'Explorers Ltd' });
  await aCustomer(app.db, { tenantId: tenantId as never, name: 'Shackleton & Co' });
});

afterAll(() => app?.stop());

const asBrowser = { headers: { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' } };

test('a browser gets the page under a strict policy, with a new nonce each time', async () => {
  const [one, other] = await Promise.all([
    fetch(`${app.url}/graphql`, asBrowser),
    fetch(`${app.url}/graphql`, asBrowser),
  ]);
  expect(one.status).toBe(200);
  const policy = one.headers.get('content-security-policy')!;
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toMatch(/unsafe-eval|script-src[^;]*unsafe-inline|https?:/);
  expect(policy).not.toBe(other.headers.get('content-security-policy'));
  const nonce = /'nonce-([^']+)'/.exec(policy)![1]!;
  const page = await one.text();
  for (const script of page.match(/<script(?![^>]*src=)[^>]*>/g)!) expect(script).toContain(`nonce="${nonce}"`);
  expect(one.headers.get('cache-control')).toBe('no-store');
});

test('programs do not get the page', async () => {
  const { status, headers } = await fetch(`${app.url}/graphql`);
  expect(status).toBe(405);
  expect(headers.get('allow')).toBe('POST');
});

test('files outside of the explorer are not served', async () => {
  for (const path of ['../package.json', '..%2fpackage.json', '%2e%2e/package.json', 'iframe-sandbox/index.html', '']) {
    expect((await fetch(`${app.url}/graphql/explorer/${path}`)).status).toBe(404);
  }
});

test('without the setting there is no explorer', async () => {
  const plain = await startStage({}, app.db);
  const [page, file] = await Promise.all([
    fetch(`${plain.url}/graphql`, asBrowser),
    fetch(`${plain.url}/graphql/explorer/main.js`),
  ]);
  await plain.stop();
  expect([page.status, file.status]).toEqual([405, 404]);
});

inBrowser('the explorer')('in a browser', () => {
  let browser: Browser;
  let page: Page;
  const strangers: string[] = [];
  const complaints: string[] = [];

  beforeAll(async () => {
    browser = await chromium.launch({ executablePath, args: ['--no-sandbox', '--disable-dev-shm-usage'] });
    page = await (await browser.newContext({ viewport: { width: 1400, height: 900 } })).newPage();
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(error.message));
    await page.route('**/*', (route) => {
      if (route.request().url().startsWith(app.url) || /^(data|blob):/.test(route.request().url()))
        return route.continue();
      strangers.push(route.request().url());
      return route.abort();
    });
    await page.goto(`${app.url}/graphql`);
  });

  afterAll(() => browser?.close());

  test('the query that it starts with runs as the token that it starts with', async () => {
    await page.waitForSelector('.cm-content');
    await page
      .locator('button:has-text("Send Request"), button[track-id="send_request"], .send-request__button')
      .first()
      .click();
    await page.getByText('Shackleton & Co').waitFor({ timeout: 20_000 });
    expect(await page.locator('body').innerText()).toContain('Explorers Ltd');
  });

  test('it talks to nobody else, and nothing of it offends the policy', () => {
    expect(strangers).toEqual([]);
    expect(complaints).toEqual([]);
  });
});
