import { createRequire } from 'node:module';
import { inflateSync } from 'node:zlib';
import { type Sender } from '../../src/features/mail/letter.js';
import { type ReceiptData } from '../../src/features/mail/templates/receipt.js';
import { receiptPdf } from '../../src/features/notices/receipt-pdf.js';
import { forgetMailing, Receipts } from '../../src/features/notices/receipts.js';
import { createLogger } from '../../src/shared/logger.js';
import { newUuid, type Uuid } from '../../src/shared/uuid.js';
import { openPostOffice, type PostOffice } from '../mail/post-office.js';
import { aCustomer, anInvoice, aStripeConfig, aTenant, insertRow, type Row } from '../support/factories.js';

let office: PostOffice;
let tenantId: Uuid;
let customerId: number;

const hour = 3_600_000;
/** Far away from the day on which the tests run: nothing here depends on that. */
const start = Date.parse('2096-11-23T09:00:00.000Z');
const clock = { time: start, now: () => new Date(clock.time) };

beforeAll(async () => {
  office = await openPostOffice({ receipt: (data, sender) => receiptPdf(data, sender) });
  const tenant = await aTenant(office.db, { name: 'Northwind IT' });
  tenantId = tenant.id;
  await aStripeConfig(office.db, { tenantId });
  customerId = (await aCustomer(office.db, { tenantId, name: 'Harbour Street Dental', email: 'pay@dental.example' }))
    .id;
});
afterAll(() => office.stop());
beforeEach(async () => {
  clock.time = start;
  office.smtp.arrived.length = 0;
  await office.db.query('delete from mails; delete from payments; delete from mail_settings');
  await office.db.query('delete from notice_marks');
  await office.db.query("insert into notice_marks values (false, '2096-01-01')");
});

const receipts = () => new Receipts({ database: office.database, clock, logger: createLogger('silent') });

async function aPayment(overrides: Row = {}): Promise<Row> {
  return insertRow(office.db, 'payments', {
    ...{ tenant_id: tenantId, id: newUuid(), livemode: false, customer_id: customerId, stripe_account_id: 'acct_1' },
    ...{ amount: 10_000, amount_received: 10_000, currency: 'usd', status: 'SUCCEEDED', succeeded_at: new Date(start) },
    ...overrides,
  });
}

/** For how long nobody has looked for receipts. */
const lastSeen = (ago: string) => office.db.query('update notice_marks set seen_at = now() - $1::interval', [ago]);

const keys = async () =>
  (await office.db.query<{ key: string }>('select key from mails order by key')).map(({ key }) => key);

test('a payment that succeeded is receipted, with a PDF, to who has paid', async () => {
  const { id: invoiceId } = await anInvoice(office.db, { tenantId, customerId, number: 'INV-1042' });
  const method = await insertRow(office.db, 'payment_methods', {
    ...{ tenant_id: tenantId, livemode: false, customer_id: customerId, stripe_account_id: 'acct_1' },
    ...{ stripe_payment_method_id: 'pm_visa', type: 'CARD', brand: 'visa', last4: '4242' },
  });
  const payment = await aPayment({
    invoice_id: invoiceId,
    stripe_payment_method_id: method.stripe_payment_method_id,
    receipt_url: 'https://pay.example/r',
  });
  expect(await receipts().look()).toBe(1);
  await office.sendAll();
  const [mail] = office.smtp.arrived;
  expect(mail!.recipient).toBe('pay@dental.example');
  expect(mail!.subject).toBe('Receipt from Northwind IT: $100.00 for INV-1042');
  expect(mail!.text).toContain('Paid with: Visa •••• 4242');
  expect(mail!.html).toContain('href="https://pay.example/r"');
  const [pdf] = mail!.attachments;
  expect(pdf!.mimeType).toBe('application/pdf');
  const page = textOf(Buffer.from(pdf!.content as ArrayBuffer));
  for (const said of ['Northwind IT', 'Harbour Street Dental', 'INV-1042', '$100.00', 'November 23, 2096'])
    expect(page).toContain(said);
  expect(await keys()).toEqual([`receipt:${String(payment.id)}`]);
});

