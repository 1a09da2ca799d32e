/**
 * The calls that the local Stripe means to serve: a path or the beginning of one. A script of the Stripe CLI is expected to run
 * if it stays within them.
 */
const served = [
  '/v1/account',
  '/v1/accounts',
  '/v1/account_links',
  '/v1/customers',
  '/v1/payment_methods',
  '/v1/payment_intents',
  '/v1/setup_intents',
  '/v1/charges',
  '/v1/refunds',
  '/v1/disputes',
  '/v1/application_fees',
  '/v1/balance',
  '/v1/balance_transactions',
  '/v1/payouts',
  '/v1/products',
  '/v1/prices',
  '/v1/subscriptions',
  '/v1/subscription_items',
  '/v1/invoices',
  '/v1/invoiceitems',
  '/v1/invoice_payments',
  '/v1/credit_notes',
  '/v1/billing_portal',
  '/v1/checkout',
  '/v1/events',
  '/v1/webhook_endpoints',
  '/v1/test_helpers/test_clocks',
  '/v2/core/accounts',
  '/v2/core/account_links',
  '/v2/core/events',
  '/v2/core/event_destinations',
];

/** Calls that it serves in part, as far as the others need them. */
const partly = [
  '/v1/setup_attempts',
  '/v1/mandates',
  '/v1/files',
  '/v1/tokens',
  // Not of customers, to which the scripts apply them.
  '/v1/coupons',
  '/v1/tax_rates',
  '/v1/account_sessions',
];

/** Calls below the above that have families of their own, which the local Stripe does not know. */
const others = ['/v1/customers/{}/sources', '/v1/customers/{}/cash_balance', '/v1/customers/{}/funding_instructions'];

const below = (path) => (prefix) => path === prefix || path.startsWith(`${prefix}/`);

/** @param {string} path ids may be written `{}` */
export function isServed(path) {
  return served.some(below(path)) && !others.some(below(path));
}

/** Whether there is to be a schema: for everything that the local Stripe might answer. */
export function isTyped(path) {
  return isServed(path) || partly.some(below(path));
}
