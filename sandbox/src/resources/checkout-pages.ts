import type Stripe from 'stripe';
import { moneyText } from '../billing/amounts.js';
import { checkoutState, expireSession, submit } from '../billing/checkout.js';
import { alertHtml, messageOf, methodOfForm, payFields, type PayForm, payFormParams } from '../billing/pay-form.js';
import { type Context } from '../context.js';
import { card, escapeHtml } from '../dashboard.js';
import { missing } from '../errors.js';
import { p } from '../params.js';
import { type Resource } from '../resource.js';
import { html, type RawAnswer, redirect, route } from '../router.js';
import { resolveMethod } from './payment-methods.js';

type Session = Stripe.Checkout.Session;

function open(ctx: Context, account: string, id: string): { own: Context; session: Session } {
  if (!ctx.sandbox.store.get(account)) throw missing('account', account);
  const own = ctx.on(account);
  return { own, session: own.table('checkout.session').require(id, 'session') };
}

/** Where the customer goes when it is done, with the session's id filled in. */
function doneUrl(session: Session): string | null {
  const url = session.success_url ?? session.return_url;
  return url ? url.replaceAll('{CHECKOUT_SESSION_ID}', session.id) : null;
}

function done(session: Session): RawAnswer {
  const url = doneUrl(session);
  return url === null ? html(card('Done', '<p>Thank you. You can close this window.</p>')) : redirect(url);
}

const buttons: Record<string, string> = { setup: 'Save', subscription: 'Subscribe', payment: 'Pay' };

function pageOf(ctx: Context, session: Session, message?: string): RawAnswer {
  const items = checkoutState(ctx, session.id).items ?? [];
  const currency = session.currency ?? 'usd';
  const rows = items.map(
    (item) =>
      `<tr><td>${item.quantity} × ${escapeHtml(item.description)}</td><td>${escapeHtml(moneyText(item.amount, currency))}</td></tr>`,
  );
  const total =
    session.mode === 'setup'
      ? '<p>Save a payment method for later.</p>'
      : `<table>${rows.join('')}<tr><th>Total</th><th>${escapeHtml(moneyText(session.amount_total ?? 0, currency))}</th></tr></table>`;
  const asksEmail = session.customer === null && session.customer_email === null;
  const back = session.cancel_url ? `<p><a href="${escapeHtml(session.cancel_url)}">Back</a></p>` : '';
  return html(
    card(
      'Checkout',
      `${alertHtml(message)}${total}<form method="post" action="/c/pay/${ctx.account}/${session.id}">${payFields(session.payment_method_types, { email: asksEmail })}
      <div class="actions"><button>${buttons[session.mode] ?? 'Pay'}</button></div></form>${back}`,
    ),
  );
}

function submitForm(ctx: Context, session: Session, form: PayForm): RawAnswer {
  try {
    const detour = submit(ctx, session, methodOfForm(ctx, form));
    if (detour !== null) return redirect(detour);
    return done(session);
  } catch (error) {
    return pageOf(ctx, session, messageOf(error));
  }
}

/** The page of a checkout session. {@link https://docs.stripe.com/payments/checkout} */
export const checkoutPages: Resource = {
  routes: [
    route(
      'GET',
      '/c/pay/:account/:session',
      {},
      (ctx, _params, { account, session: id }) => {
        const { own, session } = open(ctx, account, id);
        if (session.status === 'complete') return done(session);
        if (session.status === 'expired')
          return html(card('This page has expired', '<p>Ask the shop for a new one.</p>'), 404);
        return pageOf(own, session);
      },
      'public',
    ),
    route(
      'POST',
      '/c/pay/:account/:session',
      payFormParams,
      (ctx, form, { account, session: id }) => {
        const { own, session } = open(ctx, account, id);
        if (session.status === 'complete') return done(session);
        if (session.status === 'expired') return html(card('This page has expired', ''), 404);
        return submitForm(own, session, form);
      },
      'public',
    ),
    /** The way back from the bank's page. */
    route(
      'GET',
      '/c/pay/:account/:session/return',
      {
        payment_intent: p.string(),
        payment_intent_client_secret: p.string(),
        setup_intent: p.string(),
        setup_intent_client_secret: p.string(),
        redirect_status: p.string(),
      },
      (ctx, _params, { account, session: id }) => {
        const { own, session } = open(ctx, account, id);
        if (session.status === 'complete') return done(session);
        return pageOf(own, session, 'The payment was not authenticated. Try again, or use another card.');
      },
      'public',
    ),
    // What Stripe's own page calls, as the CLI's scripts do.
    route('GET', '/v1/payment_pages/:id', {}, (ctx, _params, { id }) =>
      ctx.table('checkout.session').require(id, 'session'),
    ),
    route(
      'POST',
      '/v1/payment_pages/:id/confirm',
      { payment_method: p.string().required(), expected_amount: p.int(), return_url: p.string(), key: p.string() },
      (ctx, { payment_method: method }, { id }) => {
        const session = ctx.table('checkout.session').require(id, 'session');
        submit(ctx, session, resolveMethod(ctx, method));
        return session;
      },
    ),
    /** Ends a session at once, as if its time had passed. */
    route(
      'POST',
      '/_control/accounts/:account/checkout/:session/expire',
      {},
      (ctx, _params, { account, session: id }) => {
        const { own, session } = open(ctx, account, id);
        return expireSession(own, session);
      },
      'public',
    ),
  ],
};
