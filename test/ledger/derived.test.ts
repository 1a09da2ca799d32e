import { bankOf, type Bank } from './support/bank.js';
import { startApp, type TestApp } from '../support/harness.js';
import { aToken } from '../support/tokens.js';
import { until } from '../support/until.js';

// Every number about money that the API shows, against nothing but the lines of the books.

let app: TestApp;
let bank: Bank;

beforeAll(async () => {
  app = await startApp();
  bank = bankOf(app);
});
afterAll(() => app.stop());

const day = 86_400;
const money = '{ amount }';
const range = () => {
  const at = (days: number) => new Date(Date.now() + days * day * 1_000).toISOString();
  return `from: "${at(-2)}", to: "${at(30)}"`;
};
const everything = () => `{
  payments(first: 50) { nodes { id amount ${money} stripeFee ${money} applicationFee ${money} net ${money} refunded ${money}
    invoice { id amountPaid ${money} } } }
  payouts(first: 10) { nodes { stripePayoutId amount ${money} payments ${money} refunds ${money} disputes ${money} fees ${money} adjustments ${money}
    total ${money} status } }
  balance { ledger { amount currency } inTransit { amount currency } available ${money} pending ${money} }
  revenue(${range()}, interval: DAY) { gross ${money} refunds ${money} disputes ${money} stripeFees ${money} applicationFees ${money} net ${money} payments }
  ledger(first: 100) { nodes { account amount ${money} balance ${money} number } }
}`;

interface Amount {
  readonly amount: number;
}
type Amounts<Names extends string> = Readonly<Record<Names, Amount | null>>;
type ShownPayment = Amounts<'amount' | 'stripeFee' | 'applicationFee' | 'net' | 'refunded'> & {
  readonly id: string;
  readonly invoice: { readonly id: number; readonly amountPaid: Amount } | null;
};
const parts = ['payments', 'refunds', 'disputes', 'fees', 'adjustments', 'total'] as const;
type ShownPayout = Amounts<(typeof parts)[number]> & { readonly stripePayoutId: string; readonly amount: Amount; readonly status: string }; // prettier-ignore
const figures = ['gross', 'refunds', 'disputes', 'stripeFees', 'applicationFees', 'net'] as const;

/** A line of the books with what its transaction says it is about. */
interface Line {
  readonly account: string;
  readonly amount: number;
  readonly category: string;
  readonly chargeId: string | null;
  readonly payoutId: string | null;
  readonly transaction: string;
}

async function linesOf(tenantId: string): Promise<Line[]> {
  const rows = await app.db.query<Line & { amount: string }>(
    `select p.account, p.amount, t.category, t.stripe_charge_id as "chargeId", t.id as transaction,
       coalesce(t.stripe_payout_id, (select o.stripe_payout_id from payout_transactions x join payouts o on o.tenant_id = x.tenant_id and o.id = x.payout_id
         where x.tenant_id = t.tenant_id and x.transaction_id = t.id)) as "payoutId"
     from ledger_postings p join ledger_transactions t on t.tenant_id = p.tenant_id and t.id = p.transaction_id where p.tenant_id = $1`,
    [tenantId],
  );
  return rows.map((row) => ({ ...row, amount: Number(row.amount) }));
}

/** @param isMeant which lines; by default all */
const sumOf = (lines: readonly Line[], account: string, isMeant: (line: Line) => boolean = () => true) =>
  lines.filter((line) => line.account === account && isMeant(line)).reduce((sum, { amount }) => sum + amount, 0);

/** The same on the other side; never a zero below zero. */
const creditOf: typeof sumOf = (...about) => 0 - sumOf(...about);

