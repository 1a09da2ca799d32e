import { newUuid } from '../../src/shared/uuid.js';
import {
  aContract,
  aCustomer,
  aTenant,
  anInvoice,
  insertRow,
  type PsaRow,
  type TenantRow,
} from '../support/factories.js';
import { startApp, type TestApp } from '../support/harness.js';

let app: TestApp;
let tenant: TenantRow;
let customer: PsaRow;
let token: string;

beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.stop());
beforeEach(async () => {
  tenant = await aTenant(app.db);
  customer = await aCustomer(app.db, { tenantId: tenant.id, name: 'Orchard' });
  token = await app.token(tenant, 'viewer');
});

const ours = () => ({ tenantId: tenant.id, customerId: customer.id });
const ask = (query: string, variables: object = {}) => app.ask(query, variables, token);

async function aSubscription(row: object = {}): Promise<string> {
  const { id } = await insertRow(app.db, 'stripe_subscriptions', {
    tenant_id: tenant.id,
    livemode: false,
    customer_id: customer.id,
    stripe_account_id: 'acct_1',
    stripe_subscription_id: `sub_${newUuid().replaceAll('-', '')}`,
    status: 'ACTIVE',
    unit_amount: 5_000,
    currency: 'usd',
    billing_interval: 'MONTH',
    ...row,
  });
  return id as string;
}

test.each([
  ['OPEN', 2_500, 7_500],
  ['PAID', 10_000, 0],
  ['VOID', 0, 0],
  ['UNCOLLECTIBLE', 2_500, 0],
  ['DRAFT', 0, 0],
])('of an invoice that is %s with %d paid, %d is due', async (status, paid, due) => {
  const { id } = await anInvoice(app.db, { ...ours(), status, amount_paid: paid });
  const query = `query ($id: Int!) { invoice(id: $id) { status total { amount formatted } amountPaid { amount } amountDue { amount currency } customer { name } subscription { id } } }`;
  expect((await ask(query, { id })).invoice).toEqual({
    status,
    total: { amount: 10_000, formatted: 'USD 100.00' },
    amountPaid: { amount: paid },
    amountDue: { amount: due, currency: 'usd' },
    customer: { name: 'Orchard' },
    subscription: null,
  });
});

test('invoices are listed newest first, and by how far they are paid, whose they are and when they are due', async () => {
  const stranger = await aCustomer(app.db, { tenantId: tenant.id });
  const at = (day: number) => new Date(Date.UTC(2026, 0, day)).toISOString();
  const make = (day: number, row: object) =>
    anInvoice(app.db, { ...ours(), created_at: at(day), due_at: at(day + 10), ...row });
  const first = await make(1, { payment_status: 'FAILED' });
  const second = await make(2, { payment_status: 'PAID', status: 'PAID', amount_paid: 10_000 });
  const third = await make(3, { customerId: stranger.id });
  const numbers = async (filter: object | null) =>
    (
      await ask(`query ($filter: InvoiceFilter) { invoices(filter: $filter) { nodes { number } } }`, { filter })
    ).invoices.nodes.map(({ number }: { number: string }) => number);
  expect(await numbers(null)).toEqual([third.number, second.number, first.number]);
  expect(await numbers({ paymentStatus: ['FAILED', 'PAID'] })).toEqual([second.number, first.number]);
  expect(await numbers({ paymentStatus: [] })).toEqual([]);
  expect(await numbers({ customerId: stranger.id })).toEqual([third.number]);
  expect(await numbers({ dueBefore: at(12) })).toEqual([first.number]);
  expect(await numbers({ dueBefore: at(30), customerId: customer.id, paymentStatus: ['PAID'] })).toEqual([
    second.number,
  ]);
});

test('a list is paged forwards and backwards, and says where it ends', async () => {
  for (let n = 0; n < 5; n += 1) await anInvoice(app.db, ours());
  const query = `query ($first: Int, $after: String, $last: Int, $before: String) {
    invoices(first: $first, after: $after, last: $last, before: $before) { edges { cursor node { id } } pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } }`;
  const page = async (args: object) => (await ask(query, args)).invoices;
  const all = (await page({})).edges.map(({ node }: { node: { id: number } }) => node.id);
  const idsOf = ({ edges }: { edges: { node: { id: number } }[] }) => edges.map(({ node }) => node.id);
  const one = await page({ first: 2 });
  const two = await page({ first: 2, after: one.pageInfo.endCursor });
  const three = await page({ first: 2, after: two.pageInfo.endCursor });
  expect([...idsOf(one), ...idsOf(two), ...idsOf(three)]).toEqual(all);
  expect([one, two, three].map(({ pageInfo }) => pageInfo.hasNextPage)).toEqual([true, true, false]);
  const back = await page({ last: 2, before: three.pageInfo.startCursor });
  expect(idsOf(back)).toEqual(idsOf(two));
  expect(back.pageInfo.hasPreviousPage).toBe(true);
});

