import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid, type StripeError } from '../errors.js';
import { newId, randomText } from '../ids.js';
import { checkAmount, checkCurrency } from '../money.js';
import { idOf } from '../objects.js';
import { fullShipping, mergeMetadata, type Params } from '../params.js';
import { stateOf } from './account-state.js';
import { applicationId } from './balance.js';
import { attempt, checkMethod, intentState, unexpected } from './payment-intent-flow.js';
import { type ConfirmIntent, type CreateIntent } from './payment-intent-params.js';
import { mandateOf } from './mandates.js';
import { createMethod, type methodData, type MethodState, resolveMethod } from './payment-methods.js';

type Intent = Stripe.PaymentIntent;

/** How an intent comes to be: `internal` is an invoice's own, which books at once and never asks for a return URL. */
export interface IntentOptions {
  internal?: boolean;
}

const capabilityOf: Record<string, string> = {
  card: 'card_payments',
  us_bank_account: 'us_bank_account_ach_payments',
  sepa_debit: 'sepa_debit_payments',
  au_becs_debit: 'au_becs_debit_payments',
  bacs_debit: 'bacs_debit_payments',
};
const currencyOf: Record<string, string> = {
  us_bank_account: 'usd',
  sepa_debit: 'eur',
  au_becs_debit: 'aud',
  bacs_debit: 'gbp',
};

/** The kinds of method an account can take in a currency. The platform itself can take all. */
export function methodTypes(ctx: Context, currency: string): string[] {
  const account = ctx.platform.table('account').get(ctx.account);
  const active = account?.capabilities as Record<string, string> | undefined;
  return Object.keys(capabilityOf).filter(
    (type) =>
      (currencyOf[type] === undefined || currencyOf[type] === currency) &&
      (ctx.isPlatform || active?.[capabilityOf[type]!] === 'active'),
  );
}

/** @throws StripeError 400 when the account may not charge at all, or not so */
export function checkAccount(
  ctx: Context,
  currency: string,
  applicationFee: number | null | undefined,
  amount: number,
): void {
  const account = ctx.platform.table('account').get(ctx.account);
  if (account && !account.charges_enabled) {
    throw invalid(
      'Your account cannot currently make charges. Visit your dashboard to learn which information is still required.',
    );
  }
  // Accounts in Brazil can only take reais. {@link https://docs.stripe.com/currencies}
  const taken = account?.country === 'BR' ? ['brl'] : ctx.isPlatform ? null : stateOf(ctx, ctx.account).currencies;
  if (taken && !taken.includes(currency)) {
    throw invalid(
      `Invalid currency: ${currency}. This account can only create charges in: ${taken.join(', ')}.`,
      'currency',
    );
  }
  if (applicationFee === null || applicationFee === undefined) return;
  if (ctx.isPlatform) {
    throw invalid(
      'Can only apply an application_fee_amount when the PaymentIntent is attempting a direct payment (using an OAuth key or Stripe-Account header) or destination payment (using `transfer_data[destination]`).',
      'application_fee_amount',
    );
  }
  if (applicationFee < 1)
    throw invalid(
      'This value must be greater than or equal to 1.',
      'application_fee_amount',
      'parameter_invalid_integer',
    );
  if (applicationFee >= amount) {
    throw invalid(
      `Application fee amount (${applicationFee}) must be less than the amount of the charge (${amount}).`,
      'application_fee_amount',
    );
  }
  if (account?.country === 'BR')
    throw invalid('Application fees are not supported for accounts in BR.', 'application_fee_amount');
}

export function checkTypesParam(ctx: Context, types: string[] | undefined): void {
  if (types && ctx.since('2026-09-30')) {
    throw invalid(
      'The parameter `payment_method_types` is no longer supported in this API version. Use automatic payment methods or `allowed_payment_method_types` instead.',
      'payment_method_types',
      'payment_method_types_no_longer_supported',
    );
  }
}

function methodOptions(
  types: string[],
  given: Record<string, unknown> | null | undefined,
): Stripe.PaymentIntent.PaymentMethodOptions {
  const defaults: Record<string, object> = {
    card: { installments: null, mandate_options: null, network: null, request_three_d_secure: 'automatic' },
    us_bank_account: { verification_method: 'automatic' },
    sepa_debit: {},
    au_becs_debit: {},
    bacs_debit: {},
  };
  return Object.fromEntries(
    types.map((type) => [type, { ...defaults[type], ...(given?.[type] as object | undefined) }]),
  );
}