test('once per payment, however often and by however many it is looked for', async () => {
  for (let i = 0; i < 5; i++) await aPayment();
  const looking = receipts();
  const found = await Promise.all([looking.look(), receipts().look(), receipts().look()]);
  expect(found.reduce((sum, one) => sum + one)).toBe(5);
  expect(await looking.look()).toBe(0);
  expect(await keys()).toHaveLength(5);
});

test('not for what failed, waits, was given back, or has no address to send it to', async () => {
  const nobody = await aCustomer(office.db, { tenantId, email: null });
  const none = { amount_received: 0, succeeded_at: null };
  await aPayment({ status: 'FAILED', ...none });
  await aPayment({ status: 'PROCESSING', ...none });
  await aPayment({ status: 'CANCELED', ...none });
  await aPayment({ amount_refunded: 10_000 });
  await aPayment({ customer_id: nobody.id });
  await aPayment({ customer_id: null });
  await aPayment({ livemode: true });
  expect(await receipts().look()).toBe(0);
});

test('a bank debit is receipted when it settles, days after it was made', async () => {
  const debit = await aPayment({
    status: 'PROCESSING',
    amount_received: 0,
    succeeded_at: null,
    created_at: new Date(start),
  });
  const looking = receipts();
  expect(await looking.look()).toBe(0);
  clock.time += 5 * 24 * hour;
  await office.db.query(
    `update payments set status = 'SUCCEEDED', amount_received = amount, succeeded_at = $2 where id = $1`,
    [debit.id, clock.now()],
  );
  expect(await looking.look()).toBe(1);
});

test('what is heard of late is found when the whole window is looked at again, and what is older than the window is not', async () => {
  const looking = receipts();
  await aPayment();
  expect(await looking.look()).toBe(1);
  clock.time += hour / 2;
  await aPayment({ succeeded_at: new Date(start - 5 * hour) });
  await aPayment({ succeeded_at: new Date(start - 90 * hour) });
  expect(await looking.look()).toBe(1);
});

test('payments of the time in which nothing was mailed get none, neither at first nor after a pause', async () => {
  await office.db.query('delete from notice_marks');
  await aPayment({ succeeded_at: new Date(start - hour) });
  const looking = receipts();
  expect(await looking.look()).toBe(0);
  await aPayment({ succeeded_at: new Date(start + 1_000) });
  expect(await looking.look()).toBe(1);
  await lastSeen('25 hours');
  await forgetMailing(office.database);
  await aPayment({ succeeded_at: new Date(start + 2_000) });
  clock.time += hour;
  expect(await receipts().look()).toBe(0);
});

test('a worker without a mail server takes nothing from those that have one', async () => {
  await lastSeen('25 hours');
  const looking = receipts();
  expect(await looking.look()).toBe(0);
  await forgetMailing(office.database);
  await aPayment({ succeeded_at: new Date(start + 1_000) });
  // It stands still for some hours; the others do not.
  await lastSeen('23 hours');
  await forgetMailing(office.database);
  clock.time += hour;
  expect(await receipts().look()).toBe(1);
});

test('a tenant that wants none has none, and none of that time when it wants them again', async () => {
  await insertRow(office.db, 'mail_settings', { tenant_id: tenantId, livemode: false, muted: '{RECEIPTS}' });
  await aPayment();
  expect(await receipts().look()).toBe(0);
  await office.db.query(`update mail_settings set muted = '{}', unmuted_at = $1`, [new Date(start + hour)]);
  await aPayment({ succeeded_at: new Date(start + 2 * hour) });
  clock.time += 3 * hour;
  expect(await receipts().look()).toBe(1);
});

test('more than one batch of them is taken at one look', async () => {
  await office.db.query(
    `insert into payments (tenant_id, livemode, customer_id, stripe_account_id, amount, amount_received, currency, status, succeeded_at)
     select $1, false, $2, 'acct_1', 100, 100, 'usd', 'SUCCEEDED', $3::timestamptz from generate_series(1, 450)`,
    [tenantId, customerId, new Date(start)],
  );
  expect(await receipts().look()).toBe(450);
});

