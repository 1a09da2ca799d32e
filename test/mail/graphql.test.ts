import { type Uuid } from '../../src/shared/uuid.js';
import { aCustomer, aTenant, insertRow, type Row } from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';
import { platformAddress } from './post-office.js';

let app: TestApp;
let tenantId: Uuid;
let token: string;

beforeAll(async () => {
  // Nothing is sent here: a process that only answers has no postman.
  app = await startApp({ env: { PROCESS_ROLE: 'api', SMTP_URL: 'smtp://127.0.0.1:9', MAIL_FROM: platformAddress } });
  tenantId = (await aTenant(app.db)).id;
  token = await app.token({ tenantId });
});
afterAll(() => app.stop());

async function aMail(overrides: Row = {}): Promise<Row> {
  const mail = { tenant_id: tenantId, livemode: false, key: `receipt:${Math.random()}`, template: 'receipt', data: {} };
  return insertRow(app.db, 'mails', { ...mail, recipient: 'somebody@example.com', ...overrides });
}

const settings = '{ senderName replyTo postalAddress logoUrl brandColor locale alertAddresses muted }';
const update = `mutation ($input: UpdateMailSettingsInput!) { updateMailSettings(input: $input) { settings ${settings} } }`;
const resend =
  'mutation ($id: UUID!) { resendMail(input: { id: $id }) { mail { id state attempts recipient lastError } } }';

test('mails are listed newest first, page by page, and by what became of them', async () => {
  const { id: customerId } = await aCustomer(app.db, { tenantId });
  const sent = await aMail({ state: 'SENT', sent_at: new Date(), customer_id: customerId, subject: 'Receipt' });
  const bounced = await aMail({ state: 'BOUNCED', last_error: '550 No such mailbox' });
  const query = `query ($filter: MailFilter, $after: String) { mails(first: 1, after: $after, filter: $filter) {
    nodes { id state recipient customerId subject lastError } pageInfo { endCursor hasNextPage } } }`;
  const first = (await app.ask(query, {}, token)).mails;
  expect(first.nodes).toEqual([
    {
      id: bounced.id,
      state: 'BOUNCED',
      recipient: 'somebody@example.com',
      customerId: null,
      subject: null,
      lastError: '550 No such mailbox',
    },
  ]);
  expect(first.pageInfo.hasNextPage).toBe(true);
  const second = (await app.ask(query, { after: first.pageInfo.endCursor }, token)).mails;
  expect(second.nodes).toMatchObject([{ id: sent.id, customerId, subject: 'Receipt' }]);
  expect((await app.ask(query, { filter: { state: ['SENT'], customerId } }, token)).mails.nodes).toMatchObject([
    { id: sent.id },
  ]);
});

test('a mail that came to an end is sent again, to where the customer is now', async () => {
  const { id: customerId } = await aCustomer(app.db, { tenantId, email: 'new@example.com' });
  const { id } = await aMail({
    state: 'BOUNCED',
    attempts: 1,
    last_error: '550',
    customer_id: customerId,
    recipient: 'old@example.com',
  });
  const { resendMail } = await app.ask(resend, { id }, token);
  expect(resendMail.mail).toEqual({ id, state: 'QUEUED', attempts: 0, recipient: 'new@example.com', lastError: null });
  expect((await app.graphql(resend, { id }, token)).errors).toMatchObject([{ extensions: { code: 'INVALID_STATE' } }]);
  const entries = await app.db.query("select subject_id from audit_log where action = 'mail.resend'");
  expect(entries).toEqual([{ subject_id: id }]);
});

test('what was erased is not sent again', async () => {
  const { id } = await aMail({ state: 'SENT', recipient: null });
  expect((await app.graphql(resend, { id }, token)).errors).toMatchObject([{ extensions: { code: 'INVALID_STATE' } }]);
});