/** Makes an intent, without confirming it. @throws StripeError 400 for what Stripe refuses */
export function createIntent(ctx: Context, params: CreateIntent, options: IntentOptions = {}): Intent {
  const { internal = false } = options;
  const currency = checkCurrency(params.currency);
  if (!internal) checkTypesParam(ctx, params.payment_method_types);
  checkAmount(params.amount, currency);
  checkAccount(ctx, currency, params.application_fee_amount, params.amount);
  const customer = params.customer === undefined ? null : ctx.table('customer').require(params.customer, 'customer');
  const named = params.payment_method_types ?? params.allowed_payment_method_types;
  const automatic =
    params.automatic_payment_methods?.enabled ?? (named === undefined && !internal && ctx.since('2023-08-16'));
  const available = methodTypes(ctx, currency).filter((type) => !params.excluded_payment_method_types?.includes(type));
  const types = named ?? (automatic || internal ? available : ['card']);
  if (types.length === 0) {
    throw invalid(
      'No valid payment method types for this Payment Intent. Please ensure that you have activated payment methods compatible with your chosen currency in your dashboard (https://dashboard.stripe.com/settings/payment_methods) or supply `allowed_payment_method_types`.',
    );
  }
  const id = newId('payment_intent');
  const intent: Intent = {
    id,
    object: 'payment_intent',
    allowed_payment_method_types: params.allowed_payment_method_types ?? null,
    amount: params.amount,
    amount_capturable: 0,
    amount_details: { tip: {} },
    amount_received: 0,
    application: ctx.isPlatform ? null : applicationId,
    application_fee_amount: params.application_fee_amount ?? null,
    automatic_payment_methods: automatic
      ? { allow_redirects: params.automatic_payment_methods?.allow_redirects ?? 'always', enabled: true }
      : null,
    canceled_at: null,
    cancellation_reason: null,
    capture_method: params.capture_method ?? (!internal && ctx.since('2024-04-10') ? 'automatic_async' : 'automatic'),
    client_secret: `${id}_secret_${randomText(25)}`,
    confirmation_method: params.confirmation_method ?? 'automatic',
    created: ctx.timeOf(customer),
    currency,
    customer: customer?.id ?? null,
    customer_account: null,
    description: params.description ?? null,
    excluded_payment_method_types: params.excluded_payment_method_types ?? null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    managed_payments: null,
    metadata: mergeMetadata({}, params.metadata),
    next_action: null,
    on_behalf_of: params.on_behalf_of ?? null,
    payment_method: null,
    payment_method_configuration_details: automatic ? { id: `pmc_${ctx.account.slice(5)}`, parent: null } : null,
    payment_method_options: methodOptions(types, params.payment_method_options),
    payment_method_types: types,
    payment_record: null,
    processing: null,
    receipt_email: params.receipt_email ?? null,
    review: null,
    setup_future_usage: params.setup_future_usage ?? null,
    shipping: (params.shipping ? fullShipping(params.shipping) : null) as Intent['shipping'],
    source: null,
    statement_descriptor: params.statement_descriptor ?? null,
    statement_descriptor_suffix: params.statement_descriptor_suffix ?? null,
    status: 'requires_payment_method',
    transfer_data: null,
    transfer_group: params.transfer_group ?? null,
  };
  if (internal) intentState(ctx, id).internal = true;
  // Checked before anything is kept: a refused method leaves no intent behind.
  const method = methodOf(ctx, params);
  if (method) {
    checkMethod(ctx, intent, method);
    if (params.confirm) checkAttempt(ctx, intent, method, params, internal);
    intent.payment_method = method.id;
    intent.status = 'requires_confirmation';
  } else if (params.confirm) throw noMethod(ctx, intent);
  ctx.table('payment_intent').insert(intent);
  ctx.atTimeOf(customer, () => ctx.emit('payment_intent.created', intent));
  return intent;
}

export function methodOf(
  ctx: Context,
  params: { payment_method?: string | null; payment_method_data?: Params<typeof methodData> },
): Stripe.PaymentMethod | null {
  if (params.payment_method && params.payment_method_data) {
    throw invalid(
      'You may only specify one of these parameters: payment_method, payment_method_data.',
      'payment_method_data',
      'parameters_exclusive',
    );
  }
  if (params.payment_method) return resolveMethod(ctx, params.payment_method);
  return params.payment_method_data ? createMethod(ctx, params.payment_method_data) : null;
}

