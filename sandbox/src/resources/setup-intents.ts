import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { cardError, invalid, missing, StripeError } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { listPage } from '../list.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { type Decline } from '../test-methods.js';
import { applicationId } from './balance.js';
import { createMandate, mandateData } from './mandates.js';
import { methodTypes } from './payment-intents.js';
import {
  attachMethod,
  behaviourOf,
  createMethod,
  declineFields,
  methodData,
  type MethodState,
  resolveMethod,
} from './payment-methods.js';

type Intent = Stripe.SetupIntent;

interface SetupState {
  challenge: string;
  returnUrl: string | null;
  mandateData: Params<{ data: typeof mandateData }>['data'];
}

const confirming = {
  confirmation_token: p.string(),
  mandate_data: mandateData.clearable(),
  return_url: p.string(),
  use_stripe_sdk: p.boolean(),
};
const common = {
  allowed_payment_method_types: p.array(p.string()),
  payment_method: p.string(),
  payment_method_data: p.hash(methodData),
  payment_method_options: p.record(p.any()),
  payment_method_types: p.array(p.string()),
};
const described = {
  attach_to_self: p.boolean(),
  excluded_payment_method_types: p.array(p.string()),
  flow_directions: p.array(p.enum('inbound', 'outbound')),
  payment_method_configuration: p.string(),
  customer: p.string(),
  customer_account: p.string(),
  description: p.string(),
  metadata: p.metadata(),
};
const createParams = {
  ...common,
  ...confirming,
  ...described,
  automatic_payment_methods: p.hash({ enabled: p.boolean().required(), allow_redirects: p.enum('always', 'never') }),
  confirm: p.boolean(),
  on_behalf_of: p.string(),
  single_use: p.any(),
  usage: p.enum('off_session', 'on_session'),
};
const confirmParams = {
  ...common,
  ...confirming,
  client_secret: p.string(),
  expected_payment_method_type: p.string(),
  client_context: p.any(),
  client_attribution_metadata: p.any(),
};

function checkTypesParam(ctx: Context, types: string[] | undefined): void {
  if (types && ctx.since('2026-09-30')) {
    throw invalid(
      'The parameter `payment_method_types` is no longer supported in this API version. Use automatic payment methods or `allowed_payment_method_types` instead.',
      'payment_method_types',
      'payment_method_types_no_longer_supported',
    );
  }
}

function methodOf(
  ctx: Context,
  params: { payment_method?: string; payment_method_data?: Params<typeof methodData> },
): Stripe.PaymentMethod | null {
  if (params.payment_method) return resolveMethod(ctx, params.payment_method);
  return params.payment_method_data ? createMethod(ctx, params.payment_method_data) : null;
}

/** Makes a setup intent, without confirming it. */
export function createSetupIntent(ctx: Context, params: Params<typeof createParams>): Intent {
  checkTypesParam(ctx, params.payment_method_types);
  const customer = params.customer === undefined ? null : ctx.table('customer').require(params.customer, 'customer');
  const named = params.payment_method_types ?? params.allowed_payment_method_types;
  const automatic = params.automatic_payment_methods?.enabled ?? (named === undefined && ctx.since('2023-08-16'));
  const currency = ctx.platform.table('account').get(ctx.account)?.default_currency ?? 'usd';
  const types = named ?? (automatic ? methodTypes(ctx, currency) : ['card']);
  const id = newId('setup_intent');
  const method = methodOf(ctx, params);
  const intent = ctx.table('setup_intent').insert({
    id,
    object: 'setup_intent',
    allowed_payment_method_types: params.allowed_payment_method_types ?? null,
    application: ctx.isPlatform ? null : applicationId,
    automatic_payment_methods: automatic
      ? { allow_redirects: params.automatic_payment_methods?.allow_redirects ?? 'always', enabled: true }
      : null,
    cancellation_reason: null,
    client_secret: `${id}_secret_${randomText(31)}`,
    created: ctx.timeOf(customer),
    customer: customer?.id ?? null,
    customer_account: null,
    description: params.description ?? null,
    excluded_payment_method_types: null,
    flow_directions: null,
    last_setup_error: null,
    latest_attempt: null,
    livemode: false,
    managed_payments: null,
    mandate: null,
    metadata: mergeMetadata({}, params.metadata),
    next_action: null,
    on_behalf_of: params.on_behalf_of ?? null,
    payment_method: method?.id ?? null,
    payment_method_configuration_details: automatic ? { id: `pmc_${ctx.account.slice(5)}`, parent: null } : null,
    payment_method_options: { card: { mandate_options: null, network: null, request_three_d_secure: 'automatic' } },
    payment_method_types: types,
    single_use_mandate: null,
    status: method ? 'requires_confirmation' : 'requires_payment_method',
    usage: params.usage ?? 'off_session',
  });
  ctx.emit('setup_intent.created', intent);
  return intent;
}

