import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';
import { type Bank, bankOf } from './support/bank.js';

let app: TestApp;
let bank: Bank;

beforeAll(async () => {
  app = await startApp();
  bank = bankOf(app);
});
afterAll(() => app.stop());

test('a payment of 100.00 is posted as Stripe booked it: 94.30, 3.20 and 2.50', async () => {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  await bank.paid(tenant, 10_000);
  await bank.posted(tenant, 1);
  expect(await bank.accounts(tenant)).toEqual({
    CUSTOMER_RECEIVABLE: -10_000,
    STRIPE_BALANCE: 9_430,
    STRIPE_FEES: 320,
    APPLICATION_FEES: 250,
  });
});

test('refunds, disputes and returned fees are posted, and the books say what Stripe says', async () => {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  await bank.paid(tenant, 10_000);
  const second = await bank.paid(tenant, 5_000);
  await bank.paid(tenant, 2_000, 'pm_card_createDispute');
  await bank.posted(tenant, 4);
  await bank.refund(tenant, second.chargeId, 3_000, true);
  await bank.posted(tenant, 5);
  const balances = await bank.accounts(tenant);
  expect(balances.STRIPE_BALANCE).toBe(await bank.stripeBalance(tenant.accountId));
  expect(balances).toMatchObject({ CUSTOMER_RECEIVABLE: -17_000, REFUNDS: 3_000, DISPUTES: 2_000 });
  // 2.50 % of 170.00, less that of 30.00
  expect(balances.APPLICATION_FEES).toBe(425 - 75);
  expect(Object.values(balances).reduce((a, b) => a + b)).toBe(0);
  expect(balances.SUSPENSE).toBeUndefined();
});

test('a refund that fails comes back', async () => {
  const tenant = await app.aConnectedTenant();
  const { chargeId } = await bank.paid(tenant, 1_000, 'pm_card_refundFail');
  await bank.posted(tenant, 1);
  await bank.refund(tenant, chargeId, 400);
  await bank.posted(tenant, 2);
  await app.sandbox.control('/advance', { seconds: 90_000 });
  await bank.posted(tenant, 3);
  const balances = await bank.accounts(tenant);
  expect(balances.REFUNDS).toBe(0);
  expect(balances.STRIPE_BALANCE).toBe(await bank.stripeBalance(tenant.accountId));
});

test('the platform’s own balance has books of its own', async () => {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '10' });
  await bank.paid(tenant, 1_000);
  await bank.posted(tenant, 1);
  await until(async () => {
    const [row] = await app.db.query<{ total: string }>(
      `select coalesce(sum(amount), 0) as total from platform_ledger_postings where account = 'STRIPE_BALANCE'`,
    );
    return Number(row!.total) > 0 && Number(row!.total) === (await bank.stripeBalance());
  }, 'the platform’s books say what Stripe says');
});

const ledger = `query ($first: Int, $after: String, $filter: LedgerFilter) {
  ledger(first: $first, after: $after, filter: $filter) {
    nodes { number account amount { amount currency formatted } balance { amount }
      transaction { type stripeBalanceTransactionId net { amount } payment { id invoice { number } } entries { account amount { amount } } } }
    pageInfo { hasNextPage endCursor }
  }
}`;

test('the ledger is read with running balances, by account, by payment and page by page', async () => {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  const token = await app.token(tenant, 'viewer');
  const first = await bank.paid(tenant, 10_000);
  const second = await bank.paid(tenant, 5_000);
  await bank.posted(tenant, 2);
  const { ledger: all } = await app.ask(ledger, { first: 100 }, token);
  expect(all.nodes).toHaveLength(8);
  expect(all.nodes.map(({ number }: { number: number }) => number)).toEqual([8, 7, 6, 5, 4, 3, 2, 1]);
  const filter = { account: 'STRIPE_BALANCE', currency: 'usd' };
  const { ledger: page } = await app.ask(ledger, { first: 1, filter }, token);
  expect(page.pageInfo.hasNextPage).toBe(true);
  const { ledger: rest } = await app.ask(ledger, { first: 1, filter, after: page.pageInfo.endCursor }, token);
  expect(rest.pageInfo.hasNextPage).toBe(false);
  expect(page.nodes[0].balance.amount - page.nodes[0].amount.amount).toBe(rest.nodes[0].balance.amount);
  expect(page.nodes[0].balance.amount).toBe(await bank.stripeBalance(tenant.accountId));

  const { ledger: ofFirst } = await app.ask(ledger, { filter: { paymentId: first.id } }, token);
  expect(ofFirst.nodes).toHaveLength(4);
  expect(ofFirst.nodes[0].transaction).toMatchObject({ type: 'charge', payment: { id: first.id } });
  expect(ofFirst.nodes[0].transaction.entries).toHaveLength(4);
  const { ledger: later } = await app.ask(ledger, { filter: { from: '2100-01-01T00:00:00Z' } }, token);
  expect(later.nodes).toEqual([]);
  expect(second.id).not.toBe(first.id);
});

