import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { randomText } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { fullAddress, fullShipping, inRange, listParams, mergeMetadata, type Params, p, shapes } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { search, searchParams } from '../search.js';
import { attachMethod, detachMethod, resolveMethod } from './payment-methods.js';

const invoiceSettings = p.hash({
  custom_fields: p.any(),
  default_payment_method: p.string().clearable(),
  footer: p.string().clearable(),
  rendering_options: p.any(),
});
const shipping = p
  .hash({ address: p.hash(shapes.address).required(), name: p.string().required(), phone: p.string() })
  .clearable();
const update = {
  address: p.hash(shapes.address).clearable(),
  balance: p.int(),
  business_name: p.string().clearable(),
  cash_balance: p.any(),
  description: p.string().clearable(),
  email: p.string().clearable(),
  individual_name: p.string().clearable(),
  invoice_prefix: p.string(),
  invoice_settings: invoiceSettings,
  metadata: p.metadata(),
  name: p.string().clearable(),
  next_invoice_sequence: p.int(),
  phone: p.string().clearable(),
  preferred_locales: p.array(p.string()),
  shipping,
  source: p.string(),
  tax: p.any(),
  tax_exempt: p.enum('exempt', 'none', 'reverse').clearable(),
  validate: p.boolean(),
};
const create = { ...update, payment_method: p.string(), tax_id_data: p.any(), test_clock: p.string() };

type Change = Params<typeof update>;

function apply(ctx: Context, customer: Stripe.Customer, params: Change): void {
  const { metadata, invoice_settings: settings, shipping: ship, address, ...rest } = params;
  for (const name of [
    'description',
    'email',
    'name',
    'phone',
    'preferred_locales',
    'tax_exempt',
    'invoice_prefix',
    'next_invoice_sequence',
    'balance',
  ] as const) {
    if (rest[name] !== undefined) Object.assign(customer, { [name]: rest[name] });
  }
  if (address !== undefined) customer.address = address && fullAddress(address);
  if (ship !== undefined) customer.shipping = (ship && fullShipping(ship)) as Stripe.Customer.Shipping | null;
  customer.metadata = mergeMetadata(customer.metadata, metadata);
  if (settings?.footer !== undefined) customer.invoice_settings.footer = settings.footer;
  if (settings?.default_payment_method !== undefined) {
    const method = settings.default_payment_method;
    if (method !== null) {
      const found = ctx.table('payment_method').require(method, 'invoice_settings[default_payment_method]');
      if (found.customer !== customer.id) {
        throw invalid(
          `The customer does not have a payment method with the ID ${method}. The payment method must be attached to the customer.`,
          'invoice_settings[default_payment_method]',
          'resource_missing',
        );
      }
    }
    customer.invoice_settings.default_payment_method = method;
  }
}

/** Makes a customer. With `test_clock` it lives at that clock's time. */
export function createCustomer(ctx: Context, params: Params<typeof create>): Stripe.Customer {
  if (params.test_clock !== undefined) ctx.table('test_helpers.test_clock').require(params.test_clock, 'test_clock');
  const now = ctx.timeOf(params);
  const customer: Stripe.Customer = {
    id: `cus_${randomText(14)}`,
    object: 'customer',
    address: null,
    balance: 0,
    created: now,
    currency: null,
    customer_account: null,
    default_source: null,
    delinquent: false,
    description: null,
    discount: null,
    email: null,
    invoice_prefix: randomText(8).toUpperCase(),
    invoice_settings: { custom_fields: null, default_payment_method: null, footer: null, rendering_options: null },
    livemode: false,
    metadata: {},
    name: null,
    next_invoice_sequence: 1,
    phone: null,
    preferred_locales: [],
    shipping: null,
    tax_exempt: 'none',
    test_clock: params.test_clock ?? null,
  };
  const { payment_method: methodId } = params;
  const { invoice_settings: settings, ...rest } = params;
  apply(ctx, customer, rest);
  ctx.table('customer').insert(customer);
  try {
    const method = methodId === undefined ? undefined : attachMethod(ctx, resolveMethod(ctx, methodId), customer.id);
    // A test method named in both places is one and the same new method.
    if (settings?.default_payment_method && method && settings.default_payment_method === methodId)
      settings.default_payment_method = method.id;
    if (settings) apply(ctx, customer, { invoice_settings: settings });
  } catch (error) {
    // A refused method means that there is no customer either.
    ctx.table('customer').delete(customer.id);
    throw error;
  }
  ctx.emit('customer.created', customer);
  return customer;
}

