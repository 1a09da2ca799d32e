import { type Connection } from './connection.js';
import { pagesOf } from './paging.js';
import { type CustomerId, type Keyed, type PaymentMethod, type PaymentMethodId } from './types.js';

const expected = { object: 'payment_method' };

/**
 * Gives a method to a customer, and makes it the one that invoices are paid with where `asDefault` says so.
 * @throws AppError CARD_DECLINED when the issuer refuses the card already here
 */
export async function attachPaymentMethod(
  via: Connection,
  id: PaymentMethodId,
  { customerId, asDefault = false }: { readonly customerId: CustomerId; readonly asDefault?: boolean },
  { key }: Keyed,
): Promise<PaymentMethod> {
  // The id may be a test card's name, `pm_card_visa`: the answer then has an id of its own.
  const method = await via.change({ ...expected, echo: { customer: customerId } }, { key }, (options) =>
    via.sdk.paymentMethods.attach(id, { customer: customerId }, options),
  );
  if (asDefault)
    await setDefaultPaymentMethod(via, customerId, method.id as PaymentMethodId, { key: `${key}:default` });
  return method;
}

/** Makes a customer's method the one that invoices and subscriptions without a method of their own are paid with. */
export async function setDefaultPaymentMethod(
  via: Connection,
  customerId: CustomerId,
  id: PaymentMethodId | null,
  keyed: Keyed,
): Promise<void> {
  // An empty string is how Stripe is told to forget a value.
  const params = { invoice_settings: { default_payment_method: id ?? '' } };
  const customer = { object: 'customer', echo: { id: customerId } };
  await via.change(customer, keyed, (options) => via.sdk.customers.update(customerId, params, options));
}

/** Takes a method from its customer for good: it cannot be attached again. */
export function detachPaymentMethod(via: Connection, id: PaymentMethodId, keyed: Keyed): Promise<PaymentMethod> {
  return via.change({ ...expected, echo: { id, customer: null } }, keyed, (options) =>
    via.sdk.paymentMethods.detach(id, {}, options),
  );
}

/** The method as it is now. @throws AppError NOT_FOUND */
export function retrievePaymentMethod(via: Connection, id: PaymentMethodId): Promise<PaymentMethod> {
  return via.read({ ...expected, echo: { id } }, (options) => via.sdk.paymentMethods.retrieve(id, {}, options));
}

/** All methods of a customer, of every type, newest first. */
export async function listPaymentMethods(via: Connection, customerId: CustomerId): Promise<PaymentMethod[]> {
  const methods: PaymentMethod[] = [];
  const pages = pagesOf<PaymentMethod>(via, null, (page, options) =>
    via.sdk.customers.listPaymentMethods(customerId, page, options),
  );
  for await (const method of pages) methods.push(method);
  return methods;
}
