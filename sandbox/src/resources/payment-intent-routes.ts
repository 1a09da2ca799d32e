import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, missing, StripeError } from '../errors.js';
import { listPage } from '../list.js';
import { checkAmount, checkCurrency } from '../money.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { search, searchParams } from '../search.js';
import {
  authenticate,
  cancel,
  capture,
  checkMethod,
  finishDebit,
  intentState,
  unexpected,
} from './payment-intent-flow.js';
import { confirmParams, createParams, updateParams } from './payment-intent-params.js';
import {
  applyCommon,
  checkAccount,
  checkTypesParam,
  confirmIntent,
  createIntent,
  methodOf,
} from './payment-intents.js';

type Intent = Stripe.PaymentIntent;

const changeable = new Set(['requires_payment_method', 'requires_confirmation', 'requires_action']);

function updateIntent(ctx: Context, intent: Intent, params: Params<typeof updateParams>): Intent {
  checkTypesParam(ctx, params.payment_method_types);
  const touchesMoney = [
    'amount',
    'currency',
    'customer',
    'payment_method',
    'payment_method_data',
    'application_fee_amount',
    'capture_method',
  ] as const;
  if (!changeable.has(intent.status) && touchesMoney.some((name) => params[name] !== undefined)) {
    throw unexpected(
      ctx,
      intent,
      `This PaymentIntent's ${touchesMoney.find((name) => params[name] !== undefined)} could not be updated because it has a status of ${intent.status}.`,
    );
  }
  const currency = params.currency === undefined ? intent.currency : checkCurrency(params.currency);
  const amount = params.amount ?? intent.amount;
  if (params.amount !== undefined || params.currency !== undefined) checkAmount(amount, currency);
  const fee =
    params.application_fee_amount === undefined ? intent.application_fee_amount : params.application_fee_amount;
  if (params.application_fee_amount !== undefined || params.amount !== undefined)
    checkAccount(ctx, currency, fee, amount);
  if (params.customer !== undefined) intent.customer = ctx.table('customer').require(params.customer, 'customer').id;
  Object.assign(intent, { amount, currency, application_fee_amount: fee });
  if (params.payment_method_types) intent.payment_method_types = params.payment_method_types;
  const method = methodOf(ctx, params);
  if (method) {
    checkMethod(ctx, intent, method);
    intent.payment_method = method.id;
    intent.status = 'requires_confirmation';
    intent.next_action = null;
  }
  applyCommon(intent, params);
  for (const name of [
    'description',
    'statement_descriptor',
    'statement_descriptor_suffix',
    'transfer_group',
    'capture_method',
  ] as const) {
    if (params[name] !== undefined) Object.assign(intent, { [name]: params[name] });
  }
  intent.metadata = mergeMetadata(intent.metadata, params.metadata);
  return intent;
}

/** The intent for whom the caller may be: with a publishable key only by its client secret. */
function intentFor(ctx: Context, id: string, clientSecret: string | undefined): Intent {
  const intent = ctx.table('payment_intent').get(id);
  if (!intent) throw missing('payment_intent', id, 'intent');
  if (ctx.key === 'publishable' && clientSecret === undefined) {
    throw new StripeError(401, 'A publishable key can only retrieve a PaymentIntent together with its client_secret.', {
      code: 'secret_key_required',
      param: 'client_secret',
    });
  }
  if (clientSecret !== undefined && clientSecret !== intent.client_secret) {
    throw invalid(
      'The client_secret provided does not match the client_secret associated with the PaymentIntent.',
      'client_secret',
      'payment_intent_invalid_parameter',
    );
  }
  return intent;
}

const publicFields = [
  'id',
  'object',
  'amount',
  'amount_details',
  'automatic_payment_methods',
  'canceled_at',
  'cancellation_reason',
  'capture_method',
  'client_secret',
  'confirmation_method',
  'created',
  'currency',
  'description',
  'last_payment_error',
  'livemode',
  'next_action',
  'payment_method',
  'payment_method_configuration_details',
  'payment_method_types',
  'processing',
  'receipt_email',
  'setup_future_usage',
  'shipping',
  'source',
  'status',
] as const satisfies (keyof Intent)[];

/** What a browser may see: nothing of fees, metadata or customers. */
function visible(ctx: Context, intent: Intent): object {
  if (ctx.key !== 'publishable') return intent;
  return Object.fromEntries(publicFields.map((name) => [name, intent[name]]));
}

