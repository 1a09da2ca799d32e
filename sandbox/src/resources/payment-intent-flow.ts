import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { cardError, invalid, StripeError } from '../errors.js';
import { randomText } from '../ids.js';
import { idOf } from '../objects.js';
import { type Params } from '../params.js';
import { type IntentChange } from '../resource.js';
import { type Decline } from '../test-methods.js';
import { createCharge, settleCharge } from './charges.js';
import { createMandate, endMandate, type mandateData, mandateOf } from './mandates.js';
import { attachMethod, behaviourOf, declineFields, type MethodState } from './payment-methods.js';

/** What the sandbox remembers of an intent besides the object. */
export interface IntentState {
  /** Token of the 3-D Secure page that is open. */
  challenge: string;
  returnUrl: string | null;
  offSession: boolean;
  /** The customer proved who they are; the next confirmation need not ask again. */
  authenticated: boolean;
  /** Made by an invoice: books at once, never asks for a return URL. */
  internal: boolean;
  /** The customer's agreement to be debited, as given with this confirmation; or the mandate that says so. */
  mandateData: Params<{ data: typeof mandateData }>['data'];
  mandate: string | null;
}

export const intentState = (ctx: Context, id: string): Partial<IntentState> => ctx.secret<IntentState>(id);

/** Days until a bank debit is through. {@link https://docs.stripe.com/payments/ach-direct-debit#payment-confirmation} */
const debitDays: Record<string, number> = { us_bank_account: 4, au_becs_debit: 3, sepa_debit: 5, bacs_debit: 3 };

/** Holds of card payments end after seven days. {@link https://docs.stripe.com/payments/place-a-hold-on-a-payment-method} */
const holdSeconds = 7 * 86_400;

function testClockOf(ctx: Context, intent: Stripe.PaymentIntent): string | null {
  const customer = idOf(intent.customer);
  return customer === null ? null : idOf(ctx.table('customer').get(customer)?.test_clock);
}

function tell(ctx: Context, intent: Stripe.PaymentIntent, change: IntentChange): void {
  ctx.sandbox.hook('intentChanged', ctx, intent, change);
}

const authenticationDeclined: Decline = {
  code: 'authentication_required',
  decline_code: 'authentication_required',
  message: 'Your card was declined. This transaction requires authentication.',
};

/**
 * One attempt to pay, from whatever state allows one. Ends in requires_action, processing, requires_capture or succeeded.
 * @throws StripeError 402 when the bank declined: the intent is then back at requires_payment_method, with `last_payment_error`
 */
export function attempt(
  ctx: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  options: { errorOnAction?: boolean; useSdk?: boolean } = {},
): void {
  const behaviour = behaviourOf(ctx, method.id);
  const state = intentState(ctx, intent.id);
  intent.payment_method = method.id;
  intent.last_payment_error = null;
  intent.next_action = null;
  if (method.type !== 'card') return debit(ctx, intent, method);
  const { setUp = false } = ctx.secret<MethodState>(method.id);
  const asks =
    behaviour.authentication === 'always' ||
    (behaviour.authentication === 'unless_set_up' && !(setUp && state.offSession));
  if (asks && !state.authenticated) {
    if (state.offSession || options.errorOnAction) decline(ctx, intent, method, authenticationDeclined);
    requireAction(ctx, intent, options.useSdk ?? false);
    return;
  }
  if (behaviour.decline) decline(ctx, intent, method, behaviour.decline);
  succeed(ctx, intent, method);
}

function requireAction(ctx: Context, intent: Stripe.PaymentIntent, useSdk: boolean): void {
  const state = intentState(ctx, intent.id);
  state.challenge = randomText(24);
  const url = `${ctx.url}/3ds/${ctx.account}/${intent.id}/${state.challenge}`;
  intent.status = 'requires_action';
  intent.next_action =
    state.returnUrl && !useSdk
      ? { type: 'redirect_to_url', redirect_to_url: { return_url: state.returnUrl, url } }
      : {
          type: 'use_stripe_sdk',
          use_stripe_sdk: { type: 'three_d_secure_redirect', stripe_js: url, source: `src_${randomText(24)}` },
        };
  ctx.emit('payment_intent.requires_action', intent);
  tell(ctx, intent, 'requires_action');
}