/** Each try leaves an attempt. {@link https://docs.stripe.com/api/setup_attempts} */
function record(
  ctx: Context,
  intent: Intent,
  method: Stripe.PaymentMethod,
  status: string,
  error: Stripe.SetupAttempt.SetupError | null,
): void {
  const { card } = method;
  intent.latest_attempt = ctx.table('setup_attempt').insert({
    id: newId('setup_attempt'),
    object: 'setup_attempt',
    application: intent.application,
    created: ctx.now,
    customer: idOf(intent.customer),
    customer_account: null,
    flow_directions: null,
    livemode: false,
    on_behalf_of: null,
    payment_method: method.id,
    payment_method_details: {
      type: method.type,
      ...(card && {
        card: {
          brand: card.brand,
          checks: card.checks,
          country: card.country,
          exp_month: card.exp_month,
          exp_year: card.exp_year,
          fingerprint: card.fingerprint ?? null,
          funding: card.funding,
          last4: card.last4,
          network: card.brand,
          three_d_secure: null,
          wallet: null,
        },
      }),
      ...(!card && { [method.type]: {} }),
    },
    setup_error: error,
    setup_intent: intent.id,
    status,
    usage: intent.usage,
  }).id;
}

function fail(ctx: Context, intent: Intent, method: Stripe.PaymentMethod, why: Decline): void {
  intent.status = 'requires_payment_method';
  intent.next_action = null;
  intent.payment_method = null;
  intent.last_setup_error = {
    ...(declineFields(why) as { code: Stripe.SetupIntent.LastSetupError.Code }),
    doc_url: `https://stripe.com/docs/error-codes/${why.code.replaceAll('_', '-')}`,
    message: why.message,
    payment_method: JSON.parse(JSON.stringify(method)) as Stripe.PaymentMethod,
    type: why.code.startsWith('setup_intent') ? 'invalid_request_error' : 'card_error',
  };
  record(ctx, intent, method, 'failed', intent.last_setup_error);
  ctx.emit('setup_intent.setup_failed', intent);
}

function succeed(ctx: Context, intent: Intent, method: Stripe.PaymentMethod): void {
  intent.next_action = null;
  intent.last_setup_error = null;
  ctx.secret<MethodState>(method.id).setUp = true;
  const customer = idOf(intent.customer);
  if (customer !== null) attachMethod(ctx, method, customer);
  if (method.type !== 'card') {
    const { mandateData: data = null } = ctx.secret<SetupState>(intent.id);
    intent.mandate = createMandate(ctx, method, data, null).id;
  }
  intent.status = 'succeeded';
  record(ctx, intent, method, 'succeeded', null);
  ctx.emit('setup_intent.succeeded', intent);
  ctx.sandbox.hook('setupSucceeded', ctx, intent);
}

