import { aCustomer, anInvoice } from '../../support/factories.js';
import { type TestApp } from '../../support/harness.js';
import { until } from '../../support/until.js';

export type Tenant = Awaited<ReturnType<TestApp['aConnectedTenant']>>;

const create = `mutation ($input: CreatePaymentIntentInput!) {
  createPaymentIntent(input: $input) { clientSecret payment { id } }
}`;

interface StripeMoney {
  readonly amount: number;
  readonly currency: string;
}

/** What happens to a tenant's money, and what the books make of it. */
export type Bank = ReturnType<typeof bankOf>;

export function bankOf(app: TestApp) {
  const bank = {
    /** A payment that the payer confirmed in the browser. @returns our id of it, and its charge's */
    async paid(tenant: Tenant, amount: number, method = 'pm_card_visa') {
      const token = await app.token(tenant, 'billing');
      const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
      const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId, total: amount });
      const { createPaymentIntent: asked } = await app.ask(
        create,
        { input: { idempotencyKey: `k${invoiceId}`, invoiceId } },
        token,
      );
      const [intent] = (asked.clientSecret as string).split('_secret_');
      const { latest_charge: chargeId } = await app.sandbox.api<{ latest_charge: string }>(
        'POST',
        `/v1/payment_intents/${intent}/confirm`,
        { account: tenant.accountId, form: { payment_method: method, return_url: 'https://psa.test/paid' } },
      );
      return { id: asked.payment.id as string, chargeId, invoiceId };
    },

    refund: (tenant: Tenant, charge: string, amount: number, withFee = false) =>
      app.sandbox.api<{ id: string }>('POST', '/v1/refunds', {
        account: tenant.accountId,
        form: { charge, amount: String(amount), ...(withFee && { refund_application_fee: 'true' }) },
      }),

    /** What Stripe says lies on the account, or on the platform's. */
    async stripeBalance(account?: string): Promise<number> {
      const { available, pending } = await app.sandbox.api<{ available: StripeMoney[]; pending: StripeMoney[] }>(
        'GET',
        '/v1/balance',
        account ? { account } : {},
      );
      return [...available, ...pending].reduce((sum, { amount }) => sum + amount, 0);
    },

    /** The balances of the tenant's accounts: of one currency, in minor units. */
    async accounts(tenant: Tenant): Promise<Record<string, number>> {
      const rows = await app.db.query<{ account: string; balance: string }>(
        'select account, sum(amount) as balance from ledger_postings where tenant_id = $1 group by 1',
        [tenant.id],
      );
      return Object.fromEntries(rows.map(({ account, balance }) => [account, Number(balance)]));
    },

    /** Waits until so many of Stripe's bookings are posted. */
    posted: (tenant: Tenant, count: number) =>
      until(async () => {
        const [row] = await app.db.query<{ n: string }>(
          'select count(*) as n from ledger_transactions where tenant_id = $1 and stripe_balance_transaction_id is not null',
          [tenant.id],
        );
        return Number(row!.n) >= count;
      }, `${count} bookings are posted`),
  };
  return bank;
}