describe('the PDF', () => {
  const sender: Sender = {
    ...{
      tenant: 'Northwind IT',
      timeZone: 'UTC',
      senderName: null,
      replyTo: null,
      postalAddress: '1 George St\nSydney NSW 2000',
    },
    ...{ logoUrl: null, brandColor: null, locale: 'en' },
  };
  const data: ReceiptData = {
    ...{ customerName: 'Müller & Søn', receiptNumber: 'R-1', paidAt: '2096-11-23T09:00:00.000Z', invoiceNumber: null },
    ...{ amount: { amount: 10_000, currency: 'eur' }, description: null, method: null, receiptUrl: null },
  };

  test('is the same whenever it is made', async () => {
    const [first] = await receiptPdf(data, sender);
    const [second] = await receiptPdf(data, sender);
    expect(first!.content.equals(second!.content)).toBe(true);
    expect(textOf(first!.content)).toContain('Sydney NSW 2000');
  });

  test.each(['Müller & Søn', 'Łukasz Żółć', 'Ελλάς', 'Київ', 'Dvořák', 'Şahin Işık', 'Nguyễn', 'Fińska firma'])(
    'writes %s as it is written',
    async (customerName) => {
      const [pdf] = await receiptPdf({ ...data, customerName }, { ...sender, tenant: `${customerName} & Co` });
      const written = textOf(pdf!.content);
      expect(written).toContain(customerName);
      expect(written).toContain(`${customerName} & Co`);
    },
  );

  test('is written with the font that was named, if one was', async () => {
    const font = createRequire(import.meta.url).resolve('dejavu-fonts-ttf/ttf/DejaVuSerif.ttf');
    const [pdf] = await receiptPdf(data, sender, font);
    expect(textOf(pdf!.content)).toContain('Müller & Søn');
    const names = [...pdf!.content.toString('latin1').matchAll(/\/BaseFont \/\w+\+(\S+)/g)].map(([, name]) => name);
    expect(new Set(names)).toEqual(new Set(['DejaVuSerif']));
  });
});

/** What is written on the pages of a PDF, as who copies it out gets it: glyphs that stand for no letter are none. */
function textOf(pdf: Buffer): string {
  const objects = new Map(
    [...pdf.toString('latin1').matchAll(/(\d+) 0 obj\n([\s\S]*?)\nendobj/g)].map(([, id, object]) => [id!, object!]),
  );
  const streamOf = (id: string) =>
    inflated(/stream\r?\n([\s\S]*?)\r?\nendstream/.exec(objects.get(id) ?? '')?.[1] ?? '');
  const letters = new Map<string, readonly string[]>();
  for (const object of objects.values())
    for (const [, name, font] of object.matchAll(/\/(F\d+) (\d+) 0 R/g)) {
      const [, toUnicode] = /\/ToUnicode (\d+) 0 R/.exec(objects.get(font!)!)!;
      letters.set(name!, lettersOf(streamOf(toUnicode!)));
    }
  let font: readonly string[] = [];
  const lines: string[] = [];
  for (const id of objects.keys())
    for (const [, name, line] of streamOf(id).matchAll(/\/(F\d+) [\d.]+ Tf|\[([^\]]*)\] TJ/g)) {
      if (name) font = letters.get(name)!;
      else
        lines.push(
          [...line!.matchAll(/[0-9a-f]{4}(?=[0-9a-f]*>)/g)].map(([glyph]) => font[parseInt(glyph, 16)]).join(''),
        );
    }
  return lines.join('\n');
}

/** What its glyphs stand for, by their numbers. */
function lettersOf(toUnicode: string): string[] {
  const found: string[] = [];
  for (const [, from, list] of toUnicode.matchAll(/<([0-9a-f]{4})> <[0-9a-f]{4}> \[([^\]]*)\]/g))
    for (const [i, [, units]] of [...list!.matchAll(/<([^>]*)>/g)].entries())
      found[parseInt(from!, 16) + i] = units!
        .split(' ')
        .map((unit) => (unit ? String.fromCharCode(parseInt(unit, 16)) : ''))
        .join('');
  return found;
}

function inflated(stream: string): string {
  try {
    return inflateSync(Buffer.from(stream, 'latin1')).toString('latin1');
  } catch {
    return '';
  }
}