function deleteCustomer(ctx: Context, id: string): Stripe.DeletedCustomer {
  const customer = ctx.table('customer').require(id, 'id');
  ctx.sandbox.hook('customerDeleted', ctx, customer);
  for (const method of ctx.table('payment_method').by('customer', id)) detachMethod(ctx, method);
  ctx.table('customer').delete(id);
  ctx.secret<{ deleted: boolean }>(id).deleted = true;
  ctx.emit('customer.deleted', customer);
  return { id, object: 'customer', deleted: true };
}

/** Customers. {@link https://docs.stripe.com/api/customers} */
export const customers: Resource = {
  expandable: ['customer', 'test_clock'],
  includable: {
    customer: {
      sources: (_ctx, { id }: Stripe.Customer) => embeddedList([], `/v1/customers/${id}/sources`),
      subscriptions: (ctx, { id }: Stripe.Customer) =>
        embeddedList(
          ctx
            .table('subscription')
            .by('customer', id)
            .filter((subscription) => subscription.status !== 'canceled'),
          `/v1/customers/${id}/subscriptions`,
        ),
      tax_ids: (_ctx, { id }: Stripe.Customer) => embeddedList([], `/v1/customers/${id}/tax_ids`),
    },
  },
  routes: [
    route('POST', '/v1/customers', create, createCustomer),
    route(
      'GET',
      '/v1/customers',
      { ...listParams, created: p.range(), email: p.string(), test_clock: p.string() },
      (ctx, { created, email, test_clock: clock, ...page }) =>
        listPage(
          ctx.table('customer'),
          '/v1/customers',
          page,
          (customer) =>
            inRange(customer.created, created) &&
            (email === undefined || customer.email === email) &&
            (clock === undefined ? true : customer.test_clock === clock),
        ),
    ),
    route('GET', '/v1/customers/search', searchParams, (ctx, params) =>
      search(ctx.table('customer').newestFirst(), '/v1/customers/search', params),
    ),
    route('GET', '/v1/customers/:id', {}, (ctx, _params, { id }) => {
      if (ctx.secret<{ deleted: boolean }>(id).deleted) return { id, object: 'customer', deleted: true };
      return ctx.table('customer').require(id);
    }),
    route('POST', '/v1/customers/:id', update, (ctx, params, { id }) =>
      ctx.change(ctx.table('customer').require(id), 'customer.updated', (customer) => apply(ctx, customer, params)),
    ),
    route('DELETE', '/v1/customers/:id', {}, (ctx, _params, { id }) => deleteCustomer(ctx, id)),
    route(
      'GET',
      '/v1/customers/:id/payment_methods',
      { ...listParams, type: p.string(), allow_redisplay: p.string() },
      (ctx, { type, allow_redisplay: redisplay, ...page }, { id }) => {
        ctx.table('customer').require(id, 'customer');
        return listPage(
          ctx.table('payment_method').by('customer', id).reverse(),
          `/v1/customers/${id}/payment_methods`,
          page,
          (method) =>
            (type === undefined || method.type === type) &&
            (redisplay === undefined || method.allow_redisplay === redisplay),
        );
      },
    ),
    route('GET', '/v1/customers/:id/payment_methods/:method', {}, (ctx, _params, { id, method }) => {
      const found = ctx.table('payment_method').require(method, 'payment_method');
      if (found.customer !== id)
        throw invalid(
          `No such PaymentMethod: '${method}'; it is not attached to this customer.`,
          'payment_method',
          'resource_missing',
        );
      return found;
    }),
  ],
};
