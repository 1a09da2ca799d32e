import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Database } from '../../src/db/database.js';
import { enqueueAdminMail, enqueueMail } from '../../src/features/mail/outbox.js';
import { type ReceiptData } from '../../src/features/mail/templates/receipt.js';
import { eraseCustomer } from '../../src/features/webhook-events/erasure.js';
import { metrics } from '../../src/shared/metrics.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { aCustomer, aTenant, insertRow, type Row } from '../support/factories.js';
import { openPostOffice, platformAddress, type PostOffice } from './post-office.js';
import { testProgram } from '../support/program.js';

let office: PostOffice;
let tenantId: Uuid;
let number = 0;
let beforeSending = (): Promise<void> => Promise.resolve();

const data: ReceiptData = {
  customerName: 'Harbour Street Dental',
  receiptNumber: 'R-1',
  amount: { amount: 123_450, currency: 'usd' },
  paidAt: '2026-11-23T23:30:00.000Z',
  invoiceNumber: 'INV-7',
  description: null,
  method: null,
  receiptUrl: null,
};
const pdf = Buffer.from('%PDF-1.4 not really');

beforeAll(async () => {
  office = await openPostOffice({
    receipt: async () => {
      await beforeSending();
      return [{ filename: 'receipt.pdf', contentType: 'application/pdf', content: pdf }];
    },
  });
  tenantId = (await aTenant(office.db, { name: 'Northwind IT' })).id;
});
afterAll(() => office.stop());
beforeEach(() => {
  office.smtp.arrived.length = 0;
  office.smtp.onRecipient = office.smtp.onData = office.smtp.onSender = () => null;
});
afterEach(() => office.db.query('delete from mails'));

interface Wanted extends Partial<ReceiptData> {
  readonly key?: string;
  readonly to?: string;
  readonly tenant?: Uuid;
  readonly until?: Date;
}

function enqueue(
  { key, to, tenant = tenantId, until, ...rest }: Wanted = {},
  database = office.database,
): Promise<boolean> {
  const mail = {
    key: key ?? `receipt:${++number}`,
    template: 'receipt',
    to: to ?? `somebody-${number}@example.com`,
  } as const;
  return database
    .tenant(tenant)
    .transaction((em) => enqueueMail(em, { ...mail, data: { ...data, ...rest }, ...(until && { until }) }));
}

async function mails(): Promise<Row[]> {
  return office.db.query('select * from mails order by created_at, recipient');
}

/** Sends one mail and returns it as it arrived. */
async function delivered(wanted: Wanted = {}) {
  await enqueue(wanted);
  await office.sendAll();
  expect(office.smtp.arrived).toHaveLength(1);
  return office.smtp.arrived[0]!;
}

