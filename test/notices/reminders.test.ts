import { DisputeDeadlines } from '../../src/features/notices/dispute-deadlines.js';
import { MailRetention } from '../../src/features/notices/mail-retention.js';
import { Reminders } from '../../src/features/notices/reminders.js';
import { stillTrue } from '../../src/features/notices/still-true.js';
import { PayLinks } from '../../src/features/pay-page/pay-links.js';
import { createLogger } from '../../src/shared/logger.js';
import { newUuid, type Uuid } from '../../src/shared/uuid.js';
import { openPostOffice, type PostOffice } from '../mail/post-office.js';
import { aContract, aCustomer, anInvoice, aStripeConfig, aTenant, insertRow, type Row } from '../support/factories.js';

let office: PostOffice;
let tenantId: Uuid;
let customerId: number;
let accountId: string;
let payLinks: PayLinks;

const hour = 3_600_000;
const day = 24 * hour;
/** Far away from the day on which the tests run: nothing here depends on that. */
const start = Date.parse('2096-11-23T09:00:00.000Z');
const clock = { time: start, now: () => new Date(clock.time) };
const logger = createLogger('silent');
const inDays = (days: number) => new Date(start + days * day);

beforeAll(async () => {
  office = await openPostOffice({}, stillTrue);
  tenantId = (await aTenant(office.db, { name: 'Northwind IT' })).id;
  ({ accountId } = await aStripeConfig(office.db, { tenantId }));
  customerId = (await aCustomer(office.db, { tenantId, name: 'Harbour Street Dental', email: 'pay@dental.example' }))
    .id;
  await insertRow(office.db, 'users', {
    tenant_id: tenantId,
    email: 'admin@msp.example',
    name: 'Admin',
    role: 'admin',
  });
  payLinks = new PayLinks({ publicUrl: 'https://billing.example.com', secret: 'x'.repeat(32), clock });
});
afterAll(() => office.stop());
beforeEach(async () => {
  clock.time = start;
  office.smtp.arrived.length = 0;
  for (const table of [
    'mails',
    'disputes',
    'payments',
    'stripe_invoices',
    'stripe_subscriptions',
    'payment_methods',
    'mail_settings',
  ])
    await office.db.query(`delete from ${table}`);
});

const once = { signal: new AbortController().signal };
const remind = () => new Reminders({ database: office.database, payLinks, clock, logger }).run(once);
const alert = () => new DisputeDeadlines({ database: office.database, clock, logger }).run(once);
const mails = () => office.db.query('select * from mails order by created_at, key');
const keys = async () => (await mails()).map(({ key }) => String(key));

async function aSubscription(overrides: Row = {}): Promise<Row> {
  return insertRow(office.db, 'stripe_subscriptions', {
    ...{ tenant_id: tenantId, id: newUuid(), livemode: false, customer_id: customerId, stripe_account_id: accountId },
    ...{
      stripe_subscription_id: `sub_${newUuid().replaceAll('-', '')}`,
      status: 'ACTIVE',
      quantity: 3,
      unit_amount: 5_000,
    },
    ...{ currency: 'usd', billing_interval: 'MONTH', current_period_start: inDays(-25), current_period_end: inDays(5) },
    ...{ next_charge_at: inDays(5) },
    ...overrides,
  });
}

async function aCard(overrides: Row = {}): Promise<Row> {
  return insertRow(office.db, 'payment_methods', {
    ...{ tenant_id: tenantId, livemode: false, customer_id: customerId, stripe_account_id: accountId, type: 'CARD' },
    ...{ stripe_payment_method_id: `pm_${newUuid().replaceAll('-', '')}`, brand: 'visa', last4: '4242' },
    ...{ exp_month: 11, exp_year: 2096, is_default: true },
    ...overrides,
  });
}

async function aPayment(overrides: Row = {}): Promise<Row> {
  return insertRow(office.db, 'payments', {
    ...{ tenant_id: tenantId, id: newUuid(), livemode: false, customer_id: customerId, stripe_account_id: accountId },
    ...{ amount: 10_000, currency: 'usd', status: 'ACTION_REQUIRED', created_at: new Date(start - 2 * hour) },
    ...overrides,
  });
}

