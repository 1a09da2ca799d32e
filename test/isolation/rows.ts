import { randomBytes } from 'node:crypto';
import type pg from 'pg';
import { newUuid, type Uuid } from '../../src/shared/uuid.js';

/** A tenant with one row in every table that can have one. */
export interface PlantedTenant {
  readonly id: Uuid;
  readonly accountId: string;
  /** The row as it was planted, by table. Integer ids differ from tenant to tenant, so that none is met by chance. */
  readonly rows: ReadonlyMap<string, Readonly<Record<string, unknown>>>;
}

type Row = Record<string, unknown>;
type Planted = Map<string, Row>;

/**
 * One row for every table that holds tenants' rows, in the order of their foreign keys. A new table fails the tests until it stands here.
 * Only what has no default is given.
 */
const rowOf: Readonly<Record<string, (planted: Planted, unique: () => string, number: number) => Row>> = {
  users: (_, unique, number) => ({ id: number, email: `${unique()}@users.example`, name: 'A User', role: 'admin' }),
  customers: (_, unique, number) => ({ id: number, name: 'A Customer', email: `${unique()}@customers.example` }),
  contracts: (rows, _, number) => ({
    id: number,
    customer_id: rows.get('customers')!.id,
    name: 'A Contract',
    unit_amount: 1000,
    currency: 'usd',
    starts_at: '2026-01-01T00:00:00Z',
  }),
  stripe_accounts: (rows) => ({ livemode: false, stripe_account_id: rows.get('')!.accountId }),
  stripe_config: (rows) => ({ ...ours(), stripe_account_id: rows.get('')!.accountId }),
  stripe_customers: (rows, unique) => ({
    ...ours(),
    customer_id: rows.get('customers')!.id,
    stripe_account_id: rows.get('')!.accountId,
    stripe_customer_id: `cus_${unique()}`,
  }),
  payment_methods: (rows, unique) => ({
    ...ours(),
    customer_id: rows.get('customers')!.id,
    stripe_account_id: rows.get('')!.accountId,
    stripe_payment_method_id: `pm_${unique()}`,
    type: 'CARD',
  }),
  stripe_subscriptions: (rows, unique) => ({
    ...ours(),
    customer_id: rows.get('customers')!.id,
    contract_id: rows.get('contracts')!.id,
    stripe_account_id: rows.get('')!.accountId,
    stripe_subscription_id: `sub_${unique()}`,
    status: 'ACTIVE',
    unit_amount: 1000,
    currency: 'usd',
    billing_interval: 'MONTH',
  }),
  invoices: (rows, unique, number) => ({
    id: number,
    customer_id: rows.get('customers')!.id,
    contract_id: rows.get('contracts')!.id,
    subscription_id: rows.get('stripe_subscriptions')!.id,
    number: unique(),
    total: 1000,
    currency: 'usd',
  }),
  stripe_prices: (rows, unique) => ({
    ...ours(),
    stripe_account_id: rows.get('')!.accountId,
    contract_id: rows.get('contracts')!.id,
    unit_amount: 1000,
    currency: 'usd',
    billing_interval: 'MONTH',
    stripe_product_id: `prod_${unique()}`,
    stripe_price_id: `price_${unique()}`,
  }),
  stripe_discounts: (rows, unique) => ({
    ...ours(),
    stripe_account_id: rows.get('')!.accountId,
    stripe_discount_id: `di_${unique()}`,
    stripe_subscription_id: rows.get('stripe_subscriptions')!.stripe_subscription_id,
    duration: 'FOREVER',
    percent_off: 10,
  }),
  stripe_invoices: (rows, unique) => ({
    ...ours(),
    stripe_account_id: rows.get('')!.accountId,
    stripe_invoice_id: `in_${unique()}`,
    invoice_id: rows.get('invoices')!.id,
    subscription_id: rows.get('stripe_subscriptions')!.id,
    currency: 'usd',
  }),
  invoice_lines: (rows, unique) => ({
    ...ours(),
    invoice_id: rows.get('invoices')!.id,
    position: 0,
    stripe_line_id: `il_${unique()}`,
    amount: 1000,
    currency: 'usd',
  }),
  invoice_numbers: () => ({ livemode: false, prefix: 'TEST-' }),
  payments: (rows, unique) => ({
    ...ours(),
    customer_id: rows.get('customers')!.id,
    invoice_id: rows.get('invoices')!.id,
    subscription_id: rows.get('stripe_subscriptions')!.id,
    stripe_payment_method_id: rows.get('payment_methods')!.stripe_payment_method_id,
    stripe_account_id: rows.get('')!.accountId,
    stripe_payment_intent_id: `pi_${unique()}`,
    stripe_charge_id: `ch_${unique()}`,
    amount: 1000,
    currency: 'usd',
  }),
  refunds: (rows, unique) => ({
    ...ours(),
    payment_id: rows.get('payments')!.id,
    stripe_account_id: rows.get('')!.accountId,
    stripe_refund_id: `re_${unique()}`,
    stripe_charge_id: `ch_${unique()}`,
    amount: 100,
    currency: 'usd',
  }),
  disputes: (rows, unique) => ({
    ...ours(),
    payment_id: rows.get('payments')!.id,
    stripe_account_id: rows.get('')!.accountId,
    stripe_dispute_id: `dp_${unique()}`,
    stripe_charge_id: `ch_${unique()}`,
    amount: 1000,
    currency: 'usd',
    status: 'NEEDS_RESPONSE',
    reason: 'fraudulent',
    is_inquiry: false,
    charge_refundable: false,
    stripe_created_at: '2026-01-01T00:00:00Z',
  }),
  ledger_transactions: (rows, unique) => {
    const cause = `txn_${unique()}`;
    return {
      ...ours(),
      stripe_account_id: rows.get('')!.accountId,
      cause,
      stripe_balance_transaction_id: cause,
      stripe_charge_id: rows.get('payments')!.stripe_charge_id,
      type: 'charge',
      category: 'charge',
      currency: 'usd',
      amount: 0,
      stripe_fee: 0,
      application_fee: 0,
      net: 0,
      booked_at: new Date().toISOString(),
    };
  },
  ledger_postings: (rows) => ({
    ...ours(),
    transaction_id: rows.get('ledger_transactions')!.id,
    stripe_charge_id: rows.get('payments')!.stripe_charge_id,
    account: 'SUSPENSE',
    currency: 'usd',
    amount: 1,
    number: 1,
    balance: 1,
    booked_at: new Date().toISOString(),
  }),
  ledger_imports: (rows) => ({ livemode: false, stripe_account_id: rows.get('')!.accountId }),
  ledger_checks: (rows) => ({ ...ours(), stripe_account_id: rows.get('')!.accountId, transactions: 1 }),
  webhook_endpoints: (_, unique) => ({
    ...ours(),
    url: `https://${unique()}.example.com/`,
    types: ['invoice.paid'],
    secret_check: 'x',
  }),
  webhook_deliveries: (rows, unique) => ({
    ...ours(),
    endpoint_id: rows.get('webhook_endpoints')!.id,
    key: unique(),
    type: 'invoice.paid',
    data: {},
  }),
  payouts: (rows, unique) => ({
    ...ours(),
    stripe_account_id: rows.get('')!.accountId,
    stripe_payout_id: `po_${unique()}`,
    amount: 1000,
    currency: 'usd',
    status: 'PAID',
    method: 'standard',
    automatic: true,
    reconciliation: 'completed',
    arrival_date: new Date().toISOString(),
    stripe_created_at: new Date().toISOString(),
  }),
  payout_transactions: (rows) => ({
    livemode: false,
    payout_id: rows.get('payouts')!.id,
    transaction_id: rows.get('ledger_transactions')!.id,
  }),
  subscription_history: (rows, unique) => ({
    ...ours(),
    stripe_account_id: rows.get('')!.accountId,
    stripe_subscription_id: rows.get('stripe_subscriptions')!.stripe_subscription_id,
    stripe_event_id: `evt_${unique()}`,
    kind: 'STATE',
    effective_at: '2026-01-15T00:00:00Z',
    status: 'ACTIVE',
    quantity: 1,
    unit_amount: 1000,
    currency: 'usd',
    billing_interval: 'MONTH',
    interval_count: 1,
  }),
  mrr_movements: (rows) => ({
    livemode: false,
    customer_id: rows.get('customers')!.id,
    currency: 'usd',
    month: '2026-01-01',
    cohort: '2026-01-01',
    kind: 'NEW',
    opening: 0,
    closing: 1000,
  }),
  mrr_months: () => ({ livemode: false, currency: 'usd', month: '2026-01-01', new: 1000, customers_new: 1 }),
  mrr_customers: (rows) => ({ livemode: false, customer_id: rows.get('customers')!.id, rolled_up: 1 }),
  mrr_calendars: () => ({ livemode: false, time_zone: 'UTC' }),
  payment_failures: (rows, unique) => ({
    ...ours(),
    payment_id: rows.get('payments')!.id,
    attempt: `ch_${unique()}`,
    amount: 1000,
    currency: 'usd',
    code: 'card_declined',
    failed_at: '2026-01-15T00:00:00Z',
  }),
  commands: (_, unique) => ({
    ...ours(),
    kind: 'test.command',
    idempotency_key: unique(),
    params_hash: '\\x00',
    params: {},
    actor: 'somebody',
  }),
  effects: (_, unique) => ({ livemode: false, key: unique() }),
  mails: (rows, unique) => ({
    ...ours(),
    key: `receipt:${unique()}`,
    template: 'receipt',
    customer_id: rows.get('customers')!.id,
    recipient: `${unique()}@customers.example`,
    data: {},
  }),
  mail_settings: () => ours(),
  dunning_settings: () => ours(),
  dunning_cases: (rows) => ({
    ...ours(),
    invoice_id: rows.get('invoices')!.id,
    customer_id: rows.get('customers')!.id,
    subscription_id: rows.get('stripe_subscriptions')!.id,
    stripe_account_id: rows.get('')!.accountId,
    stripe_invoice_id: rows.get('stripe_invoices')!.stripe_invoice_id,
    amount: 1000,
    currency: 'usd',
    retries: 'OURS',
    retry_days: [1, 3],
    at_end: 'LEAVE',
  }),
  dunning_steps: (rows) => ({
    ...ours(),
    case_id: rows.get('dunning_cases')!.id,
    number: 0,
    kind: 'NOTICE',
    at: '2026-01-15T00:00:00Z',
  }),
  audit_log: () => ({ ...ours(), actor: 'somebody', action: 'test', subject_type: 'test' }),
  drift_reports: (rows) => ({
    ...ours(),
    stripe_account_id: rows.get('')!.accountId,
    actor: 'somebody',
    dry_run: true,
    since: '2026-01-01T00:00:00Z',
    finished_at: new Date().toISOString(),
  }),
  stripe_webhook_events: (rows, unique) => ({
    ...ours(),
    stripe_event_id: `evt_${unique()}`,
    type: 'payment_intent.succeeded',
    kind: 'SNAPSHOT',
    status: 'DEAD',
    stripe_account_id: rows.get('')!.accountId,
    object_key: `pi_${unique()}`,
    payload: { id: unique() },
    stripe_created_at: new Date().toISOString(),
  }),
  stripe_webhook_queue: (rows) => ({
    event_id: rows.get('stripe_webhook_events')!.id,
    stripe_created_at: rows.get('stripe_webhook_events')!.stripe_created_at,
    stripe_account_id: rows.get('')!.accountId,
    livemode: false,
    object_key: rows.get('stripe_webhook_events')!.object_key,
    state: 'DEAD',
  }),
};

