import { randomBytes } from 'node:crypto';
import { newUuid, type Uuid } from '../../src/shared/uuid.js';
import { type TestDatabase } from './database.js';

/** Rows are put in as superuser: what a PSA has done before we came. Every factory takes overrides, and makes its parents up. */
export type Row = Record<string, unknown>;

export interface TenantRow {
  readonly id: Uuid;
  readonly name: string;
}

export interface PsaRow {
  readonly tenantId: Uuid;
  readonly id: number;
}

export interface InvoiceRow extends PsaRow {
  readonly customerId: number;
  readonly number: string;
}

let sequence = 0;

/** A number that no other row of this file has. */
function next(): number {
  return ++sequence;
}

/** Inserts one row, column by column, and returns it as PostgreSQL has it. */
export async function insertRow(db: TestDatabase, table: string, row: Row): Promise<Row> {
  const names = Object.keys(row);
  const values = Object.values(row).map((value) =>
    value !== null && typeof value === 'object' && !(value instanceof Date) && !Buffer.isBuffer(value)
      ? JSON.stringify(value)
      : value,
  );
  const places = names.map((_, i) => `$${i + 1}`);
  const [inserted] = await db.query(
    `insert into ${table} (${names.join(', ')}) values (${places.join(', ')}) returning *`,
    values,
  );
  return inserted!;
}

export async function aTenant(db: TestDatabase, overrides: Row = {}): Promise<TenantRow> {
  const row = await insertRow(db, 'tenants', { id: newUuid(), name: `Tenant ${next()}`, ...overrides });
  return { id: row.id as Uuid, name: row.name as string };
}

export async function aCustomer(
  db: TestDatabase,
  { tenantId, ...overrides }: { tenantId?: Uuid } & Row = {},
): Promise<PsaRow> {
  const tenant = tenantId ?? (await aTenant(db)).id;
  const n = next();
  const row = await insertRow(db, 'customers', {
    tenant_id: tenant,
    name: `Customer ${n}`,
    email: `customer-${n}@example.com`,
    ...overrides,
  });
  return { tenantId: tenant, id: row.id as number };
}

export async function aContract(
  db: TestDatabase,
  { tenantId, customerId, ...overrides }: { tenantId?: Uuid; customerId?: number } & Row = {},
): Promise<PsaRow> {
  const owner = await customerOf(db, tenantId, customerId);
  const row = await insertRow(db, 'contracts', {
    tenant_id: owner.tenantId,
    customer_id: owner.id,
    name: `Contract ${next()}`,
    status: 'ACTIVE',
    unit_amount: 5_000,
    currency: 'usd',
    starts_at: '2026-01-01T00:00:00Z',
    ...overrides,
  });
  return { tenantId: owner.tenantId, id: row.id as number };
}

/** An open invoice over 100.00 USD. */
export async function anInvoice(
  db: TestDatabase,
  { tenantId, customerId, ...overrides }: { tenantId?: Uuid; customerId?: number } & Row = {},
): Promise<InvoiceRow> {
  const owner = await customerOf(db, tenantId, customerId);
  const row = await insertRow(db, 'invoices', {
    tenant_id: owner.tenantId,
    customer_id: owner.id,
    number: `INV-${next()}`,
    total: 10_000,
    currency: 'usd',
    ...overrides,
  });
  return { tenantId: owner.tenantId, id: row.id as number, customerId: owner.id, number: row.number as string };
}

/** An account as our tables know it, ready to take payments. Stripe knows nothing of it: see `TestApp.aConnectedTenant`. */
export async function aStripeConfig(
  db: TestDatabase,
  { tenantId, ...overrides }: { tenantId?: Uuid } & Row = {},
): Promise<{ tenantId: Uuid; accountId: string }> {
  const tenant = tenantId ?? (await aTenant(db)).id;
  const accountId = (overrides.stripe_account_id as string | undefined) ?? `acct_${randomBytes(8).toString('hex')}`;
  const livemode = (overrides.livemode as boolean | undefined) ?? false;
  await insertRow(db, 'stripe_accounts', { stripe_account_id: accountId, tenant_id: tenant, livemode });
  await insertRow(db, 'stripe_config', {
    tenant_id: tenant,
    livemode,
    stripe_account_id: accountId,
    country: 'US',
    default_currency: 'usd',
    charges_enabled: true,
    payouts_enabled: true,
    details_submitted: true,
    ...overrides,
  });
  return { tenantId: tenant, accountId };
}

async function customerOf(db: TestDatabase, tenantId?: Uuid, customerId?: number): Promise<PsaRow> {
  if (tenantId && customerId) return { tenantId, id: customerId };
  return aCustomer(db, tenantId ? { tenantId } : {});
}
