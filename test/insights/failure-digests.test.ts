import { FailureDigests } from '../../src/features/insights/failure-digests.js';
import { createLogger } from '../../src/shared/logger.js';
import { newUuid, type Uuid } from '../../src/shared/uuid.js';
import { openPostOffice, type PostOffice } from '../mail/post-office.js';
import { aCustomer, aStripeConfig, aTenant, insertRow, type Row } from '../support/factories.js';

let office: PostOffice;

const hour = 3_600_000;
/** Ten in the morning of the day after, in Sydney; far away from the day on which the tests run. */
const start = Date.parse('2096-11-22T23:00:00.000Z');
/** Noon of the day itself. */
const noon = new Date('2096-11-22T01:00:00.000Z');
const clock = { time: start, now: () => new Date(clock.time) };

beforeAll(async () => {
  office = await openPostOffice();
});
afterAll(() => office.stop());
beforeEach(async () => {
  clock.time = start;
  office.smtp.arrived.length = 0;
  for (const table of ['mails', 'payment_failures', 'payments', 'mail_settings'])
    await office.db.query(`delete from ${table}`);
});

interface Msp {
  readonly tenantId: Uuid;
  readonly customerId: number;
  readonly accountId: string;
}

async function anMsp(email = 'admin@msp.example'): Promise<Msp> {
  const { id: tenantId } = await aTenant(office.db, { time_zone: 'Australia/Sydney' });
  const { accountId } = await aStripeConfig(office.db, { tenantId });
  const { id: customerId } = await aCustomer(office.db, { tenantId });
  await insertRow(office.db, 'users', { tenant_id: tenantId, email, name: 'Admin', role: 'admin' });
  return { tenantId, customerId, accountId };
}

async function payments({ tenantId, customerId, accountId }: Msp, count: number, overrides: Row = {}): Promise<void> {
  for (let i = 0; i < count; i++)
    await insertRow(office.db, 'payments', {
      ...{ tenant_id: tenantId, id: newUuid(), livemode: false, customer_id: customerId },
      ...{ stripe_account_id: accountId, amount: 10_000, currency: 'usd', status: 'FAILED', ...overrides },
    });
}

const succeeded = { status: 'SUCCEEDED', amount_received: 10_000, succeeded_at: noon };

/** Each of those that are there and have not succeeded has a try that failed then. */
async function fail(at: Date, declineCode = 'insufficient_funds'): Promise<void> {
  await office.db.query(
    `insert into payment_failures (tenant_id, livemode, payment_id, attempt, amount, currency, code, decline_code, failed_at)
     select tenant_id, livemode, id, gen_random_uuid(), amount, currency, 'card_declined', $2, $1 from payments where status <> 'SUCCEEDED'`,
    [at, declineCode],
  );
}

const look = () =>
  new FailureDigests({ database: office.database, clock, logger: createLogger('silent') }).run({
    signal: new AbortController().signal,
  });
const mails = () => office.db.query<Row>('select * from mails order by created_at, key');
const days = async () => (await mails()).map(({ key }) => String(key).split(':').slice(0, 2).join(':'));

let msp: Msp;
beforeAll(async () => {
  msp = await anMsp();
});

test('a day of which many payments failed is told of once, with how many, how much and why', async () => {
  await payments(msp, 6);
  await fail(noon);
  // Another try of the same payments: it is theirs that counts.
  await fail(new Date(noon.getTime() + hour), 'lost_card');
  await payments(msp, 14, succeeded);
  await office.db.query(
    `with one as (select id from payments where status = 'FAILED' order by id limit 1)
     update payments set status = 'SUCCEEDED', amount_received = 10000, succeeded_at = $1 where id = (select id from one)`,
    [new Date(noon.getTime() + 2 * hour)],
  );
  await Promise.all([look(), look()]);
  clock.time += 20 * hour;
  await look();
  expect(await days()).toEqual(['failures:2096-11-22']);
  await office.sendAll();
  const [mail] = office.smtp.arrived;
  expect(mail).toMatchObject({
    recipient: 'admin@msp.example',
    subject: '6 of 20 payments failed on November 22, 2096',
  });
  expect(mail!.text).toContain('1 of them have been paid since');
  expect(mail!.text).toContain('Not paid at first: $600.00');
  expect(mail!.text).toContain('Method gone: 6');
});

test.each([
  ['when they are few', 4, 0, noon],
  ['when they are few of all', 5, 21, noon],
  ['when they are of the day before', 6, 0, new Date('2096-11-21T12:59:59Z')],
  ['when the day is not over', 6, 0, new Date('2096-11-22T13:00:00Z')],
])('nothing is told %s', async (_, failed, others, at) => {
  await payments(msp, failed);
  await fail(at);
  await payments(msp, others, succeeded);
  await look();
  expect(await days()).toEqual([]);
});

test('as many as fifty are told of however many succeeded, and what arrives late still counts', async () => {
  await payments(msp, 49);
  await payments(msp, 200, succeeded);
  await fail(noon);
  await look();
  expect(await days()).toEqual([]);
  await office.db.query(`delete from payment_failures`);
  await payments(msp, 1);
  await fail(noon);
  clock.time += 10 * hour;
  await look();
  expect(await days()).toEqual(['failures:2096-11-22']);
});

test('who has switched it off is not told, and nobody is told of what failed for others', async () => {
  const other = await anMsp('admin@other.example');
  await payments(msp, 6);
  await fail(noon);
  await look();
  expect((await mails()).map(({ recipient }) => recipient)).toEqual(['admin@msp.example']);
  await office.db.query('delete from mails');
  await payments(other, 6);
  await fail(noon);
  await insertRow(office.db, 'mail_settings', { tenant_id: msp.tenantId, livemode: false });
  await office.db.query(`update mail_settings set muted = '{FAILURES}'`);
  await look();
  expect((await mails()).map(({ recipient }) => recipient)).toEqual(['admin@other.example']);
});