/** @throws StripeError 402 when the bank declined, 400 when it cannot be confirmed */
export function confirmSetupIntent(
  ctx: Context,
  intent: Intent,
  params: Omit<Params<typeof confirmParams>, 'client_secret'>,
): Intent {
  if (intent.status === 'succeeded' || intent.status === 'canceled') {
    throw unexpected(
      intent,
      `You cannot confirm this SetupIntent because it has already ${intent.status === 'succeeded' ? 'succeeded' : 'been canceled'}.`,
    );
  }
  const current = idOf(intent.payment_method);
  const method =
    methodOf(ctx, params) ?? (current === null ? null : ctx.table('payment_method').require(current, 'payment_method'));
  if (!method)
    throw unexpected(
      intent,
      "You cannot confirm this SetupIntent because it's missing a payment method. Update the SetupIntent with a payment method and then confirm it again.",
    );
  if (method.customer !== null && method.customer !== intent.customer) {
    throw invalid(
      'The payment method supplied belongs to a different Customer than the one on this SetupIntent.',
      'payment_method',
    );
  }
  if (
    ctx.key === 'secret' &&
    intent.automatic_payment_methods?.allow_redirects === 'always' &&
    !params.return_url &&
    !params.use_stripe_sdk
  ) {
    throw invalid(
      "This SetupIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[allow_redirects]` to `never`.",
      'return_url',
    );
  }
  intent.payment_method = method.id;
  const { decline, declinesOnlyCharges, authentication } = behaviourOf(ctx, method.id);
  const state = ctx.secret<SetupState>(intent.id);
  if (params.mandate_data) state.mandateData = params.mandate_data;
  if (authentication) {
    state.challenge = randomText(24);
    state.returnUrl = params.return_url ?? null;
    const url = `${ctx.url}/3ds/${ctx.account}/${intent.id}/${state.challenge}`;
    intent.status = 'requires_action';
    intent.next_action =
      params.return_url && !params.use_stripe_sdk
        ? { type: 'redirect_to_url', redirect_to_url: { return_url: params.return_url, url } }
        : {
            type: 'use_stripe_sdk',
            use_stripe_sdk: { type: 'three_d_secure_redirect', stripe_js: url, source: `src_${randomText(24)}` },
          };
    record(ctx, intent, method, 'requires_action', null);
    ctx.emit('setup_intent.requires_action', intent);
    return intent;
  }
  if (decline && !declinesOnlyCharges) {
    fail(ctx, intent, method, decline);
    throw cardError(decline.message, {
      ...declineFields(decline),
      payment_method: JSON.parse(JSON.stringify(method)),
      setup_intent: JSON.parse(JSON.stringify(intent)),
    });
  }
  succeed(ctx, intent, method);
  return intent;
}

/** The end of a 3-D Secure challenge. */
export function authenticateSetup(ctx: Context, intent: Intent, result: 'succeed' | 'fail'): Intent {
  if (intent.status !== 'requires_action')
    throw unexpected(intent, `This SetupIntent does not require any action; its status is ${intent.status}.`);
  const method = ctx.table('payment_method').require(idOf(intent.payment_method) ?? '');
  delete ctx.secret<SetupState>(intent.id).challenge;
  if (result === 'succeed') succeed(ctx, intent, method);
  else {
    const message = 'The latest attempt to set up the payment method has failed because authentication failed.';
    fail(ctx, intent, method, { code: 'setup_intent_authentication_failure', message });
  }
  return intent;
}

function unexpected(intent: Intent, message: string): StripeError {
  return new StripeError(400, message, {
    code: 'setup_intent_unexpected_state',
    setup_intent: JSON.parse(JSON.stringify(intent)),
  });
}

function intentFor(ctx: Context, id: string, clientSecret: string | undefined): Intent {
  const intent = ctx.table('setup_intent').get(id);
  if (!intent) throw missing('setupintent', id, 'intent');
  if (ctx.key === 'publishable' && clientSecret === undefined) {
    throw new StripeError(401, 'A publishable key can only retrieve a SetupIntent together with its client_secret.', {
      code: 'secret_key_required',
      param: 'client_secret',
    });
  }
  if (clientSecret !== undefined && clientSecret !== intent.client_secret) {
    throw invalid(
      'The client_secret provided does not match the client_secret associated with the SetupIntent.',
      'client_secret',
      'setup_intent_invalid_parameter',
    );
  }
  return intent;
}

function visible(ctx: Context, intent: Intent): object {
  if (ctx.key !== 'publishable') return intent;
  const {
    application: _a,
    customer: _c,
    metadata: _m,
    latest_attempt: _l,
    mandate: _d,
    on_behalf_of: _o,
    single_use_mandate: _s,
    ...rest
  } = intent;
  return rest;
}

