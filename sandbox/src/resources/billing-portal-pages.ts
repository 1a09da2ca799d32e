import type Stripe from 'stripe';
import { atMoment } from '../billing/moment.js';
import { dayText } from '../billing/periods.js';
import { moneyText, priceText } from '../billing/amounts.js';
import { cancelSubscription } from '../billing/ending.js';
import {
  alertHtml,
  agreement,
  messageOf,
  methodOfForm,
  payFields,
  type PayForm,
  payFormParams,
} from '../billing/pay-form.js';
import { updateSubscription } from '../billing/update.js';
import { type Context } from '../context.js';
import { card, escapeHtml } from '../dashboard.js';
import { missing } from '../errors.js';
import { idOf } from '../objects.js';
import { p } from '../params.js';
import { type Resource } from '../resource.js';
import { html, type RawAnswer, redirect, route } from '../router.js';
import { type PortalState } from './billing-portal.js';
import { methodTypes } from './payment-intents.js';
import { attachMethod, detachMethod } from './payment-methods.js';
import { confirmSetupIntent, createSetupIntent } from './setup-intents.js';

interface Visit {
  own: Context;
  session: Stripe.BillingPortal.Session;
  customer: Stripe.Customer;
  features: Stripe.BillingPortal.Configuration['features'];
  path: string;
}

/** The session behind a link, or null when it has passed. */
function visit(ctx: Context, account: string, token: string): Visit | null {
  if (!ctx.sandbox.store.get(account)) throw missing('account', account);
  const own = ctx.on(account);
  const { session: id = '', expiresAt = 0 } = own.secret<PortalState>(`portal_${token}`);
  const session = own.table('billing_portal.session').get(id);
  const customer = session && own.table('customer').get(session.customer);
  if (!session || !customer || expiresAt <= ctx.now) return null;
  const { features } = own.table('billing_portal.configuration').require(idOf(session.configuration));
  return { own, session, customer, features, path: `/p/session/${account}/${token}` };
}

const gone = () => html(card('This page has expired', '<p>Ask for a new link.</p>'), 404);

function describe(method: Stripe.PaymentMethod): string {
  if (method.card)
    return `${method.card.brand} •••• ${method.card.last4}, expires ${method.card.exp_month}/${method.card.exp_year}`;
  const bank = method.us_bank_account ?? method.sepa_debit ?? method.au_becs_debit;
  return `${method.type.replaceAll('_', ' ')} •••• ${bank?.last4 ?? ''}`;
}

const button = (path: string, action: string, id: string, text: string, quiet = true): string =>
  `<form method="post" action="${path}/${action}"><input type="hidden" name="id" value="${escapeHtml(id)}"><button${quiet ? ' class="quiet"' : ''}>${text}</button></form>`;

function methodsHtml({ own, customer, features, path }: Visit): string {
  if (!features.payment_method_update.enabled) return '';
  const chosen = idOf(customer.invoice_settings.default_payment_method);
  const rows = own
    .table('payment_method')
    .by('customer', customer.id)
    .map(
      (method) => `<li>${escapeHtml(describe(method))}
        ${method.id === chosen ? '<strong>Default</strong>' : button(path, 'default', method.id, 'Make default')}
        ${button(path, 'remove', method.id, 'Remove')}</li>`,
    );
  return `<section><h2>Payment methods</h2><ul>${rows.join('') || '<li class="soft">None yet</li>'}</ul>
    <p><a href="${path}/add">Add a payment method</a></p></section>`;
}

function subscriptionsHtml({ own, customer, features, path }: Visit): string {
  const rows = own
    .table('subscription')
    .by('customer', customer.id)
    .filter(({ status }) => !['canceled', 'incomplete_expired'].includes(status))
    .map((subscription) => {
      const [item] = subscription.items.data;
      const name = item && own.table('product').get(idOf(item.price.product))?.name;
      const end = subscription.cancel_at ?? item?.current_period_end ?? 0;
      const canCancel = features.subscription_cancel.enabled;
      const act =
        subscription.cancel_at !== null
          ? button(path, 'keep', subscription.id, 'Don’t cancel')
          : `<p><a href="${path}/cancel/${subscription.id}">Cancel subscription</a></p>`;
      return `<li><strong>${escapeHtml(name ?? subscription.id)}</strong> ${item ? `${item.quantity ?? 1} × ${escapeHtml(priceText(item.price))}` : ''}
        <span class="soft">${subscription.status}, ${subscription.cancel_at !== null ? 'ends' : 'renews'} on ${dayText(end)}</span>${canCancel ? act : ''}</li>`;
    });
  return `<section><h2>Subscriptions</h2><ul>${rows.join('') || '<li class="soft">None</li>'}</ul></section>`;
}

