import { type Uuid } from '../../src/shared/uuid.js';
import { aCustomer, anInvoice, type Row } from '../support/factories.js';
import { type TestApp } from '../support/harness.js';

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
