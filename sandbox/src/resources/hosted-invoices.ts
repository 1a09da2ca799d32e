import type Stripe from 'stripe';
import { moneyText } from '../billing/amounts.js';
import { alertHtml, agreement, messageOf, methodOfForm, payFields, payFormParams } from '../billing/pay-form.js';
import { defaultIntent } from '../billing/payments.js';
import { linesOf } from '../billing/invoice.js';
import { type Context } from '../context.js';
import { card, escapeHtml } from '../dashboard.js';
import { missing } from '../errors.js';
import { p } from '../params.js';
import { type Resource } from '../resource.js';
import { html, type RawAnswer, redirect, route } from '../router.js';
import { confirmIntent } from './payment-intents.js';

function find(ctx: Context, account: string, token: string): { own: Context; invoice: Stripe.Invoice } {
  if (!ctx.sandbox.store.get(account)) throw missing('account', account);
  const own = ctx.on(account);
  const { invoice = '' } = own.secret<{ invoice: string }>(`invoice_page_${token}`);
  return { own, invoice: own.table('invoice').require(invoice) };
}

function pageOf(ctx: Context, invoice: Stripe.Invoice, message?: string): RawAnswer {
  const rows = linesOf(ctx, invoice).map(
    (line) =>
      `<tr><td>${escapeHtml(line.description ?? '')}</td><td>${escapeHtml(moneyText(line.amount, invoice.currency))}</td></tr>`,
  );
  const intent = defaultIntent(ctx, invoice.id);
  const payable =
    invoice.status === 'open' &&
    intent &&
    ['requires_payment_method', 'requires_confirmation', 'requires_action'].includes(intent.status);
  return html(
    card(
      `Invoice ${invoice.number ?? ''}`,
      `${alertHtml(message)}<table>${rows.join('')}<tr><th>Amount due</th><th>${escapeHtml(moneyText(invoice.amount_due, invoice.currency))}</th></tr></table>
      <p>Status: <strong>${invoice.status}</strong></p>
      ${payable ? `<form method="post" action="${new URL(invoice.hosted_invoice_url ?? ctx.url).pathname}">${payFields(intent.payment_method_types)}<div class="actions"><button>Pay invoice</button></div></form>` : ''}`,
    ),
  );
}

/** The page behind `hosted_invoice_url`. {@link https://docs.stripe.com/invoicing/hosted-invoice-page} */
export const hostedInvoices: Resource = {
  routes: [
    route(
      'GET',
      '/i/:account/:token',
      { payment_intent: p.string(), payment_intent_client_secret: p.string(), redirect_status: p.string() },
      (ctx, { redirect_status: status }, { account, token }) => {
        const { own, invoice } = find(ctx, account, token);
        return pageOf(own, invoice, status === 'failed' ? 'The payment was not authenticated.' : undefined);
      },
      'public',
    ),
    route(
      'POST',
      '/i/:account/:token',
      payFormParams,
      (ctx, form, { account, token }) => {
        const { own, invoice } = find(ctx, account, token);
        const url = `${ctx.url}/i/${account}/${token}`;
        try {
          const intent = defaultIntent(own, invoice.id);
          if (!intent || invoice.status !== 'open') return redirect(url);
          own.atTimeOf(invoice, () => {
            const method = methodOfForm(own, form);
            const details = method.type === 'card' ? {} : { mandate_data: agreement };
            confirmIntent(own, intent, { payment_method: method.id, return_url: url, ...details }, { internal: true });
          });
          return redirect(
            intent.status === 'requires_action' ? (intent.next_action?.redirect_to_url?.url ?? url) : url,
          );
        } catch (error) {
          return pageOf(own, invoice, messageOf(error));
        }
      },
      'public',
    ),
    route(
      'GET',
      '/i/:account/:token/pdf',
      {},
      (ctx, _params, { account, token }) => {
        const { own, invoice } = find(ctx, account, token);
        return pageOf(own, invoice);
      },
      'public',
    ),
  ],
};
