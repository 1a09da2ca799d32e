import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { createCustomer } from '../resources/customers.js';
import { cancel } from '../resources/payment-intent-flow.js';
import { confirmIntent, createIntent } from '../resources/payment-intents.js';
import { attachMethod } from '../resources/payment-methods.js';
import { confirmSetupIntent } from '../resources/setup-intents.js';
import { idOf } from '../objects.js';
import { type Metadata } from '../params.js';
import { type CreateSubscription, createSubscription } from './create.js';
import { agreement } from './pay-form.js';
import { defaultIntent } from './payments.js';
import { changeSubscription } from './subscription.js';

type Session = Stripe.Checkout.Session;

/** One line of a session. */
export interface CheckoutItem {
  id: string;
  price: string;
  quantity: number;
  amount: number;
  description: string;
  metadata: Metadata;
}

/** What the sandbox remembers of a session besides the object. */
export interface CheckoutState {
  items: CheckoutItem[];
  intentData: Record<string, unknown>;
  subscriptionData: Record<string, unknown>;
  /** Made by the first try, and kept for the next. */
  subscription: string | null;
  intent: string | null;
  /** The bank debit is on its way. */
  pending: boolean;
}

export const checkoutState = (ctx: Context, id: string): Partial<CheckoutState> => ctx.secret<CheckoutState>(id);

/** Which session an intent was made for. */
const sessionOfIntent = (ctx: Context, intent: string): Session | undefined => {
  const { checkout } = ctx.secret<{ checkout: string }>(intent);
  return checkout === undefined ? undefined : ctx.table('checkout.session').get(checkout);
};

/** Who pays: the customer of the session, a new one where the mode wants one, or a guest. */
function payer(ctx: Context, session: Session, method: Stripe.PaymentMethod): string | null {
  const known = idOf(session.customer);
  if (known !== null) return known;
  if (session.mode !== 'subscription' && session.customer_creation !== 'always') return null;
  const { email, name } = method.billing_details;
  const address = session.customer_email ?? email;
  const customer = createCustomer(ctx, { ...(address && { email: address }), ...(name && { name }) });
  session.customer = customer.id;
  return customer.id;
}

const returnUrl = (ctx: Context, session: Session): string => `${ctx.url}/c/pay/${ctx.account}/${session.id}/return`;

/**
 * The customer submits the page. Afterwards the session is complete, or the intent waits for the bank's page, whose address is returned.
 * @throws StripeError 402 when the bank declined: the session stays open
 */
export function submit(ctx: Context, session: Session, method: Stripe.PaymentMethod): string | null {
  if (session.status !== 'open') throw invalid('This Checkout Session is no longer open.');
  const { email, name, phone, address } = method.billing_details;
  session.customer_details = {
    address: address,
    business_name: null,
    email: session.customer_email ?? email ?? ctx.table('customer').get(idOf(session.customer) ?? '')?.email ?? null,
    individual_name: null,
    name,
    phone,
    tax_exempt: 'none',
    tax_ids: [],
  };
  const customer = payer(ctx, session, method);
  if (session.mode === 'setup') return submitSetup(ctx, session, method);
  if (session.mode === 'subscription') return submitSubscription(ctx, session, method, customer!);
  return submitPayment(ctx, session, method, customer);
}

const mandate = (method: Stripe.PaymentMethod) => (method.type === 'card' ? {} : { mandate_data: agreement });

/** Where the customer has to go, when the intent waits for them. */
function detour(intent: Stripe.PaymentIntent | Stripe.SetupIntent): string | null {
  return intent.status === 'requires_action' ? (intent.next_action?.redirect_to_url?.url ?? null) : null;
}

function submitPayment(
  ctx: Context,
  session: Session,
  method: Stripe.PaymentMethod,
  customer: string | null,
): string | null {
  const state = checkoutState(ctx, session.id);
  let intent = state.intent ? ctx.table('payment_intent').require(state.intent) : null;
  if (session.amount_total === 0) {
    complete(ctx, session, 'no_payment_required');
    return null;
  }
  if (!intent) {
    intent = createIntent(ctx, {
      ...(state.intentData as object),
      amount: session.amount_total ?? 0,
      currency: session.currency ?? 'usd',
      // Types that the session was told; otherwise whatever the account takes.
      ...(session.payment_method_configuration_details === null && {
        allowed_payment_method_types: session.payment_method_types,
      }),
      ...(customer !== null && { customer }),
    });
    state.intent = intent.id;
    ctx.secret<{ checkout: string }>(intent.id).checkout = session.id;
  }
  session.payment_intent = intent.id;
  confirmIntent(ctx, intent, { payment_method: method.id, return_url: returnUrl(ctx, session), ...mandate(method) });
  return detour(intent);
}