function invoicesHtml({ own, customer, features }: Visit): string {
  if (!features.invoice_history.enabled) return '';
  const rows = own
    .table('invoice')
    .by('customer', customer.id)
    .filter(({ status }) => status !== 'draft')
    .reverse()
    .slice(0, 12)
    .map(
      (invoice) =>
        `<li><a href="${escapeHtml(invoice.hosted_invoice_url ?? '')}">${escapeHtml(invoice.number ?? invoice.id)}</a> ${escapeHtml(moneyText(invoice.total, invoice.currency))} <span class="soft">${invoice.status}</span></li>`,
    );
  return `<section><h2>Invoices</h2><ul>${rows.join('') || '<li class="soft">None</li>'}</ul></section>`;
}

function home(at: Visit, message?: string): RawAnswer {
  const back = at.session.return_url
    ? `<p><a href="${escapeHtml(at.session.return_url)}">Return to the shop</a></p>`
    : '';
  return html(
    card(
      'Billing',
      `<p>${escapeHtml(at.customer.name ?? at.customer.email ?? at.customer.id)}</p>${alertHtml(message)}
      ${subscriptionsHtml(at)}${methodsHtml(at)}${invoicesHtml(at)}${back}`,
    ),
  );
}

function addPage(at: Visit, message?: string): RawAnswer {
  const currency =
    at.customer.currency ?? at.own.platform.table('account').get(at.own.account)?.default_currency ?? 'usd';
  return html(
    card(
      'Add a payment method',
      `${alertHtml(message)}<form method="post" action="${at.path}/add">${payFields(methodTypes(at.own, currency))}
      <div class="actions"><button>Add</button></div></form><p><a href="${at.path}">Back</a></p>`,
    ),
  );
}

/** The new method becomes the default, as in Stripe's portal. */
function makeDefault(at: Visit, method: string): void {
  at.own.change(at.customer, 'customer.updated', () => (at.customer.invoice_settings.default_payment_method = method));
}

function add(ctx: Context, at: Visit, form: PayForm): RawAnswer {
  try {
    return atMoment(at.own, at.customer, () => {
      const method = methodOfForm(at.own, form);
      const intent = createSetupIntent(at.own, { customer: at.customer.id, usage: 'off_session' });
      at.own.secret<{ portal: boolean }>(intent.id).portal = true;
      confirmSetupIntent(at.own, intent, {
        payment_method: method.id,
        return_url: `${ctx.url}${at.path}/added`,
        ...(method.type !== 'card' && { mandate_data: agreement }),
      });
      const detour = intent.next_action?.redirect_to_url?.url;
      if (detour) return redirect(detour);
      attachMethod(at.own, method, at.customer.id);
      makeDefault(at, method.id);
      return redirect(done(at) ?? at.path);
    });
  } catch (error) {
    return addPage(at, messageOf(error));
  }
}

/** Where a flow goes when it is finished; null stays in the portal. */
function done({ session }: Visit): string | null {
  const after = session.flow?.after_completion;
  return after?.type === 'redirect' ? (after.redirect?.return_url ?? null) : null;
}

function cancelPage(at: Visit, id: string): RawAnswer {
  const subscription = at.own.table('subscription').require(id);
  if (subscription.customer !== at.customer.id) throw missing('subscription', id);
  const { mode, cancellation_reason: reason } = at.features.subscription_cancel;
  const [item] = subscription.items.data;
  const when = mode === 'immediately' ? 'It ends now.' : `It ends on ${dayText(item?.current_period_end ?? 0)}.`;
  const why = reason.enabled
    ? `<label>Why do you cancel?<select name="feedback"><option value="">(no answer)</option>${reason.options.map((option) => `<option value="${option}">${option.replaceAll('_', ' ')}</option>`).join('')}</select></label>`
    : '';
  return html(
    card(
      'Cancel your subscription?',
      `<p>${when}</p><form method="post">${why}<div class="actions"><button>Cancel subscription</button></div></form>
      <p><a href="${at.path}">Keep it</a></p>`,
    ),
  );
}

