import { entities } from '../../mikro-orm.config.js';
import { Database } from '../../src/db/database.js';
import { createOrm } from '../../src/db/orm.js';
import { booksOf } from '../../src/features/ledger/bookkeeping.js';
import { checkBooks, ledgerChecks } from '../../src/features/ledger/ledger-check.js';
import { payoutChecks } from '../../src/features/payouts/payout-books.js';
import { createLogger } from '../../src/shared/logger.js';
import { StripeService } from '../../src/stripe/stripe.service.js';
import { type AccountId } from '../../src/stripe/types.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { type Bank, bankOf, type Tenant } from './support/bank.js';

let app: TestApp;
let bank: Bank;
let orm: ReturnType<typeof createOrm>;
let stripe: StripeService;
let tenant: Tenant;
let paymentId: string;

beforeAll(async () => {
  app = await startApp();
  bank = bankOf(app);
  orm = createOrm({ url: app.db.url, entities });
  const { secretKey, publishableKey, url } = app.sandbox;
  const logger = createLogger('silent');
  stripe = new StripeService({ secretKey, publishableKey, livemode: false, apiBase: url, logger });
  tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  const payment = await bank.paid(tenant, 10_000);
  paymentId = payment.id;
  await bank.paid(tenant, 4_000);
  await bank.posted(tenant, 2);
  await bank.refund(tenant, payment.chargeId, 1_000);
  await bank.posted(tenant, 3);
  await app.sandbox.control('/advance', { seconds: 4 * 86_400 });
  await until(async () => (await bank.accounts(tenant)).BANK, 'the money arrived');
  await until(async () => {
    const [row] = await app.db.query('select net, amount_refunded::int from payments where id = $1', [paymentId]);
    return row!.net !== null && row!.amount_refunded === 1_000;
  }, 'the payment is up to date');
});
afterAll(async () => {
  stripe.close();
  await orm.close(true);
  await app.stop();
});

async function found(): Promise<{ what: string; expected: number; found: number }[]> {
  const account = stripe.forAccount(tenant.accountId as AccountId);
  const books = booksOf(new Database(orm, false).tenant(tenant.id), account, tenant.accountId as AccountId);
  const { differences } = await checkBooks(books, [...ledgerChecks, ...payoutChecks], { settleSeconds: 0 });
  return differences.map(({ what, expected, found: is }) => ({ what, expected, found: is }));
}

/** Does something to the books that the database refuses, and undoes it. */
async function seeded(sql: string, undo: string): Promise<string[]> {
  await app.db.query(`set session_replication_role = replica; ${sql}; reset session_replication_role`);
  try {
    return [...new Set((await found()).map(({ what }) => what))];
  } finally {
    await app.db.query(`set session_replication_role = replica; ${undo}; reset session_replication_role`);
  }
}

test('books that nobody touched agree with themselves, with the payments and with Stripe', async () => {
  expect(await found()).toEqual([]);
});

test('the last comparison is shown to the tenant', async () => {
  await app.db.query('update ledger_imports set wanted_at = now(), checked_at = null where tenant_id = $1', [
    tenant.id,
  ]);
  const token = await app.token(tenant, 'viewer');
  const before = await app.db.query('select now()');
  const check = await until(async () => {
    const { ledgerCheck } = await app.ask(
      '{ ledgerCheck { checkedAt transactions differences { what subject currency expected found } } }',
      {},
      token,
    );
    return ledgerCheck && new Date(ledgerCheck.checkedAt as string) > (before[0]!.now as Date) && ledgerCheck;
  }, 'the books are checked');
  const [row] = await app.db.query('select count(*)::int as n from ledger_transactions where tenant_id = $1', [
    tenant.id,
  ]);
  expect(check).toMatchObject({ transactions: row!.n, differences: [] });
});

test('a cent too much on one line is found', async () => {
  const change = (by: string) =>
    `update ledger_postings set amount = amount ${by} where tenant_id = '${tenant.id}' and account = 'STRIPE_FEES' and number < 10`;
  const what = await seeded(change('+ 1'), change('- 1'));
  expect(what).toEqual(expect.arrayContaining(['ZERO_SUM', 'RUNNING_BALANCE']));
});

test('a cent moved between two lines of one transaction is found, although it still sums to zero', async () => {
  const change = (a: number, b: number) => `
    update ledger_postings set amount = amount + ${a} where tenant_id = '${tenant.id}' and account = 'STRIPE_FEES' and number <= 4;
    update ledger_postings set amount = amount + ${b} where tenant_id = '${tenant.id}' and account = 'STRIPE_BALANCE' and number <= 4`;
  expect(await seeded(change(1, -1), change(-1, 1))).toEqual(
    expect.arrayContaining(['POSTINGS', 'RUNNING_BALANCE', 'STRIPE_BALANCE']),
  );
});

test('a cent moved between Stripe’s fee and the platform’s is found', async () => {
  const change = (a: number, b: number) => `
    update ledger_postings set amount = amount + ${a} where tenant_id = '${tenant.id}' and account = 'STRIPE_FEES' and number <= 4;
    update ledger_postings set amount = amount + ${b} where tenant_id = '${tenant.id}' and account = 'APPLICATION_FEES' and number <= 4`;
  expect(await seeded(change(1, -1), change(-1, 1))).toEqual(expect.arrayContaining(['POSTINGS', 'RUNNING_BALANCE']));
});

test('a payment that shows another fee than was booked is found', async () => {
  const change = (by: string) =>
    `update payments set stripe_fee = stripe_fee ${by}, net = net ${by === '+ 1' ? '- 1' : '+ 1'} where id = '${paymentId}'`;
  expect(await seeded(change('+ 1'), change('- 1'))).toEqual(['PAYMENT_STRIPE_FEE', 'PAYMENT_NET']);
});

test('a payment that shows another refund than was booked is found', async () => {
  const change = (by: string) =>
    `update payments set amount_refunded = amount_refunded ${by} where id = '${paymentId}'`;
  expect(await seeded(change('+ 1'), change('- 1'))).toEqual(['REFUNDED']);
});

test('a payout whose deposit is a cent more than what it contains is found', async () => {
  const change = (by: string) => `update payouts set amount = amount ${by} where tenant_id = '${tenant.id}'`;
  expect(await seeded(change('+ 1'), change('- 1'))).toEqual(['BANK', 'PAYOUT_TOTAL']);
});

test('a transaction that is missing is posted again, from Stripe and from the payouts', async () => {
  const [before] = await app.db.query('select count(*)::int as n from ledger_postings where tenant_id = $1', [
    tenant.id,
  ]);
  // The latest ones: a number in the middle would stay missing.
  await app.db.query(`set session_replication_role = replica;
    delete from payout_transactions where tenant_id = '${tenant.id}';
    update payouts set explained_at = null where tenant_id = '${tenant.id}';
    delete from ledger_postings where tenant_id = '${tenant.id}' and number > 4;
    delete from ledger_transactions where tenant_id = '${tenant.id}' and number > 1; reset session_replication_role`);
  await app.db.query('update ledger_imports set wanted_at = now() where tenant_id = $1', [tenant.id]);
  await until(async () => (await bank.accounts(tenant)).BANK, 'the arrival is posted again');
  const [after] = await app.db.query('select count(*)::int as n from ledger_postings where tenant_id = $1', [
    tenant.id,
  ]);
  expect(after).toEqual(before);
  await until(async () => (await found()).length === 0, 'nothing differs');
});
