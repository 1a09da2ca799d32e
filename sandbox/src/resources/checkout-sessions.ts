import type Stripe from 'stripe';
import { priceAmount } from '../billing/amounts.js';
import { type CheckoutItem, checkoutState, complete, expireSession, followCheckout } from '../billing/checkout.js';
import { checkoutParams } from '../billing/checkout-params.js';
import { unsupported } from '../billing/unsupported.js';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { randomText } from '../ids.js';
import { embeddedList, listPage } from '../list.js';
import { checkAmount } from '../money.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { checkTypesParam, methodTypes } from './payment-intents.js';
import { priceFrom } from './prices.js';
import { createSetupIntent } from './setup-intents.js';

type Session = Stripe.Checkout.Session;

function itemsOf(ctx: Context, params: Params<typeof checkoutParams>, mode: string): CheckoutItem[] {
  const given = params.line_items ?? [];
  if (mode === 'setup') {
    if (given.length > 0) throw invalid('`line_items` cannot be used in `setup` mode.', 'line_items');
    return [];
  }
  if (given.length === 0) throw invalid('Missing required param: line_items.', 'line_items', 'parameter_missing');
  const items = given.map((line, i) => {
    const named = {
      ...(line.price !== undefined && { price: line.price }),
      ...(line.price_data && { price_data: line.price_data }),
    };
    const price = priceFrom(ctx, named, `line_items[${i}]`);
    if (mode === 'payment' && price.recurring)
      throw invalid(
        'You specified `payment` mode but passed a recurring price. Either switch to `subscription` mode or use only one-time prices.',
        `line_items[${i}][price]`,
      );
    const quantity = line.quantity ?? 1;
    if (quantity < 1)
      throw invalid(
        'This value must be greater than or equal to 1.',
        `line_items[${i}][quantity]`,
        'parameter_invalid_integer',
      );
    return {
      item: {
        id: `li_${randomText(24)}`,
        price: price.id,
        quantity,
        amount: priceAmount(price, quantity),
        description: ctx.table('product').get(idOf(price.product))?.name ?? price.id,
        metadata: mergeMetadata({}, line.metadata),
      },
      price,
    };
  });
  if (mode === 'subscription' && !items.some(({ price }) => price.recurring))
    throw invalid('You must provide at least one recurring price in `subscription` mode.', 'line_items');
  if (new Set(items.map(({ price }) => price.currency)).size > 1)
    throw invalid('All prices of a Checkout Session must have the same currency.', 'line_items');
  return items.map(({ item }) => item);
}