/** Payment intents. {@link https://docs.stripe.com/api/payment_intents} */
export const paymentIntents: Resource = {
  expandable: ['payment_intent', 'latest_charge'],
  due: {
    'payment_intent.debit': (ctx, { ref }) => finishDebit(ctx, ctx.table('payment_intent').require(ref)),
    'payment_intent.hold_expired': (ctx, { ref }) => {
      const intent = ctx.table('payment_intent').get(ref);
      if (intent?.status === 'requires_capture') cancel(ctx, intent, 'automatic');
    },
  },
  routes: [
    route('POST', '/v1/payment_intents', createParams, (ctx, params) => {
      const intent = createIntent(ctx, params);
      const {
        payment_method: _method,
        payment_method_data: _data,
        allowed_payment_method_types: _allowed,
        payment_method_types: _types,
        ...rest
      } = params;
      return params.confirm ? confirmIntent(ctx, intent, rest) : intent;
    }),
    route(
      'GET',
      '/v1/payment_intents',
      { ...listParams, created: p.range(), customer: p.string(), customer_account: p.string() },
      (ctx, { created, customer, ...page }) =>
        listPage(
          ctx.table('payment_intent'),
          '/v1/payment_intents',
          page,
          (intent) => inRange(intent.created, created) && (customer === undefined || intent.customer === customer),
        ),
    ),
    route('GET', '/v1/payment_intents/search', searchParams, (ctx, params) =>
      search(ctx.table('payment_intent').newestFirst(), '/v1/payment_intents/search', params),
    ),
    route(
      'GET',
      '/v1/payment_intents/:id',
      { client_secret: p.string(), is_stripe_sdk: p.boolean() },
      (ctx, params, { id }) => visible(ctx, intentFor(ctx, id, params.client_secret)),
      'publishable',
    ),
    route('POST', '/v1/payment_intents/:id', updateParams, (ctx, params, { id }) =>
      updateIntent(ctx, ctx.table('payment_intent').require(id, 'intent'), params),
    ),
    route(
      'POST',
      '/v1/payment_intents/:id/confirm',
      confirmParams,
      (ctx, { client_secret: secret, ...params }, { id }) =>
        visible(ctx, confirmIntent(ctx, intentFor(ctx, id, secret), params)),
      'publishable',
    ),
    route(
      'POST',
      '/v1/payment_intents/:id/capture',
      {
        amount_details: p.any(),
        amount_to_capture: p.int(),
        application_fee_amount: p.int(),
        final_capture: p.boolean(),
        hooks: p.any(),
        metadata: p.metadata(),
        payment_details: p.any(),
        statement_descriptor: p.string(),
        statement_descriptor_suffix: p.string(),
        transfer_data: p.any(),
      },
      (ctx, params, { id }) => {
        const intent = ctx.table('payment_intent').require(id, 'intent');
        if (intent.status !== 'requires_capture') {
          throw unexpected(
            ctx,
            intent,
            `This PaymentIntent could not be captured because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be captured: requires_capture.`,
          );
        }
        const amount = params.amount_to_capture ?? intent.amount_capturable;
        if (amount < 1)
          throw invalid(
            'This value must be greater than or equal to 1.',
            'amount_to_capture',
            'parameter_invalid_integer',
          );
        if (amount > intent.amount_capturable) {
          throw invalid(
            'The amount to capture must be less than or equal to the amount which is currently capturable.',
            'amount_to_capture',
            'amount_too_large',
          );
        }
        const fee = params.application_fee_amount ?? intent.application_fee_amount;
        if (fee !== null) checkAccount(ctx, intent.currency, fee, amount);
        intent.metadata = mergeMetadata(intent.metadata, params.metadata);
        capture(ctx, intent, amount, params.application_fee_amount);
        return intent;
      },
    ),
    route(
      'POST',
      '/v1/payment_intents/:id/cancel',
      { cancellation_reason: p.enum('abandoned', 'duplicate', 'fraudulent', 'requested_by_customer') },
      (ctx, { cancellation_reason: reason }, { id }) => {
        const intent = ctx.table('payment_intent').require(id, 'intent');
        if (intentState(ctx, id).internal)
          throw unexpected(
            ctx,
            intent,
            'You cannot cancel this PaymentIntent because it is managed by an invoice. You should void the invoice instead.',
          );
        cancel(ctx, intent, reason ?? null);
        return intent;
      },
    ),
    /** Ends a 3-D Secure challenge without the page. */
    route(
      'POST',
      '/_control/payment_intents/:id/authenticate',
      { result: p.enum('succeed', 'fail').required() },
      (ctx, { result }, { id }) => {
        for (const partition of ctx.sandbox.store.all()) {
          const intent = partition.table('payment_intent').get(id);
          if (intent) return authenticate(ctx.on(partition.account), intent, result);
        }
        throw missing('payment_intent', id);
      },
      'public',
    ),
  ],
};