async function aDispute(overrides: Row = {}): Promise<Row> {
  const payment = await aPayment({ status: 'SUCCEEDED', amount_received: 10_000, succeeded_at: inDays(-20) });
  return insertRow(office.db, 'disputes', {
    ...{ tenant_id: tenantId, livemode: false, payment_id: payment.id, stripe_account_id: accountId, amount: 10_000 },
    ...{ stripe_dispute_id: `dp_${newUuid().replaceAll('-', '')}`, stripe_charge_id: 'ch_1', currency: 'usd' },
    ...{ status: 'NEEDS_RESPONSE', reason: 'product_not_received', evidence_due_by: inDays(6.5), is_inquiry: false },
    ...{ charge_refundable: false, stripe_created_at: inDays(-1) },
    ...overrides,
  });
}

describe('a renewal', () => {
  test('is announced once for each period, with what it will cost and when', async () => {
    const contract = await aContract(office.db, { tenantId, customerId, name: 'Managed workplace' });
    const { id } = await aSubscription({ contract_id: contract.id });
    await Promise.all([remind(), remind()]);
    await remind();
    await office.sendAll();
    expect(office.smtp.arrived).toHaveLength(1);
    const [mail] = office.smtp.arrived;
    expect(mail!.subject).toBe('Managed workplace renews on November 28, 2096');
    expect(mail!.text).toContain('$150.00, before taxes and credits');
    await office.db.query('update stripe_subscriptions set next_charge_at = $1, current_period_end = $1', [inDays(35)]);
    clock.time += 30 * day;
    await remind();
    expect(await keys()).toEqual([`renewal:${String(id)}:2096-11-28`, `renewal:${String(id)}:2096-12-28`]);
  });

  test.each([
    ['when it is far away', { next_charge_at: inDays(8) }],
    ['when it has been', { next_charge_at: inDays(-1) }],
    ['when the subscription ends before', { cancel_at_period_end: true }],
    ['when it was canceled for a day before', { cancel_at: inDays(4) }],
    ['when it is overdue already', { status: 'PAST_DUE' }],
    ['while nothing is collected', { collection_paused: true }],
    ['when nothing is charged', { unit_amount: 0 }],
    ['when periods are so short that it comes every week', { current_period_start: inDays(-2) }],
  ])('is not announced %s', async (_, overrides) => {
    await aSubscription(overrides);
    await remind();
    expect(await keys()).toEqual([]);
  });

  test('is announced as early as the tenant wants, or not at all', async () => {
    await aSubscription({ next_charge_at: inDays(13) });
    await insertRow(office.db, 'mail_settings', { tenant_id: tenantId, livemode: false, renewal_days: 14 });
    await remind();
    expect(await keys()).toHaveLength(1);
    await office.db.query(`delete from mails; update mail_settings set muted = '{RENEWALS}'`);
    await remind();
    expect(await keys()).toEqual([]);
  });

  test('that nobody looked for in time is not announced afterwards, nor one that could not be mailed in time', async () => {
    await aSubscription();
    await remind();
    const [mail] = await mails();
    expect(mail!.send_until).toEqual(inDays(5));
    await office.db.query(`update mails set send_until = now() - interval '1 second'`);
    await office.sendAll();
    expect(office.smtp.arrived).toEqual([]);
    await office.db.query('delete from mails');
    clock.time += 6 * day;
    await remind();
    expect(await keys()).toEqual([]);
  });
});

describe('the end of a trial', () => {
  const trial = { status: 'TRIALING', trial_start: inDays(-12), trial_end: inDays(2), next_charge_at: inDays(2) };

  test('is announced three days before, with whether there is something to charge', async () => {
    const { id } = await aSubscription(trial);
    await remind();
    await remind();
    expect(await keys()).toEqual([`trial:${String(id)}:2096-11-25`]);
    await office.sendAll();
    expect(office.smtp.arrived[0]!.text).toContain('There is no payment method on file yet.');
  });

  test.each([
    ['earlier', { ...trial, trial_end: inDays(4) }],
    ['of a trial that is hardly longer than that', { ...trial, trial_start: inDays(-1) }],
    ['of one that will not go on', { ...trial, cancel_at_period_end: true }],
    ['of one that has begun to be paid', { ...trial, status: 'PAST_DUE' }],
  ])('is not announced %s', async (_, overrides) => {
    await aSubscription(overrides);
    await remind();
    expect(await keys()).toEqual([]);
  });
});