function checkUrls(params: Params<typeof checkoutParams>, ui: string): void {
  if (ui === 'hosted_page') {
    if (params.success_url === undefined)
      throw invalid('Missing required param: success_url.', 'success_url', 'parameter_missing');
    if (params.return_url !== undefined)
      throw invalid('You can only use `return_url` with a `ui_mode` other than `hosted_page`.', 'return_url');
  }
  for (const name of ['success_url', 'cancel_url', 'return_url'] as const)
    if (params[name] !== undefined && !/^https?:\/\//.test(params[name]))
      throw invalid('Not a valid URL', name, 'url_invalid');
}

function createSession(ctx: Context, params: Params<typeof checkoutParams>): Session {
  const mode = params.mode ?? 'payment';
  const ui = params.ui_mode ?? 'hosted_page';
  checkTypesParam(ctx, params.payment_method_types);
  checkUrls(params, ui);
  if (params.payment_intent_data && mode !== 'payment')
    throw invalid('You can not pass `payment_intent_data` in a mode other than `payment`.', 'payment_intent_data');
  if (params.subscription_data && mode !== 'subscription')
    throw invalid('You can not pass `subscription_data` in a mode other than `subscription`.', 'subscription_data');
  if (params.customer !== undefined && params.customer_email !== undefined)
    throw invalid(
      'You may only specify one of these parameters: customer, customer_email.',
      'customer',
      'parameters_exclusive',
    );
  const customer = params.customer === undefined ? null : ctx.table('customer').require(params.customer, 'customer');
  const now = ctx.now;
  const expires = params.expires_at ?? now + 86_400;
  if (expires < now + 1_790 || expires > now + 86_410)
    throw invalid(
      'The `expires_at` timestamp must be at least 30 minutes and at most 24 hours from Checkout Session creation.',
      'expires_at',
    );
  const items = itemsOf(ctx, params, mode);
  const first = items[0] && ctx.table('price').get(items[0].price);
  const account = ctx.platform.table('account').get(ctx.account);
  const currency =
    first?.currency ?? params.currency ?? (mode === 'setup' ? null : (account?.default_currency ?? 'usd'));
  const total = items.reduce((sum, item) => sum + item.amount, 0);
  if (mode === 'payment' && total > 0) checkAmount(total, currency ?? 'usd', 'line_items');
  const named = params.payment_method_types ?? params.allowed_payment_method_types;
  const types = (named ?? methodTypes(ctx, currency ?? account?.default_currency ?? 'usd')).filter(
    (type) => !params.excluded_payment_method_types?.includes(type),
  );
  const id = `cs_test_${randomText(56)}`;
  const setup =
    mode === 'setup'
      ? createSetupIntent(ctx, {
          ...(customer && { customer: customer.id }),
          ...(params.setup_intent_data?.description !== undefined && {
            description: params.setup_intent_data.description,
          }),
          ...(params.setup_intent_data?.metadata !== undefined && { metadata: params.setup_intent_data.metadata }),
        })
      : null;
  if (setup) ctx.secret<{ checkout: string }>(setup.id).checkout = id;
  const text = params.custom_text;
  const session: Session = {
    id,
    object: 'checkout.session',
    adaptive_pricing: { enabled: params.adaptive_pricing?.enabled ?? false },
    after_expiration: null,
    allow_promotion_codes: params.allow_promotion_codes ?? null,
    allowed_payment_method_types: params.allowed_payment_method_types ?? null,
    amount_subtotal: mode === 'setup' ? null : total,
    amount_total: mode === 'setup' ? null : total,
    automatic_tax: { enabled: false, liability: null, provider: null, status: null },
    billing_address_collection: params.billing_address_collection ?? null,
    cancel_url: params.cancel_url ?? null,
    client_reference_id: params.client_reference_id ?? null,
    client_secret: ui === 'hosted_page' ? null : `${id}_secret_${randomText(40)}`,
    collected_information: { business_name: null, individual_name: null, shipping_details: null },
    consent: null,
    consent_collection: null,
    created: now,
    currency,
    currency_conversion: null,
    custom_fields: [],
    custom_text: {
      after_submit: text?.after_submit ?? null,
      shipping_address: text?.shipping_address ?? null,
      submit: text?.submit ?? null,
      terms_of_service_acceptance: text?.terms_of_service_acceptance ?? null,
    },
    customer: customer?.id ?? null,
    customer_account: null,
    customer_creation: customer ? null : mode === 'payment' ? (params.customer_creation ?? 'if_required') : 'always',
    customer_details: null,
    customer_email: params.customer_email ?? null,
    discounts: mode === 'setup' ? null : [],
    expires_at: expires,
    integration_identifier: params.integration_identifier ?? null,
    invoice: null,
    invoice_creation:
      mode === 'payment'
        ? {
            enabled: false,
            invoice_data: {
              account_tax_ids: null,
              custom_fields: null,
              description: null,
              footer: null,
              issuer: null,
              metadata: {},
              rendering_options: null,
            },
          }
        : null,
    livemode: false,
    locale: params.locale ?? null,
    managed_payments: null,
    metadata: mergeMetadata({}, params.metadata),
    mode,
    origin_context: params.origin_context ?? null,
    payment_intent: null,
    payment_link: null,
    payment_method_collection: params.payment_method_collection ?? (mode === 'payment' ? 'if_required' : 'always'),
    payment_method_configuration_details: named ? null : { id: `pmc_${ctx.account.slice(5)}`, parent: null },
    payment_method_options: params.payment_method_options ?? {
      card: { request_three_d_secure: 'automatic' },
    },
    payment_method_types: types,
    payment_status: mode === 'setup' || total === 0 ? 'no_payment_required' : 'unpaid',
    permissions: null,
    phone_number_collection: { enabled: params.phone_number_collection?.enabled ?? false },
    recovered_from: null,
    ...(ui !== 'hosted_page' && { redirect_on_completion: params.redirect_on_completion ?? 'always' }),
    ...(params.return_url !== undefined && { return_url: params.return_url }),
    saved_payment_method_options: null,
    setup_intent: setup?.id ?? null,
    shipping_address_collection: null,
    shipping_cost: null,
    shipping_options: [],
    status: 'open',
    submit_type: params.submit_type ?? null,
    subscription: null,
    success_url: params.success_url ?? null,
    total_details: mode === 'setup' ? null : { amount_discount: 0, amount_shipping: 0, amount_tax: 0 },
    ui_mode: ui,
    url: ui === 'hosted_page' ? `${ctx.url}/c/pay/${ctx.account}/${id}` : null,
    wallet_options: null,
  };
  ctx.table('checkout.session').insert(session);
  Object.assign(checkoutState(ctx, id), {
    items,
    intentData: params.payment_intent_data ?? {},
    subscriptionData: params.subscription_data ?? {},
  });
  ctx.schedule(expires, 'checkout.expire', id);
  return session;
}

function lineItems(ctx: Context, session: Session): Stripe.LineItem[] {
  return (checkoutState(ctx, session.id).items ?? []).map((item) => ({
    id: item.id,
    object: 'item',
    adjustable_quantity: null,
    amount_discount: 0,
    amount_subtotal: item.amount,
    amount_tax: 0,
    amount_total: item.amount,
    currency: session.currency ?? 'usd',
    description: item.description,
    metadata: item.metadata,
    price: ctx.table('price').get(item.price) ?? null,
    quantity: item.quantity,
  }));
}

const find = (ctx: Context, id: string): Session => ctx.table('checkout.session').require(id, 'session');

/** Checkout sessions; their page stands in `checkout-pages.ts`. {@link https://docs.stripe.com/api/checkout/sessions} */
export const checkoutSessions: Resource = {
  expandable: ['payment_intent', 'setup_intent', 'subscription', 'invoice', 'customer'],
  includable: {
    'checkout.session': {
      line_items: (ctx, session: Session) =>
        embeddedList(lineItems(ctx, session), `/v1/checkout/sessions/${session.id}/line_items`),
    },
  },
  hooks: {
    intentChanged: followCheckout,
    setupSucceeded: (ctx, intent) => {
      const { checkout } = ctx.secret<{ checkout: string }>(intent.id);
      const session = checkout === undefined ? undefined : ctx.table('checkout.session').get(checkout);
      if (session) complete(ctx, session, 'no_payment_required');
    },
  },
  due: {
    'checkout.expire': (ctx, { ref }) => {
      const session = ctx.table('checkout.session').get(ref);
      if (session?.status === 'open') expireSession(ctx, session);
    },
  },
  routes: [
    route('POST', '/v1/checkout/sessions', checkoutParams, createSession),
    route(
      'GET',
      '/v1/checkout/sessions',
      {
        ...listParams,
        created: p.range(),
        customer: p.string(),
        customer_account: p.string(),
        customer_details: p.hash({ email: p.string().required() }),
        payment_intent: p.string(),
        payment_link: p.string(),
        status: p.enum('complete', 'expired', 'open'),
        subscription: p.string(),
      },
      (ctx, { created, customer, customer_details: details, payment_intent: intent, status, subscription, ...page }) =>
        listPage(
          ctx.table('checkout.session'),
          '/v1/checkout/sessions',
          {
            ...(page.limit !== undefined && { limit: page.limit }),
            ...(page.starting_after !== undefined && { starting_after: page.starting_after }),
            ...(page.ending_before !== undefined && { ending_before: page.ending_before }),
          },
          (session) =>
            inRange(session.created, created) &&
            (customer === undefined || session.customer === customer) &&
            (details === undefined || session.customer_details?.email === details.email) &&
            (intent === undefined || session.payment_intent === intent) &&
            (status === undefined || session.status === status) &&
            (subscription === undefined || session.subscription === subscription),
        ),
    ),
    route('GET', '/v1/checkout/sessions/:id', {}, (ctx, _params, { id }) => find(ctx, id)),
    route(
      'POST',
      '/v1/checkout/sessions/:id',
      {
        metadata: p.metadata(),
        collected_information: unsupported('shipping'),
        line_items: unsupported('changes of line items'),
        payment_intent_data: unsupported('changes of payment_intent_data'),
        shipping_options: unsupported('shipping'),
      },
      (ctx, { metadata }, { id }) => {
        const session = find(ctx, id);
        session.metadata = mergeMetadata(session.metadata ?? {}, metadata);
        return session;
      },
    ),
    route('POST', '/v1/checkout/sessions/:id/expire', {}, (ctx, _params, { id }) => expireSession(ctx, find(ctx, id))),
    route('GET', '/v1/checkout/sessions/:id/line_items', listParams, (ctx, page, { id }) =>
      listPage(lineItems(ctx, find(ctx, id)), `/v1/checkout/sessions/${id}/line_items`, page),
    ),
  ],
};