test('every number of a payment can be derived from the books', async () => {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  const token = await app.token(tenant, 'viewer');
  const payments = [await bank.paid(tenant, 10_000), await bank.paid(tenant, 777), await bank.paid(tenant, 5_000)];
  await bank.posted(tenant, 3);
  await bank.refund(tenant, payments[2]!.chargeId, 1_234);
  await bank.posted(tenant, 4);
  for (const { id } of payments) {
    const shown = await until(async () => {
      const { payment } = await app.ask(
        `query ($id: UUID!) { payment(id: $id) {
          amount { amount } stripeFee { amount } applicationFee { amount } net { amount } refunded { amount } } }`,
        { id },
        token,
      );
      return payment.net && (id !== payments[2]!.id || payment.refunded.amount > 0) && payment;
    }, 'the payment is booked');
    const { ledger: lines } = await app.ask(ledger, { first: 100, filter: { paymentId: id } }, token);
    type Line = { account: string; amount: { amount: number }; transaction: { type: string } };
    const sum = (account: string, type: string) =>
      (lines.nodes as Line[])
        .filter((line) => line.account === account && line.transaction.type === type)
        .reduce((total, line) => total + line.amount.amount, 0);
    expect(shown).toEqual({
      amount: { amount: -sum('CUSTOMER_RECEIVABLE', 'charge') },
      stripeFee: { amount: sum('STRIPE_FEES', 'charge') },
      applicationFee: { amount: sum('APPLICATION_FEES', 'charge') },
      net: { amount: sum('STRIPE_BALANCE', 'charge') },
      refunded: { amount: sum('REFUNDS', 'refund') },
    });
  }
});

test('bookings whose events never arrived are posted all the same, and none twice', async () => {
  const tenant = await app.aConnectedTenant();
  await bank.paid(tenant, 1_000);
  await bank.posted(tenant, 1);
  await app.sandbox.control('/deliveries/faults', { drop: 1 });
  await bank.paid(tenant, 2_000);
  await app.sandbox.control('/deliveries/faults', undefined, 'DELETE');
  await app.db.query('update ledger_imports set wanted_at = now() where tenant_id = $1', [tenant.id]);
  await until(async () => {
    await app.db.query('update ledger_imports set wanted_at = now() where tenant_id = $1', [tenant.id]);
    return (await bank.accounts(tenant)).CUSTOMER_RECEIVABLE === -3_000;
  }, 'the second is posted');
  expect((await bank.accounts(tenant)).STRIPE_BALANCE).toBe(await bank.stripeBalance(tenant.accountId));
});

test('several processes keep the same books, and nothing is posted twice', async () => {
  const tenant = await app.aConnectedTenant();
  const others = await Promise.all([1, 2].map(() => startApp({ beside: app, env: { PROCESS_ROLE: 'worker' } })));
  await Promise.all([1, 2, 3, 4, 5, 6].map((n) => bank.paid(tenant, n * 1_000)));
  const wanted = setInterval(() => {
    void app.db.query('update ledger_imports set wanted_at = now(), lease_until = null where tenant_id = $1', [
      tenant.id,
    ]);
  }, 20);
  await bank.posted(tenant, 6);
  clearInterval(wanted);
  await Promise.all(others.map((other) => other.stop()));
  const [row] = await app.db.query(
    `select count(*)::int as n, count(distinct stripe_balance_transaction_id)::int as distinct, max(number)::int as last
     from ledger_transactions where tenant_id = $1`,
    [tenant.id],
  );
  expect(row).toEqual({ n: 6, distinct: 6, last: 6 });
  expect((await bank.accounts(tenant)).STRIPE_BALANCE).toBe(await bank.stripeBalance(tenant.accountId));
});

test('an import that Stripe does not answer is made again', async () => {
  const tenant = await app.aConnectedTenant();
  await app.sandbox.control('/faults', {
    kind: '500_before',
    path: '/v1/balance_transactions',
    account: tenant.accountId,
    times: 3,
  });
  await bank.paid(tenant, 1_000);
  // It is made again after a while; here at once.
  await until(async () => {
    const again = `update ledger_imports set next_attempt_at = now() where tenant_id = $1 and last_error is not null returning 1`;
    return (await app.db.query(again, [tenant.id])).length === 1;
  }, 'the import has failed');
  await bank.posted(tenant, 1);
  await until(async () => {
    const [row] = await app.db.query(
      'select attempts, last_error, wanted_at from ledger_imports where tenant_id = $1',
      [tenant.id],
    );
    return row!.attempts === 0 && row!.last_error === null && row!.wanted_at === null;
  }, 'the import has come to an end');
});