test('settings are as they are without, until they are set; what is left out stays, and null takes away', async () => {
  const read = async () => (await app.ask(`{ mailSettings ${settings} }`, {}, token)).mailSettings;
  const none = { senderName: null, replyTo: null, postalAddress: null, logoUrl: null, brandColor: null };
  expect(await read()).toEqual({ ...none, locale: 'en', alertAddresses: [], muted: [] });
  const input = {
    ...{
      senderName: 'Northwind\r\nBcc: x',
      replyTo: 'accounts@northwind.example',
      brandColor: '#1D4ED8',
      locale: 'en-AU',
    },
    ...{ alertAddresses: ['ops@northwind.example', 'ops@northwind.example'], muted: ['TRIALS', 'RENEWALS'] },
  };
  await app.ask(update, { input }, token);
  const { updateMailSettings } = await app.ask(
    update,
    { input: { replyTo: null, postalAddress: ' 1 George St\r\nSydney ' } },
    token,
  );
  expect(updateMailSettings.settings).toEqual({
    ...{
      ...none,
      senderName: 'Northwind Bcc: x',
      postalAddress: '1 George St\nSydney',
      brandColor: '#1d4ed8',
      locale: 'en-AU',
    },
    ...{ alertAddresses: ['ops@northwind.example'], muted: ['TRIALS', 'RENEWALS'] },
  });
  expect(await read()).toEqual(updateMailSettings.settings);
  const other = await aTenant(app.db);
  const theirs = await app.ask(`{ mailSettings ${settings} }`, {}, await app.token(other));
  expect(theirs.mailSettings.senderName).toBeNull();
});

test('from when on receipts are wanted again is noted when they are, and not when something else is', async () => {
  const tenant = await aTenant(app.db);
  const mute = async (muted: string[]) => app.ask(update, { input: { muted } }, await app.token(tenant));
  const since = async () =>
    (await app.db.query('select unmuted_at from mail_settings where tenant_id = $1', [tenant.id]))[0]!.unmuted_at;
  await mute(['TRIALS', 'RECEIPTS']);
  await mute(['RECEIPTS']);
  expect(await since()).toBeNull();
  await mute([]);
  expect(await since()).not.toBeNull();
});

test.each([
  [{ senderName: '  ' }, 'input.senderName'],
  [{ senderName: 'x'.repeat(101) }, 'input.senderName'],
  [{ logoUrl: 'http://example.com/logo.png' }, 'input.logoUrl'],
  [{ logoUrl: 'javascript:alert(1)' }, 'input.logoUrl'],
  [{ brandColor: 'red;background:url(x)' }, 'input.brandColor'],
  [{ locale: 'klingon_KL' }, 'input.locale'],
  [{ postalAddress: 'x'.repeat(501) }, 'input.postalAddress'],
  [{ alertAddresses: Array.from({ length: 21 }, (_, i) => `a${i}@example.com`) }, 'input.alertAddresses'],
])('%j is refused', async (input, field) => {
  const { errors } = await app.graphql(update, { input }, token);
  expect(errors).toMatchObject([{ extensions: { code: 'BAD_USER_INPUT', field } }]);
});

test('every kind of mail can be looked at in development, as HTML, as text and with what goes along, and nowhere else', async () => {
  expect((await fetch(`${app.url}/dev/mails`)).status).toBe(404);
  const dev = await startApp({ beside: app, env: { NODE_ENV: 'development', PROCESS_ROLE: 'api' } });
  try {
    const list = await (await fetch(`${dev.url}/dev/mails`)).text();
    const links = [...list.matchAll(/href="([^"]+)"/g)].map(([, link]) => link!);
    expect(links).toEqual(expect.arrayContaining(['/dev/mails/receipt/html', '/dev/mails/dispute-deadline/txt']));
    for (const link of links) {
      const answer = await fetch(dev.url + link);
      const text = await answer.text();
      expect([link, answer.status, /\{\{|undefined|\[object/.exec(text)?.[0]]).toEqual([link, 200, undefined]);
    }
    const strange = await (await fetch(`${dev.url}/dev/mails/receipt/html?color=fde047&locale=de`)).text();
    expect(strange).toContain('#fde047');
    expect((await fetch(`${dev.url}/dev/mails/toString/html`)).status).toBe(404);
    expect((await fetch(`${dev.url}/dev/mails/receipt/9`)).status).toBe(404);
  } finally {
    await dev.stop();
  }
});