describe('a card that expires', () => {
  test('is announced once within its last month, when a subscription is charged to it', async () => {
    await aSubscription({ next_charge_at: inDays(20) });
    const { id } = await aCard();
    await remind();
    await remind();
    expect(await keys()).toEqual([`card:${String(id)}:2096-11`]);
    await office.sendAll();
    expect(office.smtp.arrived[0]!.text).toContain('Visa •••• 4242, expires at the end of 11/2096.');
  });

  test.each([
    ['when it is good for longer', { exp_month: 1, exp_year: 2097 }],
    ['when it has expired', { exp_month: 10 }],
    ['when it is not the one that is charged', { is_default: false }],
    ['when it was removed', { status: 'DETACHED', is_default: false }],
  ])('is not announced %s', async (_, overrides) => {
    await aSubscription({ next_charge_at: inDays(20) });
    await aCard(overrides);
    await remind();
    expect(await keys()).toEqual([]);
  });

  test('is not announced when nothing is charged to it', async () => {
    await aCard();
    await remind();
    expect(await keys()).toEqual([]);
  });
});

describe('a payment that waits for a confirmation', () => {
  test('is reminded of once, with a link under which it can be made, until it cannot be made any more', async () => {
    const invoice = await anInvoice(office.db, { tenantId, customerId, number: 'F-1' });
    const { id } = await aPayment({ invoice_id: invoice.id });
    await remind();
    await remind();
    const [mail] = await mails();
    expect(mail).toMatchObject({ key: `action:${String(id)}`, send_until: new Date(start + 21 * hour) });
    const { payUrl } = mail!.data as { payUrl: string };
    expect(payLinks.read(payUrl.split('/pay/')[1])).toMatchObject({
      tenantId,
      invoiceId: invoice.id,
      isExpired: false,
    });
  });

  test('is reminded of with a link to our page, too, when it is the renewal of a subscription', async () => {
    const subscription = await aSubscription({ status: 'PAST_DUE' });
    const invoice = await anInvoice(office.db, { tenantId, customerId, number: 'F-2' });
    await insertRow(office.db, 'stripe_invoices', {
      ...{ tenant_id: tenantId, livemode: false, invoice_id: invoice.id, subscription_id: subscription.id },
      ...{ stripe_account_id: accountId, stripe_invoice_id: 'in_1', billing_reason: 'subscription_cycle' },
      ...{ currency: 'usd', hosted_url: 'https://invoice.stripe.com/i/1' },
    });
    await aPayment({ invoice_id: invoice.id, subscription_id: subscription.id });
    await remind();
    const [mail] = await mails();
    const { payUrl } = mail!.data as { payUrl: string };
    expect(payLinks.read(payUrl.split('/pay/')[1])).toMatchObject({ tenantId, invoiceId: invoice.id });
  });

  test.each([
    ['just after it was made', { created_at: new Date(start - hour / 2) }],
    ['when it is too late', { created_at: new Date(start - 24 * hour) }],
    ['when it went through', { status: 'SUCCEEDED', amount_received: 10_000 }],
  ])('is not reminded of %s', async (_, overrides) => {
    const invoice = await anInvoice(office.db, { tenantId, customerId });
    await aPayment({ invoice_id: invoice.id, ...overrides });
    await remind();
    expect(await keys()).toEqual([]);
  });

  test('is not reminded of when its invoice is void', async () => {
    const invoice = await anInvoice(office.db, { tenantId, customerId, status: 'VOID' });
    await aPayment({ invoice_id: invoice.id });
    await remind();
    expect(await keys()).toEqual([]);
  });
});