/** A failed attempt. @throws always, the 402 that the caller of `confirm` sees */
function decline(ctx: Context, intent: Stripe.PaymentIntent, method: Stripe.PaymentMethod, why: Decline): never {
  const charge = createCharge(ctx, intent, method, 'failed', { decline: why });
  fail(ctx, intent, method, why, charge);
  throw cardError(why.message, {
    charge: charge.id,
    ...declineFields(why),
    payment_intent: JSON.parse(JSON.stringify(intent)),
    payment_method: JSON.parse(JSON.stringify(method)),
  });
}

/** The intent after a failed attempt, with its events. */
function fail(
  ctx: Context,
  intent: Stripe.PaymentIntent,
  method: Stripe.PaymentMethod,
  why: Decline,
  charge: Stripe.Charge | null,
): void {
  intent.status = 'requires_payment_method';
  intent.next_action = null;
  intent.processing = null;
  intent.payment_method = null;
  if (charge) intent.latest_charge = charge.id;
  intent.last_payment_error = {
    ...(charge && { charge: charge.id }),
    ...(declineFields(why) as { code: Stripe.PaymentIntent.LastPaymentError.Code }),
    doc_url: `https://stripe.com/docs/error-codes/${why.code.replaceAll('_', '-')}`,
    message: why.message,
    ...(charge && method.type === 'card' && { network_decline_code: '01' }),
    payment_method: JSON.parse(JSON.stringify(method)) as Stripe.PaymentMethod,
    type:
      method.type === 'card' || charge === null
        ? charge === null
          ? 'invalid_request_error'
          : 'card_error'
        : 'invalid_request_error',
  };
  const state = intentState(ctx, intent.id);
  delete state.challenge;
  delete state.authenticated;
  if (charge) ctx.emit('charge.failed', charge);
  ctx.emit('payment_intent.payment_failed', intent);
  tell(ctx, intent, 'payment_failed');
}

function succeed(ctx: Context, intent: Stripe.PaymentIntent, method: Stripe.PaymentMethod): void {
  const state = intentState(ctx, intent.id);
  const authenticated = state.authenticated === true;
  const charge = createCharge(ctx, intent, method, 'succeeded', { authenticated });
  intent.latest_charge = charge.id;
  keepMethod(ctx, intent, method);
  if (intent.capture_method === 'manual') {
    intent.status = 'requires_capture';
    intent.amount_capturable = intent.amount;
    ctx.emit('charge.succeeded', charge);
    ctx.emit('payment_intent.amount_capturable_updated', intent);
    tell(ctx, intent, 'requires_capture');
    ctx.schedule(ctx.now + holdSeconds, 'payment_intent.hold_expired', intent.id, testClockOf(ctx, intent));
    return;
  }
  finish(ctx, intent, charge);
}

/** A paid intent: books the charge now (`automatic`) or a moment later (`automatic_async`). {@link https://docs.stripe.com/payments/payment-intents/asynchronous-capture} */
function finish(ctx: Context, intent: Stripe.PaymentIntent, charge: Stripe.Charge): void {
  intent.status = 'succeeded';
  intent.amount_received = charge.amount_captured;
  intent.processing = null;
  const later = intent.capture_method === 'automatic_async';
  if (!later) settleCharge(ctx, charge);
  ctx.emit('charge.succeeded', charge);
  ctx.sandbox.hook('chargeSucceeded', ctx, charge);
  ctx.emit('payment_intent.succeeded', intent);
  if (later) {
    const at = testClockOf(ctx, intent) === null ? ctx.sandbox.clock.exact() : ctx.sandbox.clock.unpinned();
    ctx.schedule(at + ctx.sandbox.options.settleMs / 1000, 'charge.settle', charge.id);
  }
  tell(ctx, intent, 'succeeded');
}

/** `setup_future_usage` ties the method to the customer; without a customer it is spent. */
function keepMethod(ctx: Context, intent: Stripe.PaymentIntent, method: Stripe.PaymentMethod): void {
  const customer = idOf(intent.customer);
  const state = ctx.secret<MethodState>(method.id);
  if (intent.setup_future_usage && customer !== null && method.customer === null) attachMethod(ctx, method, customer);
  if (intent.setup_future_usage === 'off_session') state.setUp = true;
  if (method.customer === null) state.spent = true;
}

