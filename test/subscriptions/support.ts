import { randomUUID } from 'node:crypto';
import { type TestApp } from '../support/harness.js';
import { aContract, aCustomer, type Row } from '../support/factories.js';
import { until } from '../support/until.js';

/** A row, or an object of Stripe's, of any shape. */
export type Facts = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into all of it

/** A tenant whose customers live on one test clock. */
export interface BillingTenant {
  readonly id: string;
  readonly accountId: string;
  readonly token: string;
  /** Asks as the tenant's admin; it has to succeed. */
  readonly ask: (query: string, variables?: object) => Promise<Facts>;
  /** The code of the error that it answers with. */
  readonly refusal: (query: string, variables?: object) => Promise<string | undefined>;
  /** A customer on the clock; with the test method given as the default of the account's customer. */
  aCustomer(method?: string | null): Promise<{ id: number; stripeId: string }>;
  aContract(customerId: number, overrides?: Row): Promise<number>;
  /** A contract of a new customer, billed with its method from now on. */
  aSubscription(options?: SubscriptionOptions): Promise<BilledContract>;
  /** Where the clock stands, Unix seconds. */
  readonly now: () => number;
  /** Moves the clock and waits until it has arrived, and all events of it are done with, unless they are held back. */
  advance(seconds: number, options?: { readonly settles?: boolean }): Promise<void>;
  /** Waits until the server has done with all that Stripe has to say. */
  settled(): Promise<void>;
  /** One GET or POST on the account at Stripe. */
  readonly stripe: <T = Facts>(method: string, path: string, form?: Record<string, string>) => Promise<T>;
  /** What the bank says from now on when this saved card is charged: `lost_card`; null lets it through again. */
  readonly declines: (method: string, code: string | null) => Promise<unknown>;
  readonly rows: (sql: string, ...params: unknown[]) => Promise<Facts[]>;
}

interface SubscriptionOptions {
  readonly method?: string;
  readonly contract?: Row;
  readonly input?: object;
}

export interface BilledContract {
  readonly id: string;
  readonly stripeId: string;
  readonly contractId: number;
  readonly customer: { readonly id: number; readonly stripeId: string };
}

export const day = 86_400;

export const createMutation = `mutation ($input: CreateSubscriptionInput!) { createSubscription(input: $input) {
  clientSecret confirms publishableKey stripeAccountId
  subscription { id status quantity unitAmount { amount currency } interval nextChargeAt trialEnd cancelAt stripeSubscriptionId
    contract { id subscription { id } } customer { id } defaultPaymentMethod { id last4 } } } }`;

/** @param config columns of `stripe_config`: the fee rule */
export async function aBillingTenant(app: TestApp, config: Row = {}): Promise<BillingTenant> {
  const connected = await app.aConnectedTenant(config);
  const { id: tenantId, accountId } = connected;
  const token = await app.token({ tenantId });
  let frozen = Math.floor(Date.now() / 1_000);
  const stripe = <T>(method: string, path: string, form?: Record<string, string>) =>
    app.sandbox.api<T>(method, `/v1${path}`, { account: accountId, ...(form && { form }) });
  const clock = await stripe<{ id: string }>('POST', '/test_helpers/test_clocks', { frozen_time: String(frozen) });

  const settled = async () => {
    await until(
      async () => {
        const { open, held } = await app.sandbox.control<{ open: number; held: number }>('/undelivered');
        return open + held === 0;
      },
      'all events are delivered',
      300_000,
    );
    await until(
      async () => {
        const [row] = await app.db.query<{ n: number }>(
          `select count(*)::int as n from stripe_webhook_queue where state <> 'DEAD'`,
        );
        return row!.n === 0;
      },
      'all events are done with',
      300_000,
    );
  };

  const tenant: BillingTenant = {
    id: tenantId,
    accountId,
    token,
    ask: (query, variables = {}) => app.ask(query, variables, token),
    async refusal(query, variables = {}) {
      const { errors } = await app.graphql(query, variables, token);
      return errors?.[0]?.extensions.code;
    },
    async aCustomer(method = 'pm_card_visa') {
      const { id } = await aCustomer(app.db, { tenantId });
      const atStripe = await stripe<{ id: string }>('POST', '/customers', { name: 'A customer', test_clock: clock.id });
      await app.db.query(
        `insert into stripe_customers (tenant_id, livemode, customer_id, stripe_account_id, stripe_customer_id) values ($1, false, $2, $3, $4)`,
        [tenantId, id, accountId, atStripe.id],
      );
      if (method !== null) await giveMethod(tenant, atStripe.id, method);
      return { id, stripeId: atStripe.id };
    },
    async aContract(customerId, overrides = {}) {
      return (await aContract(app.db, { tenantId, customerId, ...overrides })).id;
    },
    async aSubscription({ method = 'pm_card_visa', contract = {}, input = {} } = {}) {
      const customer = await tenant.aCustomer(method);
      const contractId = await tenant.aContract(customer.id, contract);
      // Its events bring it here.
      const saved = await until(async () => {
        const sql = 'select id from payment_methods where tenant_id = $1 and customer_id = $2';
        return (await tenant.rows(sql, customer.id))[0];
      }, 'the method is here');
      const variables = { input: { idempotencyKey: randomUUID(), contractId, paymentMethodId: saved.id, ...input } };
      const { createSubscription } = await tenant.ask(createMutation, variables);
      const { id, stripeSubscriptionId: stripeId } = createSubscription.subscription;
      return { id, stripeId, contractId, customer };
    },
    now: () => frozen,
    async advance(seconds, { settles = true } = {}) {
      frozen += seconds;
      const path = `/test_helpers/test_clocks/${clock.id}`;
      await stripe('POST', `${path}/advance`, { frozen_time: String(frozen) });
      await until(async () => (await stripe<Facts>('GET', path)).status === 'ready', 'the clock has arrived', 300_000);
      if (settles) await settled();
    },
    settled,
    stripe,
    declines: (method, code) =>
      app.sandbox.control(`/accounts/${accountId}/payment_methods/${method}/decline`, { code }),
    rows: (sql, ...params) => app.db.query(sql, [tenantId, ...params]),
  };
  return tenant;
}

/** Gives a test method to a customer at Stripe, as its default. @returns the id of the new method */
export async function giveMethod(
  { stripe }: Pick<BillingTenant, 'stripe'>,
  customer: string,
  method: string,
): Promise<string> {
  const { id } = await stripe<{ id: string }>('POST', `/payment_methods/${method}/attach`, { customer });
  await stripe('POST', `/customers/${customer}`, { 'invoice_settings[default_payment_method]': id });
  return id;
}