describe('a dispute', () => {
  test('is told to the admins seven, three and one days before it must be answered', async () => {
    await aDispute();
    for (const at of [0, 1, 3.6, 4, 5.6, 6]) {
      clock.time = start + at * day;
      await alert();
      await alert();
    }
    expect((await keys()).map((key) => key.split(':')[3])).toEqual(['7', '3', '1']);
    await office.sendAll();
    expect(new Set(office.smtp.arrived.map(({ recipient }) => recipient))).toEqual(new Set(['admin@msp.example']));
    expect(office.smtp.arrived[0]!.subject).toBe('Dispute over $100.00: answer by November 29, 2096');
  });

  test('of which nobody was told in time is told of once, not of each day that was missed', async () => {
    await aDispute();
    clock.time = start + 6 * day;
    await alert();
    expect(await keys()).toHaveLength(1);
  });

  test.each([
    ['that was answered', { submission_count: 1 }],
    ['that the bank looks into', { status: 'UNDER_REVIEW' }],
    ['whose deadline is over', { evidence_due_by: inDays(-1) }],
    ['whose deadline is far away', { evidence_due_by: inDays(10) }],
    ['that cannot be answered', { evidence_due_by: null }],
  ])('%s is not told of', async (_, overrides) => {
    await aDispute(overrides);
    await alert();
    expect(await keys()).toEqual([]);
  });
});

describe('a reminder that waits for the mail server', () => {
  /** One of each kind. */
  async function ofAllKinds(): Promise<void> {
    await aCard();
    await aSubscription();
    const trial = { trial_start: inDays(-10), trial_end: inDays(2), next_charge_at: inDays(2) };
    await aSubscription({ status: 'TRIALING', ...trial });
    const invoice = await anInvoice(office.db, { tenantId, customerId });
    await aPayment({ invoice_id: invoice.id });
    await aDispute({ status: 'NEEDS_RESPONSE', evidence_due_by: inDays(2) });
    await remind();
    await alert();
    expect((await keys()).map((key) => key.split(':')[0]).toSorted()).toEqual([
      ...['action', 'card', 'dispute', 'renewal', 'trial'],
    ]);
  }

  test('goes as long as it is so', async () => {
    await ofAllKinds();
    await office.sendAll();
    expect(new Set((await mails()).map(({ state }) => state))).toEqual(new Set(['SENT']));
  });

  test('does not go when it is not so any more, unless somebody asks for it', async () => {
    await ofAllKinds();
    await office.db.query(`update stripe_subscriptions set cancel_at_period_end = true where status = 'ACTIVE';
      update stripe_subscriptions set status = 'ACTIVE' where status = 'TRIALING';
      update payment_methods set exp_year = 2099;
      update payments set status = 'CANCELED' where status = 'ACTION_REQUIRED';
      update disputes set submission_count = 1`);
    await office.sendAll();
    expect(office.smtp.arrived).toEqual([]);
    expect(new Set((await mails()).map(({ state }) => state))).toEqual(new Set(['EXPIRED']));
    await office.db.query(`update mails set state = 'QUEUED', generation = 1 where key like 'action:%'`);
    await office.sendAll();
    expect(office.smtp.arrived).toHaveLength(1);
  });
});

test('what old mails said is forgotten, but not that there were some', async () => {
  await aSubscription();
  await remind();
  await office.sendAll();
  const retention = new MailRetention({ database: office.database, clock, logger, retentionDays: 400 });
  await office.db.query('update stripe_accounts set disconnected_at = now()');
  await retention.run(once);
  await office.db.query('update stripe_accounts set disconnected_at = null');
  expect(await mails()).toMatchObject([{ recipient: null, data: {}, subject: null, state: 'SENT' }]);
  await remind();
  expect(await keys()).toHaveLength(1);
});

test('a tenant that has disconnected its account is left alone, and one that fails keeps no other from its turn', async () => {
  await aSubscription();
  const broken = await aTenant(office.db, { id: '00000000-0000-7000-8000-000000000001' });
  await aStripeConfig(office.db, { tenantId: broken.id });
  const { id: other } = await aCustomer(office.db, { tenantId: broken.id });
  // What it costs is more than PostgreSQL can count.
  await aSubscription({ tenant_id: broken.id, customer_id: other, unit_amount: '9000000000000000000' });
  await expect(remind()).rejects.toThrow('It failed for 1 of 2 tenants.');
  expect(await keys()).toHaveLength(1);
  await office.db.query('delete from mails');
  await office.db.query('update stripe_accounts set disconnected_at = now()');
  await remind();
  expect(await keys()).toEqual([]);
});
