import { control } from '../control.js';
import { type Resource } from '../resource.js';
import { accountLinks } from './account-links.js';
import { accounts } from './accounts.js';
import { accountsControl } from './accounts-control.js';
import { accountsV2 } from './accounts-v2.js';
import { events } from './events.js';
import { applicationFees } from './application-fees.js';
import { authentication } from './authentication.js';
import { balance } from './balance.js';
import { billingPortal } from './billing-portal.js';
import { billingPortalPages } from './billing-portal-pages.js';
import { charges } from './charges.js';
import { checkoutPages } from './checkout-pages.js';
import { checkoutSessions } from './checkout-sessions.js';
import { coupons } from './coupons.js';
import { creditNotes } from './credit-notes.js';
import { customers } from './customers.js';
import { disputes } from './disputes.js';
import { externalAccounts } from './external-accounts.js';
import { feeRefunds } from './fee-refunds.js';
import { files } from './files.js';
import { mandates } from './mandates.js';
import { payouts } from './payouts.js';
import { refunds } from './refunds.js';
import { paymentIntents } from './payment-intent-routes.js';
import { paymentMethods } from './payment-methods.js';
import { hostedInvoices } from './hosted-invoices.js';
import { invoiceItems } from './invoice-items.js';
import { invoiceLines } from './invoice-lines.js';
import { invoicePayments } from './invoice-payments.js';
import { invoicePreviews } from './invoice-previews.js';
import { invoices } from './invoices.js';
import { prices } from './prices.js';
import { products } from './products.js';
import { setupIntents } from './setup-intents.js';
import { subscriptionItems } from './subscription-items.js';
import { subscriptions } from './subscriptions.js';
import { testClocks } from './test-clocks.js';
import { eventDestinations } from './event-destinations.js';
import { webhookEndpoints } from './webhook-endpoints.js';

/** Everything the sandbox offers. A new resource is one file and one line here. */
export const resources: Resource[] = [
  control,
  events,
  eventDestinations,
  webhookEndpoints,
  accounts,
  accountsV2,
  accountsControl,
  accountLinks,
  applicationFees,
  authentication,
  balance,
  charges,
  coupons,
  creditNotes,
  customers,
  paymentIntents,
  paymentMethods,
  setupIntents,
  products,
  prices,
  mandates,
  refunds,
  feeRefunds,
  disputes,
  files,
  externalAccounts,
  payouts,
  invoices,
  invoiceItems,
  invoiceLines,
  invoicePayments,
  invoicePreviews,
  subscriptions,
  subscriptionItems,
  testClocks,
  checkoutSessions,
  checkoutPages,
  billingPortal,
  billingPortalPages,
  hostedInvoices,
];