/** A bank debit: pending for days, then through or failed. */
function debit(ctx: Context, intent: Stripe.PaymentIntent, method: Stripe.PaymentMethod): void {
  const charge = createCharge(ctx, intent, method, 'pending');
  intent.latest_charge = charge.id;
  intent.status = 'processing';
  const mandate = mandateFor(ctx, intent, method);
  const details = charge.payment_method_details as unknown as Record<string, { mandate?: string }> | null;
  if (details?.[method.type]) details[method.type]!.mandate = mandate;
  keepMethod(ctx, intent, method);
  ctx.emit('charge.pending', charge);
  ctx.emit('payment_intent.processing', intent);
  tell(ctx, intent, 'processing');
  if (behaviourOf(ctx, method.id).debit === 'never') return;
  ctx.schedule(
    ctx.now + (debitDays[method.type] ?? 4) * 86_400,
    'payment_intent.debit',
    intent.id,
    testClockOf(ctx, intent),
  );
}

/** The mandate that this debit is made under: the one named, the one there is, or a new one from what the customer agreed to now. */
function mandateFor(ctx: Context, intent: Stripe.PaymentIntent, method: Stripe.PaymentMethod): string {
  const state = intentState(ctx, intent.id);
  const { mandate, mandateData: data = null } = state;
  if (mandate) return ctx.table('mandate').require(mandate, 'mandate').id;
  const known = data === null ? mandateOf(ctx, method.id) : null;
  if (known?.status === 'active') return known.id;
  const once = intent.setup_future_usage === null && state.internal !== true;
  return createMandate(ctx, method, data, once ? { amount: intent.amount, currency: intent.currency } : null).id;
}

/** The bank has answered. */
export function finishDebit(ctx: Context, intent: Stripe.PaymentIntent): void {
  const charge = ctx.table('charge').get(idOf(intent.latest_charge) ?? '');
  if (intent.status !== 'processing' || !charge) return;
  const method = ctx.table('payment_method').require(idOf(intent.payment_method) ?? '');
  const { debit: outcome, debitFailure, endsMandate } = behaviourOf(ctx, method.id);
  if (outcome === 'fails' && debitFailure) {
    charge.status = 'failed';
    charge.paid = false;
    charge.captured = false;
    charge.failure_code = debitFailure.code;
    charge.failure_message = debitFailure.message;
    charge.receipt_url = null;
    const details = charge.payment_method_details as unknown as Record<string, { mandate?: string }>;
    if (endsMandate) endMandate(ctx, details[method.type]?.mandate ?? '');
    fail(ctx, intent, method, debitFailure, charge);
    return;
  }
  charge.status = 'succeeded';
  charge.paid = true;
  charge.captured = true;
  charge.amount_captured = charge.amount;
  finish(ctx, intent, charge);
}

/** Takes the authorised money, all or a part. {@link https://docs.stripe.com/api/payment_intents/capture} */
export function capture(ctx: Context, intent: Stripe.PaymentIntent, amount: number, applicationFee?: number): void {
  const charge = ctx.table('charge').require(idOf(intent.latest_charge) ?? '');
  const before = JSON.parse(JSON.stringify(charge)) as object;
  charge.captured = true;
  charge.amount_captured = amount;
  charge.amount_refunded = charge.amount - amount;
  if (applicationFee !== undefined) charge.application_fee_amount = intent.application_fee_amount = applicationFee;
  intent.amount_capturable = 0;
  intent.amount_received = amount;
  intent.status = 'succeeded';
  settleCharge(ctx, charge);
  ctx.emit('charge.captured', charge, { before });
  ctx.sandbox.hook('chargeSucceeded', ctx, charge);
  ctx.emit('payment_intent.succeeded', intent);
  tell(ctx, intent, 'succeeded');
}

const cancelable = new Set([
  'requires_payment_method',
  'requires_capture',
  'requires_confirmation',
  'requires_action',
  'processing',
]);