function submitSetup(ctx: Context, session: Session, method: Stripe.PaymentMethod): string | null {
  const intent = ctx.table('setup_intent').require(idOf(session.setup_intent) ?? '');
  confirmSetupIntent(ctx, intent, {
    payment_method: method.id,
    return_url: returnUrl(ctx, session),
    ...mandate(method),
  });
  return detour(intent);
}

function submitSubscription(
  ctx: Context,
  session: Session,
  method: Stripe.PaymentMethod,
  customer: string,
): string | null {
  const state = checkoutState(ctx, session.id);
  let subscription = state.subscription ? ctx.table('subscription').require(state.subscription) : null;
  if (!subscription) {
    const items = (state.items ?? []).map((item) => ({
      ...item,
      recurring: ctx.table('price').get(item.price)?.recurring,
    }));
    const take = ({ price, quantity }: CheckoutItem) => ({ price, quantity });
    subscription = createSubscription(ctx, {
      ...(state.subscriptionData as Partial<CreateSubscription>),
      customer,
      items: items.filter(({ recurring }) => recurring).map(take),
      add_invoice_items: items.filter(({ recurring }) => !recurring).map(take),
      payment_behavior: 'default_incomplete',
      payment_settings: { save_default_payment_method: 'on_subscription' },
    });
    state.subscription = subscription.id;
  }
  const invoice = idOf(subscription.latest_invoice);
  const intent = invoice === null ? undefined : defaultIntent(ctx, invoice);
  if (!intent) {
    // A trial, or nothing to pay: the method is kept for later.
    const own = subscription;
    attachMethod(ctx, method, customer);
    changeSubscription(ctx, own, () => (own.default_payment_method = method.id));
    session.subscription = own.id;
    session.invoice = invoice;
    complete(ctx, session, 'no_payment_required');
    return null;
  }
  ctx.secret<{ checkout: string }>(intent.id).checkout = session.id;
  ctx.atTimeOf(subscription, () =>
    confirmIntent(
      ctx,
      intent,
      { payment_method: method.id, return_url: returnUrl(ctx, session), ...mandate(method) },
      { internal: true },
    ),
  );
  return detour(intent);
}

/** Open → complete. */
export function complete(ctx: Context, session: Session, payment: Session['payment_status']): void {
  if (session.status !== 'open') return;
  const state = checkoutState(ctx, session.id);
  if (state.subscription) {
    session.subscription = state.subscription;
    session.invoice = idOf(ctx.table('subscription').get(state.subscription)?.latest_invoice);
  }
  session.status = 'complete';
  session.payment_status = payment;
  session.url = null;
  ctx.table('checkout.session').touch(session);
  ctx.emit('checkout.session.completed', session);
}

/** A payment of a session moved on. Bank debits are through, or not, days after the session is complete. */
export function followCheckout(ctx: Context, intent: Stripe.PaymentIntent, change: string): void {
  const session = sessionOfIntent(ctx, intent.id);
  if (!session) return;
  const state = checkoutState(ctx, session.id);
  if (session.status === 'open') {
    if (change === 'processing') state.pending = true;
    if (change === 'succeeded' || change === 'requires_capture')
      complete(ctx, session, change === 'succeeded' ? 'paid' : 'unpaid');
    else if (change === 'processing') complete(ctx, session, 'unpaid');
    return;
  }
  if (!state.pending) return;
  if (change === 'succeeded') {
    state.pending = false;
    session.payment_status = 'paid';
    ctx.emit('checkout.session.async_payment_succeeded', session);
  } else if (change === 'payment_failed') {
    state.pending = false;
    ctx.emit('checkout.session.async_payment_failed', session);
  }
}

/** Open → expired; whatever was begun is given up. @throws StripeError 400 when it is not open */
export function expireSession(ctx: Context, session: Session): Session {
  if (session.status !== 'open')
    throw invalid(
      `Only Checkout Sessions with a status in ["open"] can be expired. This Checkout Session has a status of ${session.status}.`,
    );
  const state = checkoutState(ctx, session.id);
  session.status = 'expired';
  session.url = null;
  const intent = state.intent ? ctx.table('payment_intent').get(state.intent) : undefined;
  if (intent && ['requires_payment_method', 'requires_confirmation', 'requires_action'].includes(intent.status))
    cancel(ctx, intent, 'automatic');
  ctx.emit('checkout.session.expired', session);
  return session;
}