test('payments, invoices, payouts, balance, revenue and totals are sums of lines of the books', async () => {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  const token = await app.token(tenant, 'viewer');
  const paid = [await bank.paid(tenant, 10_000), await bank.paid(tenant, 5_000), await bank.paid(tenant, 777)];
  await bank.paid(tenant, 2_000, 'pm_card_createDispute');
  await bank.posted(tenant, 5);
  await bank.refund(tenant, paid[1]!.chargeId, 3_000, true);
  await bank.refund(tenant, paid[2]!.chargeId, 777);
  await bank.posted(tenant, 7);
  await app.sandbox.control('/advance', { seconds: 4 * day });
  const shown = await until(async () => {
    // First what comes last: an answer from before it arrived would still have it in transit.
    const { BANK: atBank } = await bank.accounts(tenant);
    const answer = await app.ask(everything(), {}, token);
    const payments = answer.payments.nodes as ShownPayment[];
    const isBooked =
      payments.every(({ net }) => net) && payments.filter(({ refunded }) => refunded!.amount).length === 2;
    const [payout] = answer.payouts.nodes as ShownPayout[];
    const arrived = payout?.total && payout.status === 'PAID' && atBank;
    return isBooked && arrived ? answer : null;
  }, 'everything is booked, explained and has arrived');
  const lines = await linesOf(tenant.id);
  const charges = new Map(
    (await app.db.query<{ id: string; charge: string }>('select id, stripe_charge_id as charge from payments where tenant_id = $1', [tenant.id])).map(({ id, charge }) => [id, charge]), // prettier-ignore
  );

  for (const { id, invoice, ...payment } of shown.payments.nodes as ShownPayment[]) {
    const isCharge = ({ chargeId, category }: Line) => chargeId === charges.get(id) && category === 'charge';
    const isOurs = ({ chargeId }: Line) => chargeId === charges.get(id);
    expect([id, payment]).toEqual([
      id,
      {
        amount: { amount: creditOf(lines, 'CUSTOMER_RECEIVABLE', isCharge) },
        stripeFee: { amount: sumOf(lines, 'STRIPE_FEES', isCharge) },
        applicationFee: { amount: sumOf(lines, 'APPLICATION_FEES', isCharge) },
        net: { amount: sumOf(lines, 'STRIPE_BALANCE', isCharge) },
        refunded: { amount: sumOf(lines, 'REFUNDS', isOurs) },
      },
    ]);
    // What an invoice was paid: what its payments brought, whatever was given back since.
    expect([id, invoice?.amountPaid.amount]).toEqual([id, creditOf(lines, 'CUSTOMER_RECEIVABLE', isOurs)]);
  }

  for (const payout of shown.payouts.nodes as ShownPayout[]) {
    const isIn = ({ payoutId, category }: Line) => payoutId === payout.stripePayoutId && !category.startsWith('payout');
    const expected = {
      payments: creditOf(lines, 'CUSTOMER_RECEIVABLE', isIn),
      refunds: creditOf(lines, 'REFUNDS', isIn),
      disputes: creditOf(lines, 'DISPUTES', isIn),
      fees: creditOf(lines, 'STRIPE_FEES', isIn) + creditOf(lines, 'APPLICATION_FEES', isIn),
      adjustments: creditOf(lines, 'SUSPENSE', isIn),
      total: sumOf(lines, 'STRIPE_BALANCE', isIn),
    };
    expect(Object.fromEntries(parts.map((part) => [part, payout[part]?.amount]))).toEqual(expected);
    expect(payout.amount.amount).toBe(expected.total);
    // And that is what arrived at the bank.
    expect(sumOf(lines, 'BANK')).toBe(payout.amount.amount);
  }

  const { ledger: books, inTransit, available, pending } = shown.balance as Record<string, Amount[]>;
  const total = (amounts: readonly Amount[]) => amounts.reduce((sum, { amount }) => sum + amount, 0);
  expect(total(books!)).toBe(sumOf(lines, 'STRIPE_BALANCE'));
  expect(total(inTransit!)).toBe(sumOf(lines, 'PAYOUTS'));
  expect(total(available!) + total(pending!)).toBe(sumOf(lines, 'STRIPE_BALANCE'));

  const days = shown.revenue as Amounts<(typeof figures)[number]>[];
  expect(Object.fromEntries(figures.map((name) => [name, total(days.map((one) => one[name]!))]))).toEqual({
    gross: creditOf(lines, 'CUSTOMER_RECEIVABLE'),
    refunds: sumOf(lines, 'REFUNDS'),
    disputes: sumOf(lines, 'DISPUTES'),
    stripeFees: sumOf(lines, 'STRIPE_FEES'),
    applicationFees: sumOf(lines, 'APPLICATION_FEES'),
    net: sumOf(lines, 'STRIPE_BALANCE') + sumOf(lines, 'PAYOUTS') + sumOf(lines, 'BANK'),
  });

  const running = new Map<string, number>();
  type Entry = { account: string; amount: Amount; balance: Amount; number: number };
  for (const entry of (shown.ledger.nodes as Entry[]).toSorted((a, b) => a.number - b.number)) {
    running.set(entry.account, (running.get(entry.account) ?? 0) + entry.amount.amount);
    expect([entry.number, entry.balance.amount]).toEqual([entry.number, running.get(entry.account)]);
  }

  // The platform has nothing but what its tenants' books say it took.
  const platform = await aToken({ role: 'platform_admin' });
  const query = `{ platform { totals { currency gross ${money} refunded ${money} stripeFees ${money} applicationFees ${money} net ${money} }
    applicationFees(${range()}) { tenantId gross ${money} applicationFees ${money} }
    revenue(${range()}, interval: MONTH) { gross ${money} applicationFees ${money} }
    ledgerBalances { account balance { amount currency } }
    ledger(first: 100) { nodes { account amount { amount } transaction { stripeBalanceTransactionId category net { amount } } } } } }`;
  const own = await until(async () => {
    const answer = (await app.ask(query, {}, platform)).platform;
    const earned = (answer.ledgerBalances as { account: string; balance: Amount }[]).find(({ account }) => account === 'APPLICATION_FEES'); // prettier-ignore
    return earned?.balance.amount === creditOf(lines, 'APPLICATION_FEES') && answer;
  }, "the platform's books have what the tenant's say");
  const isCharge = ({ category }: Line) => category === 'charge';
  expect(own.totals).toEqual([
    {
      currency: 'usd',
      gross: { amount: creditOf(lines, 'CUSTOMER_RECEIVABLE', isCharge) },
      refunded: { amount: sumOf(lines, 'REFUNDS') },
      stripeFees: { amount: sumOf(lines, 'STRIPE_FEES', isCharge) },
      applicationFees: { amount: sumOf(lines, 'APPLICATION_FEES', isCharge) },
      net: { amount: sumOf(lines, 'STRIPE_BALANCE', isCharge) },
    },
  ]);
  const [gross, fees] = [creditOf(lines, 'CUSTOMER_RECEIVABLE'), sumOf(lines, 'APPLICATION_FEES')];
  expect(own.applicationFees).toEqual([{ tenantId: tenant.id, gross: { amount: gross }, applicationFees: { amount: fees } }]); // prettier-ignore
  const months = own.revenue as { gross: Amount; applicationFees: Amount }[];
  expect([total(months.map((one) => one.gross)), total(months.map((one) => one.applicationFees))]).toEqual([
    gross,
    fees,
  ]);
  type PlatformLine = { account: string; amount: Amount; transaction: { category: string; net: Amount } };
  const platformLines = own.ledger.nodes as PlatformLine[];
  expect(total(platformLines.map(({ amount }) => amount))).toBe(0);
  expect(total(platformLines.filter(({ account }) => account === 'APPLICATION_FEES').map(({ amount }) => amount))).toBe(-fees); // prettier-ignore
  const earnedOnly = `{ platform { ledger(first: 1, filter: { account: APPLICATION_FEES, currency: "usd" }) { nodes { account } pageInfo { hasNextPage } } } }`;
  expect((await app.ask(earnedOnly, {}, platform)).platform.ledger).toEqual({
    nodes: [{ account: 'APPLICATION_FEES' }],
    pageInfo: { hasNextPage: true },
  });
});

test("nobody but the platform's own people reads its books, and they read those of their own mode", async () => {
  await app.db.query(
    `with t as (insert into platform_ledger_transactions (livemode, cause, type, category, currency, amount, stripe_fee, application_fee, net, booked_at)
       values (true, 'txn_live', 'x', 'platform_earning', 'usd', 5, 0, 0, 5, now()) returning id)
     insert into platform_ledger_postings (livemode, transaction_id, account, currency, amount)
     select true, id, account, 'usd', amount from t, (values ('STRIPE_BALANCE', 5), ('APPLICATION_FEES', -5)) lines (account, amount)`,
  );
  const platform = await aToken({ role: 'platform_admin' });
  const query = '{ platform { ledger(first: 100) { nodes { transaction { stripeBalanceTransactionId } } } } }';
  expect(JSON.stringify(await app.ask(query, {}, platform))).not.toContain('txn_live');
  const tenant = await app.aConnectedTenant();
  const { errors } = await app.graphql(query, {}, await app.token(tenant, 'admin'));
  expect(errors?.[0]?.extensions.code).toBe('FORBIDDEN');
});
