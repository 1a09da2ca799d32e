import { type Uuid } from '../../src/shared/uuid.js';
import { aCustomer, anInvoice, type Row } from '../support/factories.js';
import { type TestApp } from '../support/harness.js';
import {
  aBillingTenant,
  type BilledContract,
  type BillingTenant,
  type Facts,
  giveMethod,
} from '../subscriptions/support.js';

export const createLink = `mutation ($input: CreateInvoicePayLinkInput!) {
  createInvoicePayLink(input: $input) { url expiresAt }
}`;

/** Cards of the local Stripe. */
export const cards = { good: '4242424242424242', poor: '4000000000009995', secured: '4000002500003155' };

export interface LinkedInvoice {
  readonly tenant: { readonly id: Uuid; readonly name: string; readonly accountId: string };
  readonly token: string;
  readonly invoiceId: number;
  readonly number: string;
  readonly url: string;
}

/** An open invoice over 100.00 USD, and the link to pay it. */
export async function aLinkedInvoice(app: TestApp, overrides: Row = {}): Promise<LinkedInvoice> {
  const tenant = await app.aConnectedTenant();
  const token = await app.token(tenant, 'billing');
  const { id: customerId } = await aCustomer(app.db, { tenantId: tenant.id });
  const { id: invoiceId, number } = await anInvoice(app.db, { tenantId: tenant.id, customerId, ...overrides });
  const { createInvoicePayLink } = await app.ask(createLink, { input: { invoiceId } }, token);
  return { tenant, token, invoiceId, number, url: createInvoicePayLink.url as string };
}

/** A renewal over 100.00 USD that its saved card did not pay, and the link to pay it. */
export async function aFailedRenewal(
  app: TestApp,
): Promise<LinkedInvoice & { readonly billing: BillingTenant; readonly contract: BilledContract }> {
  const billing = await aBillingTenant(app, { application_fee_percent: '2.50', application_fee_fixed: 30 });
  const contract = await billing.aSubscription({ contract: { unit_amount: 10_000, quantity: 1 } });
  const method = await giveMethod(billing, contract.customer.stripeId, 'pm_card_chargeCustomerFail');
  await billing.stripe('POST', `/subscriptions/${contract.stripeId}`, { default_payment_method: method });
  const subscription = await billing.stripe<Facts>('GET', `/subscriptions/${contract.stripeId}`);
  await billing.advance(subscription.items.data[0].current_period_end - billing.now() + 60);
  // The hour in which it is a draft.
  await billing.advance(2 * 3_600);
  const [invoice] = await billing.rows(`select id, number from invoices where tenant_id = $1 and status = 'OPEN'`);
  const { createInvoicePayLink } = await billing.ask(createLink, { input: { invoiceId: invoice!.id } });
  const tenant = { id: billing.id, name: '', accountId: billing.accountId } as LinkedInvoice['tenant'];
  const url = createInvoicePayLink.url as string;
  return { tenant, token: billing.token, invoiceId: invoice!.id, number: invoice!.number, url, billing, contract };
}
