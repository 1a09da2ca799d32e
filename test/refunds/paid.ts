import { randomUUID } from 'node:crypto';
import { aCustomer, anInvoice } from '../support/factories.js';
import { type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look into answers of any shape
export type Answer = Record<string, any>;

/** A payment that has come in and is booked. */
export interface Paid {
  /** Of somebody who may move money. */
  readonly token: string;
  readonly tenantId: string;
  readonly accountId: string;
  readonly paymentId: string;
  readonly chargeId: string;
}

/** A payment of an invoice over 100.00, confirmed in the browser. */
export async function aPaidInvoice(app: TestApp, { method = 'pm_card_visa', feePercent = '2.50' } = {}): Promise<Paid> {
  const tenant = await app.aConnectedTenant({ application_fee_percent: feePercent });
  const token = await app.token(tenant, 'billing');
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: invoiceId } = await anInvoice(app.db, { tenantId: tenant.id, customerId });
  const { createPaymentIntent: asked } = await app.ask(
    `mutation ($input: CreatePaymentIntentInput!) { createPaymentIntent(input: $input) { clientSecret payment { id } } }`,
    { input: { idempotencyKey: randomUUID(), invoiceId } },
    token,
  );
  await confirmInBrowser(app, tenant.accountId, asked.clientSecret, method);
  const { id: paymentId } = asked.payment;
  const chargeId = await until(async () => {
    const { payment } = await app.ask(
      'query ($id: UUID!) { payment(id: $id) { net { amount } stripeChargeId } }',
      { id: paymentId },
      token,
    );
    return payment.net && (payment.stripeChargeId as string);
  }, 'the payment is booked');
  return { token, tenantId: tenant.id, accountId: tenant.accountId, paymentId, chargeId };
}

/** What Stripe.js does in the payer's browser. */
async function confirmInBrowser(app: TestApp, accountId: string, clientSecret: string, method: string) {
  const [intent] = clientSecret.split('_secret_');
  return app.sandbox.api('POST', `/v1/payment_intents/${intent}/confirm`, {
    account: accountId,
    asBrowser: true,
    form: { client_secret: clientSecret, payment_method: method },
  });
}