function cancelNow(at: Visit, id: string, feedback: string | null | undefined): RawAnswer {
  const subscription = at.own.table('subscription').require(id);
  if (subscription.customer !== at.customer.id) throw missing('subscription', id);
  const { mode, proration_behavior: behavior } = at.features.subscription_cancel;
  const details = feedback ? { feedback: feedback } : {};
  atMoment(at.own, subscription, () => {
    if (mode !== 'immediately')
      return void updateSubscription(at.own, subscription, {
        cancel_at_period_end: true,
        cancellation_details: details as object,
      });
    cancelSubscription(at.own, subscription, {
      prorate: behavior !== 'none',
      invoiceNow: behavior === 'always_invoice',
      reason: 'cancellation_requested',
      details,
    });
  });
  return redirect(done(at) ?? at.path);
}

type Handler<P> = (ctx: Context, at: Visit, params: P, ids: Record<string, string>) => RawAnswer;

/** Finds the visit and answers when there is none. */
function visiting<P>(work: Handler<P>) {
  return (ctx: Context, params: P, ids: Record<string, string>): RawAnswer => {
    const at = visit(ctx, ids['account'] ?? '', ids['token'] ?? '');
    return at ? work(ctx, at, params, ids) : gone();
  };
}

const one = { id: p.string().required() };

/** The customer portal's pages. {@link https://docs.stripe.com/customer-management} */
export const billingPortalPages: Resource = {
  hooks: {
    // A card that had to be authenticated first.
    setupSucceeded: (ctx, intent) => {
      const customer = ctx.table('customer').get(idOf(intent.customer) ?? '');
      const method = idOf(intent.payment_method);
      if (!ctx.secret<{ portal: boolean }>(intent.id).portal || !customer || method === null) return;
      ctx.change(customer, 'customer.updated', () => (customer.invoice_settings.default_payment_method = method));
    },
  },
  routes: [
    route(
      'GET',
      '/p/session/:account/:token',
      {},
      visiting((_ctx, at) => {
        const { flow } = at.session;
        const cancels = flow?.subscription_cancel?.subscription;
        const open = cancels === undefined ? undefined : at.own.table('subscription').get(cancels);
        if (flow?.type === 'subscription_cancel' && open && open.cancel_at === null && open.status !== 'canceled')
          return redirect(`${at.path}/cancel/${open.id}`);
        if (flow?.type === 'payment_method_update') return redirect(`${at.path}/add`);
        return home(at);
      }),
      'public',
    ),
    route(
      'GET',
      '/p/session/:account/:token/add',
      {},
      visiting((_ctx, at) => addPage(at)),
      'public',
    ),
    route('POST', '/p/session/:account/:token/add', payFormParams, visiting(add), 'public'),
    route(
      'GET',
      '/p/session/:account/:token/added',
      { setup_intent: p.string(), setup_intent_client_secret: p.string(), redirect_status: p.string() },
      visiting((_ctx, at, { redirect_status: status }: { redirect_status?: string }) =>
        status === 'succeeded' ? redirect(done(at) ?? at.path) : addPage(at, 'The card could not be authenticated.'),
      ),
      'public',
    ),
    route(
      'POST',
      '/p/session/:account/:token/default',
      one,
      visiting((_ctx, at, { id }: { id: string }) => {
        const method = at.own.table('payment_method').require(id);
        if (method.customer !== at.customer.id) throw missing('payment_method', id);
        makeDefault(at, id);
        return redirect(at.path);
      }),
      'public',
    ),
    route(
      'POST',
      '/p/session/:account/:token/remove',
      one,
      visiting((_ctx, at, { id }: { id: string }) => {
        const method = at.own.table('payment_method').require(id);
        if (method.customer !== at.customer.id) throw missing('payment_method', id);
        detachMethod(at.own, method);
        return redirect(at.path);
      }),
      'public',
    ),
    route(
      'GET',
      '/p/session/:account/:token/cancel/:id',
      {},
      visiting((_ctx, at, _params, ids) => cancelPage(at, ids['id'] ?? '')),
      'public',
    ),
    route(
      'POST',
      '/p/session/:account/:token/cancel/:id',
      { feedback: p.string().clearable() },
      visiting((_ctx, at, { feedback }: { feedback?: string | null }, ids) => cancelNow(at, ids['id'] ?? '', feedback)),
      'public',
    ),
    route(
      'POST',
      '/p/session/:account/:token/keep',
      one,
      visiting((_ctx, at, { id }: { id: string }) => {
        const subscription = at.own.table('subscription').require(id);
        if (subscription.customer !== at.customer.id) throw missing('subscription', id);
        const undo = subscription.cancel_at_period_end ? { cancel_at_period_end: false } : { cancel_at: null };
        atMoment(at.own, subscription, () => updateSubscription(at.own, subscription, undo));
        return redirect(at.path);
      }),
      'public',
    ),
  ],
};
