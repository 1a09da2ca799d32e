import { balanceState } from '../../src/features/payouts/balance.js';
import { type Bank, bankOf, type Tenant } from '../ledger/support/bank.js';
import { startApp, type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';

let app: TestApp;
let bank: Bank;

beforeAll(async () => {
  app = await startApp();
  bank = bankOf(app);
});
afterAll(() => app.stop());

const day = 86_400;
const advance = (seconds: number) => app.sandbox.control('/advance', { seconds });

const payoutFields = `id stripePayoutId status automatic method arrivalDate failure { code } amount { amount formatted }
  payments { amount } refunds { amount } disputes { amount } fees { amount } adjustments { amount } total { amount }`;
const query = `{ payouts(first: 10) { nodes { ${payoutFields} } } }`;

interface Amount {
  readonly amount: number;
}
type Shown = Record<'payments' | 'refunds' | 'disputes' | 'fees' | 'adjustments' | 'total', Amount | null> & {
  readonly id: string;
  readonly stripePayoutId: string;
  readonly status: string;
  readonly automatic: boolean;
  readonly failure: { readonly code: string } | null;
  readonly amount: Amount;
};

async function payouts(tenant: Tenant): Promise<Shown[]> {
  return (await app.ask(query, {}, await app.token(tenant, 'viewer'))).payouts.nodes as Shown[];
}

/** The first payout of the tenant, once it is as wanted. */
function payoutOnce(tenant: Tenant, isSo: (payout: Shown) => boolean, what: string): Promise<Shown> {
  return until(async () => (await payouts(tenant)).find(isSo), what);
}

async function differencesOf(tenant: Tenant): Promise<unknown> {
  await app.db.query('update ledger_imports set wanted_at = now(), checked_at = null where tenant_id = $1', [
    tenant.id,
  ]);
  return until(async () => {
    const [row] = await app.db.query<{ differences: unknown[] }>(
      `select c.differences from ledger_imports i join ledger_checks c on c.tenant_id = i.tenant_id and c.checked_at = i.checked_at
       where i.tenant_id = $1 and i.wanted_at is null`,
      [tenant.id],
    );
    return row?.differences;
  }, 'the books are checked');
}

test('a deposit is explained to the cent: payments, refunds, disputes and fees add up to it', async () => {
  const tenant = await app.aConnectedTenant({ application_fee_percent: '2.50' });
  const token = await app.token(tenant, 'viewer');
  const first = await bank.paid(tenant, 10_000);
  const second = await bank.paid(tenant, 5_000);
  await bank.paid(tenant, 2_000, 'pm_card_createDispute');
  await bank.posted(tenant, 4);
  await bank.refund(tenant, second.chargeId, 3_000, true);
  await bank.posted(tenant, 5);
  await advance(3 * day);
  const explained = await payoutOnce(tenant, ({ total }) => total !== null, 'the payout is explained');
  const { payments, refunds, disputes, fees, adjustments, total, amount } = explained;
  expect(total).toEqual({ amount: amount.amount });
  expect({ payments, refunds, disputes, adjustments }).toEqual({
    payments: { amount: 17_000 },
    refunds: { amount: -3_000 },
    disputes: { amount: -2_000 },
    adjustments: { amount: 0 },
  });
  expect(fees!.amount).toBe(amount.amount - 12_000);
  expect(explained.automatic).toBe(true);

  const { payout } = await app.ask(
    `query ($id: UUID!) { payout(id: $id) { transactions(first: 10) { nodes {
      type net { amount } payment { id invoice { id } } payout { id } entries { account } } } } }`,
    { id: explained.id },
    token,
  );
  type Content = { net: Amount; payment: { id: string; invoice: { id: number } } | null; payout: { id: string } };
  const contents = payout.transactions.nodes as Content[];
  expect(contents.reduce((sum, { net }) => sum + net.amount, 0)).toBe(amount.amount);
  expect(contents.map(({ payment }) => payment?.invoice.id)).toContain(first.invoiceId);
  expect(new Set(contents.map((content) => content.payout.id))).toEqual(new Set([explained.id]));
  const { payment } = await app.ask(
    `query ($id: UUID!) { payment(id: $id) { payout { id amount { amount } total { amount } } } }`,
    { id: first.id },
    token,
  );
  expect(payment.payout).toEqual({ id: explained.id, amount: { amount: amount.amount }, total });
});

test('money that arrives moves from PAYOUTS to BANK, once', async () => {
  const tenant = await app.aConnectedTenant();
  await bank.paid(tenant, 10_000);
  await bank.posted(tenant, 1);
  await advance(4 * day);
  const { amount } = await payoutOnce(tenant, ({ status }) => status === 'PAID', 'the payout is paid');
  const balances = await until(async () => {
    const now = await bank.accounts(tenant);
    return now.BANK && now;
  }, 'the arrival is posted');
  expect(balances).toMatchObject({ BANK: amount.amount, PAYOUTS: 0, STRIPE_BALANCE: 0 });
  expect(await differencesOf(tenant)).toEqual([]);
  expect((await bank.accounts(tenant)).BANK).toBe(amount.amount);
});

test('a payout made by hand is shown, and says that Stripe does not explain it', async () => {
  const tenant = await app.aConnectedTenant();
  await app.sandbox.api('POST', `/v1/accounts/${tenant.accountId}`, {
    form: { 'settings[payouts][schedule][interval]': 'manual' },
  });
  await bank.paid(tenant, 10_000, 'pm_card_bypassPending');
  await bank.posted(tenant, 1);
  await app.sandbox.api('POST', '/v1/payouts', {
    account: tenant.accountId,
    form: { amount: '4000', currency: 'usd' },
  });
  const payout = await payoutOnce(tenant, () => true, 'the payout is known');
  expect(payout).toMatchObject({ automatic: false, amount: { amount: 4_000 }, payments: null, total: null });
  await advance(3 * day);
  await payoutOnce(tenant, ({ status }) => status === 'PAID', 'the payout is paid');
  await until(async () => (await bank.accounts(tenant)).BANK === 4_000, 'the arrival is posted');
});

test('a payout that the bank returns comes back, and is no deposit', async () => {
  const tenant = await app.aConnectedTenant();
  const form = {
    'external_account[object]': 'bank_account',
    'external_account[country]': 'US',
    'external_account[currency]': 'usd',
    'external_account[routing_number]': '110000000',
    'external_account[account_number]': '000111111116',
    default_for_currency: 'true',
  };
  const added = await app.sandbox.api<{ id: string }>('POST', `/v1/accounts/${tenant.accountId}/external_accounts`, {
    form,
  });
  await app.sandbox.api('POST', `/v1/accounts/${tenant.accountId}`, {
    form: { 'settings[payouts][schedule][interval]': 'manual' },
  });
  await bank.paid(tenant, 10_000, 'pm_card_bypassPending');
  await bank.posted(tenant, 1);
  await app.sandbox.api('POST', '/v1/payouts', {
    account: tenant.accountId,
    form: { amount: '4000', currency: 'usd', destination: added.id },
  });
  await advance(3 * day);
  const payout = await payoutOnce(tenant, ({ status }) => status === 'FAILED', 'the payout failed');
  expect(payout.failure).not.toBeNull();
  await bank.posted(tenant, 3);
  const balances = await bank.accounts(tenant);
  expect(balances.PAYOUTS).toBe(0);
  expect(balances.BANK).toBeUndefined();
  expect(balances.STRIPE_BALANCE).toBe(await bank.stripeBalance(tenant.accountId));
  expect(await differencesOf(tenant)).toEqual([]);
});

test('the balance is Stripe’s, with what the books say beside it', async () => {
  const tenant = await app.aConnectedTenant();
  const token = await app.token(tenant, 'viewer');
  const { chargeId } = await bank.paid(tenant, 10_000);
  await bank.posted(tenant, 1);
  const ask = async () =>
    (
      await app.ask(
        '{ balance { available { amount currency } pending { amount } ledger { amount } inTransit { amount } state } }',
        {},
        token,
      )
    ).balance;
  expect(await ask()).toEqual({
    available: [{ amount: 0, currency: 'usd' }],
    pending: [{ amount: 9_680 }],
    ledger: [{ amount: 9_680 }],
    inTransit: [],
    state: 'OK',
  });
  await bank.refund(tenant, chargeId, 10_000);
  await bank.posted(tenant, 2);
  expect(await ask()).toMatchObject({ pending: [{ amount: -320 }], ledger: [{ amount: -320 }], state: 'NEGATIVE' });
});

test('a tenant without an account has no balance yet', async () => {
  const tenant = await app.aConnectedTenant();
  await app.db.query('delete from stripe_config where tenant_id = $1', [tenant.id]);
  const { errors } = await app.graphql('{ balance { state } }', {}, await app.token(tenant));
  expect(errors?.[0]?.extensions.code).toBe('TENANT_NOT_READY');
});

test.each([
  ['OK', [{ amount: 500, currency: 'usd' }], new Map([['usd', 500]])],
  ['LOW', [{ amount: 499, currency: 'usd' }], new Map([['usd', 500]])],
  ['OK', [{ amount: 0, currency: 'usd' }], new Map<string, number>()],
  ['NEGATIVE', [{ amount: -1, currency: 'usd' }], new Map<string, number>()],
  [
    'NEGATIVE',
    [
      { amount: 900, currency: 'usd' },
      { amount: -1, currency: 'eur' },
    ],
    new Map<string, number>(),
  ],
])('a balance is %s with %j available, when refunds and disputes took %j in a week', (state, available, outflow) => {
  expect(balanceState({ available: available, pending: [] }, outflow)).toBe(state);
});