/** What an attempt needs besides a method. @throws StripeError 400 */
function checkAttempt(
  ctx: Context,
  intent: Intent,
  method: Stripe.PaymentMethod,
  params: ConfirmIntent,
  internal: boolean,
): void {
  const automatic = intent.automatic_payment_methods;
  if (
    !internal &&
    ctx.key === 'secret' &&
    automatic?.allow_redirects === 'always' &&
    !params.return_url &&
    !params.use_stripe_sdk &&
    !params.off_session &&
    !params.error_on_requires_action
  ) {
    throw invalid(
      "This PaymentIntent is configured to accept payment methods enabled in your Dashboard. Because some of these payment methods might redirect your customer off of your page, you must provide a `return_url`. If you don't want to accept redirect-based payment methods, set `automatic_payment_methods[enabled]` to `true` and `automatic_payment_methods[allow_redirects]` to `never` when creating Setup Intents and Payment Intents.",
      'return_url',
    );
  }
  const { setUp = false } = ctx.secret<MethodState>(method.id);
  const named =
    params.mandate === undefined ? mandateOf(ctx, method.id) : ctx.table('mandate').require(params.mandate, 'mandate');
  if (named?.status === 'inactive' && !params.mandate_data)
    throw invalid(
      'The provided mandate is invalid and can not be used for the payment intent.',
      'mandate',
      'payment_intent_mandate_invalid',
    );
  if (method.type !== 'card' && !internal && !setUp && !params.mandate_data && params.mandate === undefined) {
    throw invalid(
      'This PaymentIntent requires a mandate, but no existing mandate was found. Ensure the customer has accepted the mandate and provide that acceptance with the mandate_data parameter.',
      'mandate_data',
    );
  }
}

function noMethod(ctx: Context, intent: Intent): StripeError {
  return unexpected(
    ctx,
    intent,
    "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a payment method or ConfirmationToken.",
  );
}

const confirmable = new Set(['requires_payment_method', 'requires_confirmation', 'requires_action']);

/**
 * Confirms an intent: one attempt to pay it.
 * @throws StripeError 402 when the bank declined (the intent says so too), 400 when it cannot be confirmed
 */
export function confirmIntent(
  ctx: Context,
  intent: Intent,
  params: ConfirmIntent = {},
  options: IntentOptions = {},
): Intent {
  if (!confirmable.has(intent.status)) {
    throw unexpected(
      ctx,
      intent,
      intent.status === 'succeeded'
        ? 'You cannot confirm this PaymentIntent because it has already succeeded after being previously confirmed.'
        : `This PaymentIntent's status is ${intent.status}, but it must be one of the following to be confirmed: requires_payment_method, requires_confirmation, requires_action.`,
    );
  }
  const internal = options.internal ?? intentState(ctx, intent.id).internal ?? false;
  if (!internal) checkTypesParam(ctx, params.payment_method_types);
  checkAccount(ctx, intent.currency, intent.application_fee_amount, intent.amount);
  const named = params.payment_method_types ?? params.allowed_payment_method_types;
  if (named) intent.payment_method_types = named;
  const current = idOf(intent.payment_method);
  const method =
    methodOf(ctx, params) ?? (current === null ? null : ctx.table('payment_method').require(current, 'payment_method'));
  if (!method) throw noMethod(ctx, intent);
  checkMethod(ctx, intent, method);
  checkAttempt(ctx, intent, method, params, internal);
  applyCommon(intent, params);
  if (params.capture_method) intent.capture_method = params.capture_method;
  const state = intentState(ctx, intent.id);
  state.returnUrl = params.return_url ?? null;
  if (params.mandate_data) state.mandateData = params.mandate_data;
  if (params.mandate !== undefined) state.mandate = params.mandate;
  state.offSession = params.off_session !== undefined && params.off_session !== false;
  if (current !== null && current !== method.id) delete state.authenticated;
  const customer = idOf(intent.customer);
  ctx.atTimeOf(customer === null ? null : ctx.table('customer').get(customer), () =>
    attempt(ctx, intent, method, {
      errorOnAction: params.error_on_requires_action ?? false,
      useSdk: params.use_stripe_sdk ?? false,
    }),
  );
  return intent;
}

export function applyCommon(
  intent: Intent,
  params: Pick<ConfirmIntent, 'receipt_email' | 'setup_future_usage' | 'shipping' | 'payment_method_options'>,
): void {
  if (params.receipt_email !== undefined) intent.receipt_email = params.receipt_email;
  if (params.setup_future_usage !== undefined) intent.setup_future_usage = params.setup_future_usage;
  if (params.shipping !== undefined)
    intent.shipping = (params.shipping && fullShipping(params.shipping)) as Intent['shipping'];
  if (params.payment_method_options)
    intent.payment_method_options = methodOptions(intent.payment_method_types, params.payment_method_options);
}
