import { randomBytes } from 'node:crypto';
import { createOrm } from '../../../src/db/orm.js';
import { Database, type TenantDb } from '../../../src/db/database.js';
import { PaymentMethodService } from '../../../src/features/payment-methods/payment-method.service.js';
import { PaymentService } from '../../../src/features/payments/payment.service.js';
import { Commands, type CommandSettings } from '../../../src/jobs/commands/commands.js';
import { newUuid, type Uuid } from '../../../src/shared/uuid.js';
import { createLogger } from '../../../src/shared/logger.js';
import { StripeService } from '../../../src/stripe/stripe.service.js';
import { type AccountId } from '../../../src/stripe/types.js';
import { entities } from '../../../mikro-orm.config.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { startSandbox, type TestSandbox } from '../../support/sandbox.js';

/** A row, or an object of Stripe's, of any shape. */
export type Facts = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into all of it

/** A database, a local Stripe, and the server's parts between them, without the server. */
export interface World {
  readonly db: TestDatabase;
  readonly sandbox: TestSandbox;
  readonly database: Database;
  readonly stripe: StripeService;
  aTenant(overrides?: Partial<TenantFacts>): Promise<TestTenant>;
  stop(): Promise<void>;
}

interface TenantFacts {
  readonly feePercent: string;
  readonly feeFixed: number;
  readonly chargesEnabled: boolean;
  readonly disconnected: boolean;
  readonly onboarded: boolean;
  readonly country: string;
}

/** A tenant with an account that can take payments, and what it can do. */
export interface TestTenant {
  readonly id: Uuid;
  readonly accountId: AccountId;
  readonly db: TenantDb;
  readonly commands: Commands;
  readonly payments: PaymentService;
  readonly methods: PaymentMethodService;
  with(settings: Partial<CommandSettings>): PaymentService;
  aCustomer(name?: string): Promise<number>;
  anInvoice(overrides?: Partial<InvoiceFacts>): Promise<number>;
  payment(id: string): Promise<Facts>;
  invoice(id: number): Promise<Facts>;
  rows(table: string): Promise<number>;
  /** All intents of the account, as the local Stripe has them. */
  intents(): Promise<Facts[]>;
}

interface InvoiceFacts {
  readonly customerId: number;
  readonly total: number;
  readonly currency: string;
  readonly status: string;
}

export async function createWorld(flags: string[] = []): Promise<World> {
  const [db, sandbox] = await Promise.all([createTestDatabase(), startSandbox({ flags })]);
  const orm = createOrm({ url: db.url, entities });
  const database = new Database(orm, false);
  const { secretKey, publishableKey, url } = sandbox;
  const stripe = new StripeService({
    secretKey,
    publishableKey,
    livemode: false,
    apiBase: url,
    timeoutMs: 1_500,
    budgetMs: 2_000,
    maxNetworkRetries: 0,
    retryPauseMs: 10,
    breaker: { threshold: 1_000, cooldownMs: 10 },
    logger: createLogger('silent'),
  });

  async function aTenant(overrides: Partial<TenantFacts> = {}): Promise<TestTenant> {
    const facts = {
      ...{ feePercent: '2.50', feeFixed: 0, chargesEnabled: true, disconnected: false, onboarded: true, country: 'US' },
      ...overrides,
    };
    const id = newUuid();
    await db.query(`insert into tenants (id, name) values ($1, 'Tenant')`, [id]);
    const account = facts.onboarded
      ? await stripe.createConnectAccount(
          { country: facts.country, email: 'owner@tenant.test', businessName: 'Tenant', metadata: { tenant_id: id } },
          { key: randomBytes(8).toString('hex') },
        )
      : null;
    if (account) {
      await sandbox.control(`/accounts/${account.id}/onboard`, {});
      await db.query(`insert into stripe_accounts (stripe_account_id, tenant_id, livemode) values ($1, $2, false)`, [
        account.id,
        id,
      ]);
      await db.query(
        `insert into stripe_config (tenant_id, livemode, stripe_account_id, charges_enabled, payouts_enabled, details_submitted,
           application_fee_percent, application_fee_fixed, disconnected_at) values ($1, false, $2, $3, true, true, $4, $5, $6)`,
        [
          id,
          account.id,
          facts.chargesEnabled,
          facts.feePercent,
          facts.feeFixed,
          facts.disconnected ? new Date() : null,
        ],
      );
    }
    return tenantOf(id, account?.id ?? 'acct_none');
  }

  function tenantOf(id: Uuid, accountId: AccountId): TestTenant {
    const tenantDb = database.tenant(id);
    const commands = new Commands(tenantDb, stripe);
    const one = async (sql: string, value: unknown) => (await db.query(sql, [id, value]))[0]!;
    const tenant: TestTenant = {
      id,
      accountId,
      db: tenantDb,
      commands,
      payments: new PaymentService(commands, stripe, 'user-1'),
      methods: new PaymentMethodService(commands, stripe, 'user-1'),
      with: (settings) => new PaymentService(new Commands(tenantDb, stripe, settings), stripe, 'user-1'),
      async aCustomer(name = 'Customer') {
        const row = await one(
          `insert into customers (tenant_id, name, email) values ($1, $2, 'payer@customer.test') returning id`,
          name,
        );
        return row.id as number;
      },
      async anInvoice(overrides = {}) {
        const customerId = overrides.customerId ?? (await tenant.aCustomer());
        const { total = 10_000, currency = 'usd', status = 'OPEN' } = overrides;
        const [row] = await db.query<{ id: number }>(
          `insert into invoices (tenant_id, customer_id, number, total, currency, status) values ($1, $2, $3, $4, $5, $6) returning id`,
          [id, customerId, `INV-${randomBytes(4).toString('hex')}`, total, currency, status],
        );
        return row!.id;
      },
      payment: (paymentId) => one('select * from payments where tenant_id = $1 and id = $2', paymentId),
      invoice: (invoiceId) => one('select * from invoices where tenant_id = $1 and id = $2', invoiceId),
      async rows(table) {
        const [row] = await db.query<{ n: string }>(`select count(*) as n from ${table} where tenant_id = $1`, [id]);
        return Number(row!.n);
      },
      async intents() {
        const list = await sandbox.api<{ data: Facts[] }>('GET', '/v1/payment_intents', {
          account: accountId,
          form: { limit: '100' },
        });
        return list.data;
      },
    };
    return tenant;
  }

  return {
    db,
    sandbox,
    database,
    stripe,
    aTenant,
    async stop() {
      stripe.close();
      await orm.close(true);
      await Promise.all([sandbox.stop(), db.drop()]);
    },
  };
}

/** A request for money with everything that may be left out left out. */
export function aRequest(overrides: Partial<Parameters<PaymentService['createPaymentIntent']>[0]> = {}) {
  return {
    idempotencyKey: randomBytes(8).toString('hex'),
    invoiceId: null,
    customerId: null,
    amount: null,
    currency: null,
    paymentMethodId: null,
    confirm: false,
    offSession: false,
    savePaymentMethod: false,
    captureLater: false,
    description: null,
    metadata: null,
    ...overrides,
  };
}