/** @throws StripeError 400 `payment_intent_unexpected_state` when it is final already */
export function cancel(
  ctx: Context,
  intent: Stripe.PaymentIntent,
  reason: Stripe.PaymentIntent.CancellationReason | null,
): void {
  const charge = ctx.table('charge').get(idOf(intent.latest_charge) ?? '');
  // Of what is on its way to a bank only ACH can be called back. {@link https://docs.stripe.com/payments/ach-direct-debit#cancel}
  const processing = intent.status === 'processing';
  const callable = charge?.payment_method_details?.type === 'us_bank_account';
  if (!cancelable.has(intent.status) || (processing && !callable)) {
    throw unexpected(
      ctx,
      intent,
      `You cannot cancel this PaymentIntent because it has a status of ${intent.status}. Only a PaymentIntent with one of the following statuses may be canceled: requires_payment_method, requires_capture, requires_reauthorization, requires_confirmation, requires_action, processing.`,
    );
  }
  const held = intent.status === 'requires_capture';
  intent.status = 'canceled';
  intent.canceled_at = ctx.now;
  intent.cancellation_reason = reason;
  intent.next_action = null;
  intent.amount_capturable = 0;
  delete intentState(ctx, intent.id).challenge;
  if (processing && charge) {
    Object.assign(charge, {
      status: 'failed',
      paid: false,
      captured: false,
      receipt_url: null,
    } satisfies Partial<Stripe.Charge>);
    ctx.emit('charge.failed', charge);
  }
  if (held && charge) {
    const before = JSON.parse(JSON.stringify(charge)) as object;
    charge.amount_refunded = charge.amount;
    charge.refunded = true;
    ctx.emit(reason === 'automatic' ? 'charge.expired' : 'charge.refunded', charge, { before });
  }
  ctx.emit('payment_intent.canceled', intent);
  tell(ctx, intent, 'canceled');
}

/**
 * The end of a 3-D Secure challenge.
 * @throws StripeError 400 when the intent waits for no customer
 */
export function authenticate(
  ctx: Context,
  intent: Stripe.PaymentIntent,
  result: 'succeed' | 'fail',
): Stripe.PaymentIntent {
  if (intent.status !== 'requires_action')
    throw unexpected(ctx, intent, `This PaymentIntent does not require any action; its status is ${intent.status}.`);
  const customer = idOf(intent.customer);
  const method = ctx.table('payment_method').require(idOf(intent.payment_method) ?? '');
  const state = intentState(ctx, intent.id);
  return ctx.atTimeOf(customer === null ? null : ctx.table('customer').get(customer), () => {
    delete state.challenge;
    if (result === 'fail') {
      fail(
        ctx,
        intent,
        method,
        {
          code: 'payment_intent_authentication_failure',
          message:
            'The provided PaymentMethod has failed authentication. You can provide payment_method_data or a new PaymentMethod to attempt to fulfill this PaymentIntent again.',
        },
        null,
      );
      return intent;
    }
    state.authenticated = true;
    intent.next_action = null;
    if (intent.confirmation_method === 'manual') {
      intent.status = 'requires_confirmation';
      return intent;
    }
    try {
      attempt(ctx, intent, method);
    } catch (error) {
      // The customer did their part; that the bank declined afterwards is told by the intent.
      if (!(error instanceof StripeError) || error.status !== 402) throw error;
    }
    return intent;
  });
}

/** 400 `payment_intent_unexpected_state`, with the intent in the error. */
export function unexpected(_ctx: Context, intent: Stripe.PaymentIntent, message: string): StripeError {
  return new StripeError(400, message, {
    code: 'payment_intent_unexpected_state',
    payment_intent: JSON.parse(JSON.stringify(intent)),
  });
}

/** Whether this method may pay this intent. @throws StripeError 400 */
export function checkMethod(ctx: Context, intent: Stripe.PaymentIntent, method: Stripe.PaymentMethod): void {
  if (!intent.payment_method_types.includes(method.type)) {
    throw invalid(
      `The PaymentMethod provided (${method.type}) is not allowed for this PaymentIntent. Please attach a PaymentMethod of one of the following types: ${intent.payment_method_types.join(', ')}. Alternatively update the allowed payment_method_types for this PaymentIntent to include "${method.type}".`,
      'payment_method',
      'payment_intent_incompatible_payment_method',
    );
  }
  if (method.customer !== null && method.customer !== intent.customer) {
    throw invalid(
      intent.customer === null
        ? `The provided PaymentMethod cannot be used with this PaymentIntent because it is attached to a customer. Please include the Customer in the \`customer\` parameter on the PaymentIntent.`
        : `The provided PaymentMethod does not belong to the Customer supplied with this PaymentIntent. Please supply the owning customer (${idOf(method.customer)}).`,
      'payment_method',
    );
  }
  if (method.customer === null && ctx.secret<MethodState>(method.id).spent) {
    throw invalid(
      'The provided PaymentMethod was previously used with a PaymentIntent without Customer attachment, shared with a connected account without Customer attachment, or was detached from a Customer. It may not be used again. To use a PaymentMethod multiple times, you must attach it to a Customer first.',
      'payment_method',
    );
  }
}