/** Tables that say whose a row is by its account: events arrive before anybody has looked whose they are. */
const byAccount = new Set(['stripe_webhook_events', 'stripe_webhook_queue']);

/** The column that says whose a row of this table is. */
export const ownerColumn = (table: string): 'tenant_id' | 'stripe_account_id' =>
  byAccount.has(table) ? 'stripe_account_id' : 'tenant_id';

/** What that column holds in this tenant's rows. */
export const ownerOf = (tenant: Pick<PlantedTenant, 'id' | 'accountId'>, table: string): string =>
  byAccount.has(table) ? tenant.accountId : tenant.id;

/** The tables that can be planted. */
export const plantable: readonly string[] = Object.keys(rowOf);

const ours = () => ({ id: newUuid(), livemode: false });

/**
 * Writes a tenant with a row in every table.
 * @param client a superuser's
 * @param number the integer id of its rows
 */
export async function plantTenant(client: Client, number: number): Promise<PlantedTenant> {
  const id = newUuid();
  await client.query('insert into tenants (id, name) values ($1, $2)', [id, `Tenant ${number}`]);
  return plantRows(client, { id, accountId: `acct_${randomBytes(8).toString('hex')}` }, number);
}

/**
 * Writes a row into every table for a tenant that is there already.
 * @param except tables in which it has a row
 */
