import { type Connection } from './connection.js';
import { type CustomerId, type Keyed } from './types.js';

/**
 * A way into Stripe's own pages for one customer: methods, invoices, subscriptions. Whoever has the URL acts as the customer, for some
 * minutes. https://docs.stripe.com/customer-management
 * @param returnUrl where the pages lead back to
 */
export async function createBillingPortalSession(
  via: Connection,
  { customerId, returnUrl }: { readonly customerId: CustomerId; readonly returnUrl: string },
  keyed: Keyed,
): Promise<{ url: string }> {
  const expected = { object: 'billing_portal.session', prefix: 'bps_', echo: { customer: customerId } };
  const params = { customer: customerId, return_url: returnUrl };
  const { url } = await via.change(expected, keyed, (options) =>
    via.sdk.billingPortal.sessions.create(params, options),
  );
  return { url };
}
