import type Stripe from 'stripe';
import { type Connection } from './connection.js';
import { findInPages, matches, pagesOf } from './paging.js';
import { type Customer, type CustomerId, type Keyed, type Lookup, type Metadata } from './types.js';

export interface CreateCustomer {
  readonly name?: string;
  readonly email?: string;
  readonly phone?: string;
  readonly description?: string;
  readonly metadata: Metadata;
}

const expected = { object: 'customer', prefix: 'cus_' };

/** Makes the tenant's customer on the tenant's account. Customers do not cross accounts. */
export function createCustomer(via: Connection, input: CreateCustomer, keyed: Keyed): Promise<Customer> {
  const echo = { email: input.email, metadata: input.metadata };
  return via.change({ ...expected, echo }, keyed, (options) => via.sdk.customers.create({ ...input }, options));
}

/** Changes what is named, and leaves the rest as it is. */
export function updateCustomer(
  via: Connection,
  id: CustomerId,
  input: Partial<CreateCustomer>,
  keyed: Keyed,
): Promise<Customer> {
  return via.change({ ...expected, echo: { id, email: input.email } }, keyed, (options) =>
    via.sdk.customers.update(id, { ...input }, options),
  );
}

/** The customer as it is now; null when the tenant deleted it at Stripe. @throws AppError NOT_FOUND */
export async function retrieveCustomer(via: Connection, id: CustomerId): Promise<Customer | null> {
  const customer: Stripe.Customer | Stripe.DeletedCustomer = await via.read({ ...expected, echo: { id } }, (options) =>
    via.sdk.customers.retrieve(id, {}, options),
  );
  return customer.deleted ? null : customer;
}

/** The customer that carries this metadata; null when it is certain that there is none among those made since. */
export function findCustomer(
  via: Connection,
  { metadata, since, email }: Lookup & { readonly email?: string },
): Promise<Customer | null> {
  const customers = pagesOf<Customer>(via, since, (page, options) =>
    via.sdk.customers.list({ ...page, email }, options),
  );
  return findInPages(customers, (customer) => matches(customer.metadata, metadata));
}