export async function plantRows(
  client: Client,
  { id, accountId }: { readonly id: Uuid; readonly accountId: string },
  number: number,
  except: readonly string[] = [],
): Promise<PlantedTenant> {
  const unique = () => randomBytes(8).toString('hex');
  const rows: Planted = new Map([['', { accountId }]]);
  for (const table of plantable.filter((name) => !except.includes(name))) {
    const owner = ownerColumn(table) === 'tenant_id' ? { tenant_id: id } : {};
    const row = { ...owner, ...rowOf[table]!(rows, unique, number) };
    // A line alone does not balance, and its transaction is closed.
    const asReplica = table === 'ledger_postings';
    if (asReplica) await client.query('set session_replication_role = replica');
    await insertRow(client, table, row);
    if (asReplica) await client.query('reset session_replication_role');
    rows.set(table, row);
  }
  rows.delete('');
  return { id, accountId, rows };
}

type Client = Pick<pg.Client, 'query'>;

/** Inserts what is given, and leaves the rest to the table's defaults. */
export function insertRow(client: Client, table: string, row: Row): Promise<pg.QueryResult> {
  const columns = Object.keys(row);
  const values = columns.map((_, index) => `$${index + 1}`);
  return client.query(
    `insert into ${table} (${columns.join(', ')}) values (${values.join(', ')})`,
    columns.map((column) => row[column]),
  );
}

/** What another insert of a row must have of its own, so that it is refused for whose it is and not for being there already. */
export function anotherOf(table: string, row: Row): Row {
  const fresh: Row = { ...row };
  const suffix = randomBytes(6).toString('hex');
  for (const [column, value] of Object.entries(row)) {
    if (column === 'id') fresh.id = typeof value === 'number' ? value + 50_000 : newUuid();
    else if (['email', 'number', 'idempotency_key', 'key'].includes(column) && typeof value === 'string')
      fresh[column] = `${String(value)}${suffix}`;
    else if (column === 'event_id') fresh.event_id = newUuid();
    else if (/^stripe_\w+_id$/.test(column) && column !== 'stripe_account_id')
      fresh[column] = `${String(value)}${suffix}`;
  }
  if (table === 'stripe_accounts') fresh.stripe_account_id = `${String(row.stripe_account_id)}${suffix}`;
  if (table === 'ledger_transactions') fresh.cause = fresh.stripe_balance_transaction_id;
  // One live subscription per contract.
  if (table === 'stripe_subscriptions') Object.assign(fresh, { contract_id: null });
  return fresh;
}