test('a contract shows its live subscription, else the one that ended last', async () => {
  const { id } = await aContract(app.db, { ...ours(), quantity: 3, billing_interval: 'QUARTER' });
  const ended = (day: number) => ({
    contract_id: id,
    status: 'CANCELED',
    ended_at: new Date(Date.UTC(2026, 1, day)).toISOString(),
    created_at: new Date(Date.UTC(2026, 0, day)).toISOString(),
  });
  const query = `query ($id: Int!) { contract(id: $id) { name status quantity interval unitAmount { amount } customer { id } subscription { id status contract { id } } } }`;
  const subscription = async () => (await ask(query, { id })).contract.subscription;
  expect((await ask(query, { id })).contract).toMatchObject({
    status: 'ACTIVE',
    quantity: 3,
    interval: 'QUARTER',
    unitAmount: { amount: 5_000 },
    customer: { id: customer.id },
    subscription: null,
  });
  await aSubscription(ended(1));
  const later = await aSubscription(ended(2));
  expect(await subscription()).toEqual({ id: later, status: 'CANCELED', contract: { id } });
  const live = await aSubscription({ contract_id: id });
  expect(await subscription()).toMatchObject({ id: live, status: 'ACTIVE' });
});

test('contracts and subscriptions are listed by state, customer and contract', async () => {
  const stranger = await aCustomer(app.db, { tenantId: tenant.id });
  const [one, two] = [
    await aContract(app.db, ours()),
    await aContract(app.db, { tenantId: tenant.id, customerId: stranger.id, status: 'PAUSED' }),
  ];
  const ids = async (type: string, list: string, filter: object) =>
    (await ask(`query ($filter: ${type}) { ${list}(filter: $filter) { nodes { id } } }`, { filter }))[list].nodes.map(
      ({ id }: { id: unknown }) => id,
    );
  expect(await ids('ContractFilter', 'contracts', {})).toEqual([two.id, one.id]);
  expect(await ids('ContractFilter', 'contracts', { status: ['PAUSED', 'ENDED'] })).toEqual([two.id]);
  expect(await ids('ContractFilter', 'contracts', { customerId: customer.id })).toEqual([one.id]);

  const active = await aSubscription({ contract_id: one.id });
  const pastDue = await aSubscription({ contract_id: two.id, customer_id: stranger.id, status: 'PAST_DUE' });
  expect(await ids('SubscriptionFilter', 'subscriptions', {})).toEqual([pastDue, active]);
  expect(await ids('SubscriptionFilter', 'subscriptions', { status: ['ACTIVE'] })).toEqual([active]);
  expect(await ids('SubscriptionFilter', 'subscriptions', { customerId: stranger.id })).toEqual([pastDue]);
  expect(await ids('SubscriptionFilter', 'subscriptions', { contractId: one.id })).toEqual([active]);
});

test('what a subscription bills is shown with it', async () => {
  const contract = await aContract(app.db, ours());
  const id = await aSubscription({
    contract_id: contract.id,
    quantity: 4,
    current_period_start: '2026-01-01T00:00:00Z',
    current_period_end: '2026-02-01T00:00:00Z',
    next_charge_at: '2026-02-01T00:00:00Z',
  });
  const invoice = await anInvoice(app.db, { ...ours(), subscription_id: id });
  const query = `query ($id: UUID!, $invoice: Int!) {
    subscription(id: $id) { status quantity interval unitAmount { formatted } currentPeriodEnd nextChargeAt trialEnd cancelAtPeriodEnd customer { name } contract { id } }
    invoice(id: $invoice) { subscription { id } } }`;
  expect(await ask(query, { id, invoice: invoice.id })).toEqual({
    subscription: {
      status: 'ACTIVE',
      quantity: 4,
      interval: 'MONTH',
      unitAmount: { formatted: 'USD 50.00' },
      currentPeriodEnd: '2026-02-01T00:00:00.000Z',
      nextChargeAt: '2026-02-01T00:00:00.000Z',
      trialEnd: null,
      cancelAtPeriodEnd: false,
      customer: { name: 'Orchard' },
      contract: { id: contract.id },
    },
    invoice: { subscription: { id } },
  });
});

test('nothing is found under an id that does not exist', async () => {
  const query = `query ($id: UUID!) { invoice(id: 999999) { id } contract(id: 999999) { id } subscription(id: $id) { id } }`;
  expect(await ask(query, { id: newUuid() })).toEqual({ invoice: null, contract: null, subscription: null });
});