/** Setup intents. {@link https://docs.stripe.com/api/setup_intents} */
export const setupIntents: Resource = {
  expandable: ['setup_intent', 'latest_attempt'],
  routes: [
    route('POST', '/v1/setup_intents', createParams, (ctx, params) => {
      const intent = createSetupIntent(ctx, params);
      if (!params.confirm) return intent;
      const { payment_method: _method, payment_method_data: _data, ...rest } = params;
      try {
        return confirmSetupIntent(ctx, intent, rest);
      } catch (error) {
        if (error instanceof StripeError && error.status === 400) ctx.table('setup_intent').delete(intent.id);
        throw error;
      }
    }),
    route(
      'GET',
      '/v1/setup_intents',
      {
        ...listParams,
        created: p.range(),
        customer: p.string(),
        payment_method: p.string(),
        attach_to_self: p.boolean(),
        customer_account: p.string(),
      },
      (ctx, { created, customer, payment_method: method, ...page }) =>
        listPage(
          ctx.table('setup_intent'),
          '/v1/setup_intents',
          page,
          (intent) =>
            inRange(intent.created, created) &&
            (customer === undefined || intent.customer === customer) &&
            (method === undefined || intent.payment_method === method),
        ),
    ),
    route(
      'GET',
      '/v1/setup_intents/:id',
      { client_secret: p.string(), is_stripe_sdk: p.boolean() },
      (ctx, params, { id }) => visible(ctx, intentFor(ctx, id, params.client_secret)),
      'publishable',
    ),
    route('POST', '/v1/setup_intents/:id', { ...common, ...described }, (ctx, params, { id }) => {
      const intent = ctx.table('setup_intent').require(id, 'intent');
      checkTypesParam(ctx, params.payment_method_types);
      if (intent.status === 'succeeded' || intent.status === 'canceled')
        throw unexpected(intent, `You cannot update this SetupIntent because it has already ${intent.status}.`);
      if (params.customer !== undefined)
        intent.customer = ctx.table('customer').require(params.customer, 'customer').id;
      if (params.description !== undefined) intent.description = params.description;
      const method = methodOf(ctx, params);
      if (method) Object.assign(intent, { payment_method: method.id, status: 'requires_confirmation' });
      intent.metadata = mergeMetadata(intent.metadata ?? {}, params.metadata);
      return intent;
    }),
    route(
      'POST',
      '/v1/setup_intents/:id/confirm',
      confirmParams,
      (ctx, { client_secret: secret, ...params }, { id }) =>
        visible(ctx, confirmSetupIntent(ctx, intentFor(ctx, id, secret), params)),
      'publishable',
    ),
    route(
      'POST',
      '/v1/setup_intents/:id/cancel',
      { cancellation_reason: p.enum('abandoned', 'duplicate', 'requested_by_customer') },
      (ctx, { cancellation_reason: reason }, { id }) => {
        const intent = ctx.table('setup_intent').require(id, 'intent');
        if (intent.status === 'succeeded' || intent.status === 'canceled') {
          throw unexpected(intent, `You cannot cancel this SetupIntent because it has a status of ${intent.status}.`);
        }
        Object.assign(intent, {
          status: 'canceled',
          cancellation_reason: reason ?? null,
          next_action: null,
        } satisfies Partial<Intent>);
        ctx.emit('setup_intent.canceled', intent);
        return intent;
      },
    ),
    route(
      'GET',
      '/v1/setup_attempts',
      { ...listParams, setup_intent: p.string().required(), created: p.range() },
      (ctx, { setup_intent: intent, created, ...page }) =>
        listPage(
          ctx.table('setup_attempt').by('setup_intent', intent).reverse(),
          '/v1/setup_attempts',
          page,
          (attempt) => inRange(attempt.created, created),
        ),
    ),
    route(
      'POST',
      '/_control/setup_intents/:id/authenticate',
      { result: p.enum('succeed', 'fail').required() },
      (ctx, { result }, { id }) => {
        for (const partition of ctx.sandbox.store.all()) {
          const intent = partition.table('setup_intent').get(id);
          if (intent) return authenticateSetup(ctx.on(partition.account), intent, result);
        }
        throw missing('setup_intent', id);
      },
      'public',
    ),
  ],
};