test('a mail arrives with HTML, plain text and attachment, from the tenant at the platform’s address', async () => {
  const mail = await delivered({ to: 'pay@dental.example' });
  expect(mail.recipient).toBe('pay@dental.example');
  expect(mail.from).toEqual({ name: 'Northwind IT', address: platformAddress });
  expect(mail.subject).toBe('Receipt from Northwind IT: $1,234.50 for INV-7');
  expect(mail.html).toContain('Hello Harbour Street Dental');
  expect(mail.html).not.toMatch(/\{\{|#0b1c2d|#d2c1b0/);
  expect(mail.text).toContain('Amount:    $1,234.50\nPaid on:   November 23, 2026\nInvoice:   INV-7\nReceipt:   R-1\n');
  expect(mail.attachments.map(({ filename, mimeType }) => [filename, mimeType])).toEqual([
    ['receipt.pdf', 'application/pdf'],
  ]);
  expect(Buffer.from(mail.attachments[0]!.content as ArrayBuffer)).toEqual(pdf);
  expect(mail.headers.find(({ key }) => key === 'auto-submitted')?.value).toBe('auto-generated');
  const [row] = await mails();
  expect(row).toMatchObject({
    state: 'SENT',
    attempts: 1,
    message_id: mail.messageId,
    subject: mail.subject,
    last_error: null,
  });
  expect(row!.sent_at).not.toBeNull();
});

test('it looks as the tenant has set it, and speaks of days in its time zone', async () => {
  const tenant = await aTenant(office.db, { name: 'Southern Cloud', time_zone: 'Australia/Sydney' });
  await insertRow(office.db, 'mail_settings', {
    ...{
      tenant_id: tenant.id,
      livemode: false,
      sender_name: 'Southern Accounts',
      reply_to: 'accounts@southern.example',
    },
    ...{ postal_address: '1 George St\nSydney NSW 2000', brand_color: '#fde047', locale: 'de' },
    logo_url: 'https://southern.example/logo.png',
  });
  const mail = await delivered({ tenant: tenant.id, amount: { amount: 123_450, currency: 'aud' } });
  expect(mail.from?.name).toBe('Southern Accounts');
  expect(mail.replyTo).toEqual([{ name: '', address: 'accounts@southern.example' }]);
  expect(mail.text).toMatch(/1\.234,50\sAU\$/);
  expect(mail.text).toContain('24. November 2026');
  expect(mail.text).toMatch(/Southern Accounts\n1 George St\nSydney NSW 2000/);
  expect(mail.html).toContain('background-color:#fde047');
  expect(mail.html).toContain('src="https://southern.example/logo.png"');
  expect(mail.html).toContain('1 George St<br>Sydney NSW 2000'.replaceAll('<br>', '<br />'));
});

test('nothing that somebody is called becomes markup, a header or a place to click', async () => {
  const mail = await delivered({
    customerName: '<img src=x onerror=alert(1)> & "Sons"',
    invoiceNumber: 'INV-1\r\nBcc: everybody@example.com',
    receiptUrl: 'javascript:alert(1)',
  });
  expect(mail.html).not.toContain('<img src=x');
  expect(mail.html).toContain('&#60;img src=x onerror=alert(1)&#62; &#38; &#34;Sons&#34;');
  expect(mail.html).not.toContain('javascript:');
  expect(mail.bcc).toBeUndefined();
  expect(mail.headers.map(({ key }) => key)).not.toContain('bcc');
  expect(mail.subject).toBe('Receipt from Northwind IT: $1,234.50 for INV-1 Bcc: everybody@example.com');
  expect(office.smtp.arrived).toHaveLength(1);
});

test.each([
  'nobody',
  'a@b.example, c@d.example',
  'a@b.example\r\nBcc: c@d.example',
  '"A" <a@b.example>',
  'a@b',
  `${'a'.repeat(250)}@b.example`,
  `${'a'.repeat(253)}😀`,
  'a\u2028b@c.example',
  'a\u2029b@c.example',
])('%j is no address: it is kept as a failure, and sent nowhere', async (to) => {
  await expect(enqueue({ to })).resolves.toBe(true);
  await office.sendAll();
  expect(office.smtp.arrived).toEqual([]);
  expect(await mails()).toMatchObject([{ state: 'FAILED', last_error: 'This is no e-mail address.' }]);
});

test('a key is taken down once, however many ask at the same time, and sent once by however many postmen', async () => {
  const asked = await Promise.all(
    Array.from({ length: 8 }, () => enqueue({ key: 'receipt:same', to: 'once@example.com' })),
  );
  expect(asked.filter(Boolean)).toHaveLength(1);
  for (let i = 0; i < 20; i++) await enqueue();
  const postmen = Array.from({ length: 4 }, () => office.postman());
  for (let round = 0; round < 3; round++) await Promise.all(postmen.map((postman) => postman.sendOnce()));
  await office.sendAll();
  expect(office.smtp.arrived).toHaveLength(21);
  expect(new Set(office.smtp.arrived.map(({ recipient }) => recipient)).size).toBe(21);
});

test('a tenant with many mails does not keep another one waiting', async () => {
  const other = await aTenant(office.db);
  for (let i = 0; i < 30; i++) await enqueue();
  const few = ['a@few.example', 'b@few.example', 'c@few.example'];
  for (const to of few) await enqueue({ to, tenant: other.id });
  await office.db.query(`update mails set next_attempt_at = now() - interval '1 hour' where tenant_id = $1`, [
    tenantId,
  ]);
  expect(await office.postman().sendOnce()).toBe(8);
  const arrived = office.smtp.arrived.map(({ recipient }) => recipient);
  expect(arrived).toEqual(expect.arrayContaining(few));
  await office.sendAll();
  expect(office.smtp.arrived).toHaveLength(33);
});

test('another tenant, and the other mode, have keys of their own', async () => {
  const other = await aTenant(office.db);
  const live = new Database(office.database.orm, true, true);
  expect(await enqueue({ key: 'receipt:shared' })).toBe(true);
  expect(await enqueue({ key: 'receipt:shared', tenant: other.id })).toBe(true);
  expect(await enqueue({ key: 'receipt:shared' }, live)).toBe(true);
  await office.sendAll();
  expect(office.smtp.arrived).toHaveLength(2); // a process with test keys leaves what is live alone
});

test('what is undone is not mailed', async () => {
  const undone = office.database.tenant(tenantId).transaction(async (em) => {
    await enqueueMail(em, { key: 'receipt:undone', template: 'receipt', to: 'a@example.com', data });
    throw new Error('undone');
  });
  await expect(undone).rejects.toThrow('undone');
  expect(await mails()).toEqual([]);
});

test('without a mail server nothing is taken down, and nothing of a kind that the tenant has switched off', async () => {
  expect(await enqueue({}, new Database(office.database.orm, false))).toBe(false);
  const tenant = await aTenant(office.db);
  await insertRow(office.db, 'mail_settings', { tenant_id: tenant.id, livemode: false, muted: '{RECEIPTS}' });
  expect(await enqueue({ tenant: tenant.id })).toBe(false);
  expect(await mails()).toEqual([]);
});

test('what the mail server cannot take now is sent later', async () => {
  let asked = 0;
  office.smtp.onData = () => (++asked === 1 ? '451 4.3.0 Try again' : null);
  await enqueue();
  await office.sendAll();
  const [waiting] = await mails();
  expect(waiting).toMatchObject({ state: 'QUEUED', attempts: 1, lease_token: null });
  expect(waiting!.last_error).toContain('Try again');
  expect((waiting!.next_attempt_at as Date) > (waiting!.updated_at as Date)).toBe(true);
  await office.letTimePass();
  await office.sendAll();
  expect(await mails()).toMatchObject([{ state: 'SENT', attempts: 2, last_error: null }]);
  expect(office.smtp.arrived).toHaveLength(1);
});

test('an address that the mail server refuses is a bounce, and not tried again', async () => {
  office.smtp.onRecipient = () => '550 5.1.1 No such mailbox';
  await enqueue();
  await office.sendAll();
  await office.letTimePass();
  await office.sendAll();
  const [row] = await mails();
  expect(row).toMatchObject({ state: 'BOUNCED', attempts: 1 });
  expect(row!.last_error).toContain('No such mailbox');
});

test.each([
  ['RCPT TO', () => (office.smtp.onRecipient = () => '550 5.7.1 Your network is on our list')],
  ['DATA', () => (office.smtp.onData = () => '550 5.7.26 This mail is not authenticated')],
])('a refusal by policy at %s is ours to mend: the address is no bounce, and is tried again', async (_when, refuse) => {
  refuse();
  await enqueue();
  await office.sendAll();
  const [row] = await mails();
  const last_error = 'The recipient’s mail server does not take mail from this platform at present.';
  expect(row).toMatchObject({ state: 'QUEUED', attempts: 1, last_error });
  expect(+(row!.next_attempt_at as Date) - Date.now()).toBeGreaterThan(5 * 60_000);
  expect(await metrics.metrics()).toMatch(/mails_total\{outcome="BLOCKED"\} [12]\n/);
  office.smtp.onRecipient = office.smtp.onData = () => null;
  await office.letTimePass();
  await office.sendAll();
  expect(await mails()).toMatchObject([{ state: 'SENT', attempts: 2, last_error: null }]);
});

test('a mail server that does not want our own address says nothing about the mail', async () => {
  office.smtp.onSender = () => '550 5.7.1 Sender not allowed';
  await enqueue();
  await office.sendAll();
  expect(await mails()).toMatchObject([{ state: 'QUEUED', attempts: 1 }]);
});

test('while nobody listens at the mail server mails wait, until what they say has lost its sense', async () => {
  const postman = office.postman('smtp://127.0.0.1:1');
  await enqueue();
  await enqueue({ until: new Date(Date.now() + 3_600_000) });
  await postman.sendOnce();
  // Tenants read it: nothing of where the platform's mail server is, or how one logs in there.
  const last_error = 'The mail server could not be used.';
  expect(await mails()).toMatchObject([
    { state: 'QUEUED', last_error },
    { state: 'QUEUED', last_error },
  ]);
  await office.db.query(
    `update mails set send_until = now() - interval '1 second' where send_until < now() + interval '2 hours'`,
  );
  await office.letTimePass();
  await office.sendAll();
  expect(await mails()).toMatchObject([{ state: 'SENT' }, { state: 'EXPIRED' }]);
  expect(office.smtp.arrived).toHaveLength(1);
});

test('a mail that cannot be written is tried again a few times before it fails, and the others go', async () => {
  await enqueue({ paidAt: 'yesterday' });
  await enqueue();
  await office.sendAll();
  expect(await mails()).toMatchObject([{ state: 'QUEUED', attempts: 1 }, { state: 'SENT' }]);
  await office.db.query(`update mails set attempts = 4 where state = 'QUEUED'`);
  await office.letTimePass();
  await office.sendAll();
  expect(await mails()).toMatchObject([
    { state: 'FAILED', last_error: 'It could not be written; see the log.' },
    { state: 'SENT' },
  ]);
});

test('a font or a picture that was out of reach for a moment costs no receipt', async () => {
  beforeSending = () => Promise.reject(new Error('EMFILE: too many open files'));
  await enqueue();
  await office.sendAll();
  beforeSending = () => Promise.resolve();
  await office.letTimePass();
  await office.sendAll();
  expect(await mails()).toMatchObject([{ state: 'SENT', attempts: 2 }]);
});

test('who has lost a mail to another records nothing of it', async () => {
  let release: () => void = () => undefined;
  const isHeld = new Promise<void>((reached) => {
    beforeSending = () => {
      reached();
      return new Promise<void>((resolve) => (release = resolve));
    };
  });
  await enqueue();
  const slow = office.postman().sendOnce();
  await isHeld;
  beforeSending = () => Promise.resolve();
  await office.letTimePass();
  await office.sendAll();
  office.smtp.onRecipient = () => '550 5.1.1 No such mailbox';
  release();
  await slow;
  expect(await mails()).toMatchObject([{ state: 'SENT', attempts: 2 }]);
});

test.each(['mail.after-claim', 'mail.after-send'])(
  'killed at %s, a mail is sent by somebody else, and never as another mail',
  async (failpoint) => {
    await enqueue({ to: 'kill@example.com' });
    const child = spawn(
      process.execPath,
      ['--no-warnings', testProgram(new URL('postman-process.mjs', import.meta.url))],
      {
        env: { PATH: process.env.PATH, DATABASE_URL: office.db.url, SMTP_URL: office.smtp.url, FAILPOINT: failpoint },
        stdio: 'inherit',
      },
    );
    const [, signal] = (await once(child, 'exit')) as [number | null, string | null];
    expect(signal).toBe('SIGKILL');
    await office.sendAll();
    await office.letTimePass();
    await office.sendAll();
    expect(new Set(office.smtp.arrived.map(({ messageId }) => messageId)).size).toBe(1);
    expect(await mails()).toMatchObject([{ state: 'SENT' }]);
  },
);

test('admins are told each by themselves, or those whom the tenant has named', async () => {
  const tenant = await aTenant(office.db);
  for (const [email, role] of [
    ['a@msp.example', 'admin'],
    ['b@msp.example', 'admin'],
    ['c@msp.example', 'viewer'],
  ]) {
    await insertRow(office.db, 'users', { tenant_id: tenant.id, email, name: 'Somebody', role });
  }
  const tell = (key: string) =>
    office.database.tenant(tenant.id).transaction((em) => enqueueAdminMail(em, { key, template: 'receipt', data }));
  expect(await tell('test:1')).toBe(true);
  expect(await tell('test:1')).toBe(false);
  expect((await mails()).map(({ recipient }) => recipient)).toEqual(['a@msp.example', 'b@msp.example']);
  const named = { tenant_id: tenant.id, livemode: false, alert_addresses: '{alerts@msp.example}' };
  await insertRow(office.db, 'mail_settings', named);
  expect(await tell('test:2')).toBe(true);
  expect((await mails()).map(({ recipient }) => recipient)).toEqual([
    'a@msp.example',
    'b@msp.example',
    'alerts@msp.example',
  ]);
});

test('an address that admins are told at may be as long as addresses are, and is forgotten with what was mailed', async () => {
  const tenant = await aTenant(office.db);
  const long = `${'a'.repeat(64)}@${'b'.repeat(180)}.example`;
  await insertRow(office.db, 'mail_settings', {
    ...{ tenant_id: tenant.id, livemode: false },
    alert_addresses: `{${long},short@msp.example}`,
  });
  const key = `webhook-endpoint-disabled:${tenant.id}:2026-11-23T23:30:00.000Z`;
  const tell = () =>
    office.database.tenant(tenant.id).transaction((em) => enqueueAdminMail(em, { key, template: 'receipt', data }));
  expect(await tell()).toBe(true);
  expect(await tell()).toBe(false);
  const told = await mails();
  expect(told.map(({ recipient }) => recipient)).toEqual([long, 'short@msp.example']);
  expect(told.map((mail) => mail.key as string).join()).not.toMatch(/@|bbb|msp/);
});

test('a tenant of ours has a time zone that there is', async () => {
  await expect(aTenant(office.db, { time_zone: 'Mars/Olympus' })).rejects.toThrow('no time zone');
  await expect(aTenant(office.db, { time_zone: 'Europe/Berlin' })).resolves.toBeDefined();
});

test('with a customer goes what was mailed, and what was about to be', async () => {
  const db = office.database.tenant(tenantId);
  const [gone, stays] = [await aCustomer(office.db, { tenantId }), await aCustomer(office.db, { tenantId })];
  const tell = ({ id }: { id: number }, key: string, to: string) =>
    db.transaction((em) => enqueueMail(em, { key, template: 'receipt', to, data, customerId: id }));
  await tell(gone, 'receipt:before', 'canary@person.example');
  await tell(stays, 'receipt:other', 'other@person.example');
  await office.sendAll();
  await tell(gone, 'receipt:after', 'canary@person.example');
  office.smtp.arrived.length = 0;
  await eraseCustomer(db, gone.id, 'test');
  await office.sendAll();
  expect(office.smtp.arrived).toEqual([]);
  const rows = await mails();
  expect(rows.map(({ recipient, state }) => [recipient, state])).toEqual([
    [null, 'SENT'],
    ['other@person.example', 'SENT'],
    [null, 'EXPIRED'],
  ]);
  expect(JSON.stringify(rows.filter(({ customer_id }) => customer_id === gone.id))).not.toMatch(/canary|Harbour|INV-7/);
});
