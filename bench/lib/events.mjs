import { createHmac } from 'node:crypto';

/** Tenants, and payments that events are about. Payment number i is tenant i % tenants's. */
export const world = { tenants: 100, payments: 20_000 };

/** Ids that can be computed on either side. */
export const tenantId = (number) => `0b000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;
export const accountId = (number) => `acct_bench${number}`;
const paymentId = (number) => `0c000000-0000-7000-8000-${number.toString(16).padStart(12, '0')}`;

/** The rows that the events are about, made in PostgreSQL. */
export const webhookSeed = `
insert into tenants (id, name)
  select ('0b000000-0000-7000-8000-' || lpad(to_hex(t), 12, '0'))::uuid, 'Tenant ' || t from generate_series(0, ${world.tenants - 1}) t;
insert into stripe_config (tenant_id, livemode, stripe_account_id, country, default_currency, charges_enabled, payouts_enabled, details_submitted)
  select ('0b000000-0000-7000-8000-' || lpad(to_hex(t), 12, '0'))::uuid, false, 'acct_bench' || t, 'US', 'usd', true, true, true
  from generate_series(0, ${world.tenants - 1}) t;
insert into stripe_accounts (stripe_account_id, tenant_id, livemode)
  select stripe_account_id, tenant_id, livemode from stripe_config;
insert into customers (tenant_id, id, name, email)
  select ('0b000000-0000-7000-8000-' || lpad(to_hex(c % ${world.tenants}), 12, '0'))::uuid, c, 'Customer ' || c, 'c' || c || '@example.com'
  from generate_series(0, 9999) c;
insert into invoices (tenant_id, id, customer_id, number, total, currency, created_at)
  select ('0b000000-0000-7000-8000-' || lpad(to_hex(i % ${world.tenants}), 12, '0'))::uuid, i, i % 10000, 'INV-' || i, 2000 + i, 'usd', now() - interval '40 days'
  from generate_series(0, ${world.payments - 1}) i;
insert into payments (tenant_id, id, livemode, customer_id, invoice_id, stripe_account_id, stripe_payment_intent_id, amount, currency, created_at)
  select ('0b000000-0000-7000-8000-' || lpad(to_hex(p % ${world.tenants}), 12, '0'))::uuid, ('0c000000-0000-7000-8000-' || lpad(to_hex(p), 12, '0'))::uuid, false,
    p % 10000, p, 'acct_bench' || p % ${world.tenants}, 'pi_bench' || lpad(p::text, 16, '0'), 2000 + p, 'usd', now() - interval '40 days'
  from generate_series(0, ${world.payments - 1}) p;`;

/**
 * Event number n is about payment n % payments, and reports its n / payments'th change: on its way, failed, on its way … Each is newer than the
 * one before, so that each changes the payment's row and its invoice's.
 * @param from, count which events @param run tells the events of this run from all others @param epoch seconds; stamp of the first
 */
export function signedEvents({ from, count, run, epoch, secret }) {
  const now = Math.floor(Date.now() / 1000);
  return Array.from({ length: count }, (_, i) => {
    const body = eventBody(from + i, run, epoch);
    const signature = createHmac('sha256', secret).update(`${now}.${body}`).digest('hex');
    return { body, signature: `t=${now},v1=${signature}` };
  });
}

/** A `payment_intent` event of a connected account as Stripe writes it, pretty-printed: about 3.7 kB. */
export function eventBody(number, run, epoch) {
  const payment = number % world.payments;
  const visit = Math.floor(number / world.payments);
  const failed = visit % 2 === 1;
  const created = epoch + visit * 60;
  const intent = `pi_bench${String(payment).padStart(16, '0')}`;
  const amount = 2000 + payment;
  const error = {
    charge: `ch_bench${String(payment).padStart(16, '0')}`,
    code: 'card_declined',
    decline_code: 'insufficient_funds',
    doc_url: 'https://stripe.com/docs/error-codes/card-declined',
    message: 'Your card has insufficient funds.',
    type: 'card_error',
  };
  return JSON.stringify(
    {
      id: `evt_1${run}${number.toString(36).padStart(10, '0')}`,
      object: 'event',
      account: accountId(payment % world.tenants),
      api_version: '2026-10-28.endive',
      created,
      data: {
        object: {
          id: intent,
          object: 'payment_intent',
          amount,
          amount_capturable: 0,
          amount_details: { tip: {} },
          amount_received: 0,
          application: 'ca_BenchApplication0000000000000000',
          application_fee_amount: 123,
          automatic_payment_methods: { allow_redirects: 'always', enabled: true },
          canceled_at: null,
          cancellation_reason: null,
          capture_method: 'automatic_async',
          client_secret: `${intent}_secret_0123456789abcdef01234567`,
          confirmation_method: 'automatic',
          created: epoch - 3_600,
          currency: 'usd',
          customer: `cus_bench${payment % 10_000}`,
          customer_account: null,
          description: `Invoice INV-${payment} for managed services: workstations, backup, helpdesk and network monitoring`,
          excluded_payment_method_types: null,
          invoice: null,
          last_payment_error: failed ? error : null,
          latest_charge: failed ? error.charge : null,
          livemode: false,
          metadata: {
            psa_payment_id: paymentId(payment),
            psa_tenant_id: tenantId(payment % world.tenants),
            psa_invoice_number: `INV-${payment}`,
            psa_contract: 'Managed services, gold',
            psa_note:
              'Monthly agreement: 25 workstations, 3 servers, off-site backup, e-mail security and on-site support up to four hours. Questions to your account manager, please; the invoice lists each line with its quantity and its unit price.',
          },
          next_action: null,
          on_behalf_of: null,
          payment_method: `pm_bench${String(payment).padStart(16, '0')}`,
          payment_method_configuration_details: {
            id: 'pmc_1BenchConfiguration0000',
            parent: 'pmc_1BenchParent0000000000',
          },
          payment_method_options: {
            card: { installments: null, mandate_options: null, network: null, request_three_d_secure: 'automatic' },
            link: { persistent_token: null },
            us_bank_account: { verification_method: 'automatic' },
          },
          payment_method_types: ['card', 'link', 'us_bank_account'],
          presentment_details: { presentment_amount: amount, presentment_currency: 'usd' },
          processing: null,
          receipt_email: `billing+${payment}@example.com`,
          review: null,
          setup_future_usage: null,
          shipping: {
            address: {
              city: 'Springfield',
              country: 'US',
              line1: '742 Evergreen Terrace',
              line2: 'Suite 100',
              postal_code: '62704',
              state: 'IL',
            },
            carrier: null,
            name: `Customer ${payment % 10_000}`,
            phone: '+12175550100',
            tracking_number: null,
          },
          source: null,
          statement_descriptor: null,
          statement_descriptor_suffix: 'MANAGED IT',
          status: failed ? 'requires_payment_method' : 'processing',
          transfer_data: null,
          transfer_group: null,
        },
        previous_attributes: { status: failed ? 'processing' : 'requires_confirmation' },
      },
      livemode: false,
      pending_webhooks: 1,
      request: {
        id: `req_${run}${number.toString(36).padStart(8, '0')}`,
        idempotency_key: `psa-${paymentId(payment)}`,
      },
      type: failed ? 'payment_intent.payment_failed' : 'payment_intent.processing',
    },
    null,
    2,
  );
}
