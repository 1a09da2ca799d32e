import { readBounce, recordBounce } from '../../src/features/mail/bounces.js';
import { enqueueMail } from '../../src/features/mail/outbox.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { aTenant, type Row } from '../support/factories.js';
import { openPostOffice, type PostOffice } from './post-office.js';

// Reports as mail servers write them, about mails that have really been sent.

let office: PostOffice;
let tenantId: Uuid;

beforeAll(async () => {
  office = await openPostOffice();
  // Whose it is has to be found out.
  await aTenant(office.db);
  tenantId = (await aTenant(office.db)).id;
});
afterAll(() => office.stop());
beforeEach(async () => {
  office.smtp.arrived.length = 0;
  await office.db.query('delete from mails');
});

/** Sends a mail. @returns it, as the mail server has it */
async function sent(): Promise<string> {
  const data = {
    ...{ customerName: 'Harbour Street Dental', receiptNumber: 'R-1', paidAt: '2026-11-23T23:30:00.000Z' },
    ...{
      amount: { amount: 100, currency: 'usd' },
      invoiceNumber: null,
      description: null,
      method: null,
      receiptUrl: null,
    },
  };
  const mail = { key: 'receipt:1', template: 'receipt', to: 'gone@example.com', data } as const;
  await office.database.tenant(tenantId).transaction((em) => enqueueMail(em, mail));
  await office.sendAll();
  return office.smtp.arrived.at(-1)!.raw;
}

const mail = async (): Promise<Row> => (await office.db.query('select * from mails'))[0]!;

interface Report {
  readonly action?: string;
  readonly status?: string;
  /** Only the headers of the mail are sent back. */
  readonly headersOnly?: boolean;
}

function report(original: string, { action = 'failed', status = '5.1.1', headersOnly = false }: Report = {}): Buffer {
  return Buffer.from(
    [
      'Return-Path: <>',
      'From: MAILER-DAEMON@mx.example.net (Mail Delivery System)',
      'To: billing@platform.example',
      'Subject: Undelivered Mail Returned to Sender',
      'Message-Id: <20261128.1@mx.example.net>',
      'MIME-Version: 1.0',
      'Content-Type: multipart/report; report-type=delivery-status;',
      ' boundary="=_report"',
      '',
      '--=_report',
      'Content-Type: text/plain; charset=us-ascii',
      '',
      'I am sorry to have to inform you that your message could not be delivered.',
      '',
      '--=_report',
      'Content-Type: message/delivery-status',
      '',
      'Reporting-MTA: dns; mx.example.net',
      'Arrival-Date: Sat, 28 Nov 2026 10:00:00 +0000',
      '',
      'Final-Recipient: rfc822; gone@example.com',
      `Action: ${action}`,
      `Status: ${status}`,
      `Diagnostic-Code: smtp; 550 ${status} <gone@example.com>: Recipient address`,
      '    rejected: User unknown',
      '',
      '--=_report',
      `Content-Type: ${headersOnly ? 'text/rfc822-headers' : 'message/rfc822'}`,
      '',
      headersOnly ? original.slice(0, original.indexOf('\r\n\r\n')) : original,
      '--=_report--',
      '',
    ].join('\r\n'),
    'latin1',
  );
}

async function handIn(raw: Buffer): Promise<string | null> {
  const bounce = await readBounce(raw);
  return bounce && recordBounce(office.database, bounce);
}

test.each([false, true])(
  'a report makes a bounce of a mail that was sent, once (headers only: %s)',
  async (headersOnly) => {
    const raw = report(await sent(), { headersOnly });
    expect(await handIn(raw)).toBe('RECORDED');
    const bounced = {
      state: 'BOUNCED',
      last_error: '550 5.1.1 <gone@example.com>: Recipient address rejected: User unknown',
    };
    expect(await mail()).toMatchObject(bounced);
    expect(await handIn(raw)).toBe('KNOWN');
    expect(await mail()).toMatchObject(bounced);
  },
);

test('a delay is none, and a refusal by policy says nothing about the address', async () => {
  const original = await sent();
  expect(await handIn(report(original, { action: 'delayed', status: '4.4.1' }))).toBe('NOT_FINAL');
  expect(await handIn(report(original, { status: '5.7.26' }))).toBe('POLICY');
  expect(await mail()).toMatchObject({ state: 'SENT', last_error: null });
});

test('a report about an earlier sending says nothing about the one since', async () => {
  const earlier = report(await sent());
  await office.db.query(`update mails set state = 'QUEUED', generation = 1, attempts = 0, next_attempt_at = now()`);
  await office.sendAll();
  expect(await handIn(earlier)).toBe('KNOWN');
  expect(await mail()).toMatchObject({ state: 'SENT' });
  expect(await handIn(report(office.smtp.arrived.at(-1)!.raw))).toBe('RECORDED');
});

test('what is about no mail of ours, or no report, changes nothing', async () => {
  const original = await sent();
  const { id } = await mail();
  const foreign = original.replaceAll(id as string, '0193a000-0000-7000-8000-000000000001');
  expect(await handIn(report(foreign))).toBe('NO_SUCH_MAIL');
  expect(await handIn(report(original.replaceAll(id as string, 'somebody')))).toBeNull();
  expect(await handIn(Buffer.from(original, 'latin1'))).toBeNull();
  expect(await handIn(Buffer.from('nothing of the kind'))).toBeNull();
  expect(await mail()).toMatchObject({ state: 'SENT', last_error: null });
});
