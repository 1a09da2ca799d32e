import type Stripe from 'stripe';
import { atMoment } from '../billing/moment.js';
import { insertInvoice, invoiceState, linesOf, sumUp } from '../billing/invoice.js';
import {
  advanceDraft,
  attemptPayment,
  finalizeInvoice,
  followIntent,
  markUncollectible,
  notEditable,
  planDraft,
  recordPayment,
  settlePaid,
  voidInvoice,
} from '../billing/invoice-flow.js';
import { attachPendingItems } from '../billing/invoice-items.js';
import { addPayment, defaultIntent, paymentsOf } from '../billing/payments.js';
import { billingSettings } from '../billing/settings.js';
import { invoiceParams, newInvoiceParams } from '../billing/invoice-params.js';
import { unsupported } from '../billing/unsupported.js';
import { type Context } from '../context.js';
import { cardError, invalid } from '../errors.js';
import { embeddedList, listPage } from '../list.js';
import { checkCurrency } from '../money.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { search, searchParams } from '../search.js';
import { resolveMethod } from './payment-methods.js';

type Invoice = Stripe.Invoice;

/** Runs at the time of the invoice's customer. */
function timely<T>(ctx: Context, invoice: Invoice, work: () => T): T {
  return atMoment(ctx, invoice, work);
}

function apply(ctx: Context, invoice: Invoice, params: Partial<Params<typeof invoiceParams>>): void {
  const state = invoiceState(ctx, invoice.id);
  const { application_fee_amount: fee, payment_settings: settings, shipping_details: shipping } = params;
  if (fee !== undefined) {
    if (ctx.isPlatform)
      throw invalid(
        'Can only apply an application_fee_amount when the invoice belongs to a connected account.',
        'application_fee_amount',
      );
    if (fee < 0)
      throw invalid(
        'This value must be greater than or equal to 0.',
        'application_fee_amount',
        'parameter_invalid_integer',
      );
    if (linesOf(ctx, invoice).length > 0 && fee > Math.max(0, invoice.total))
      throw invalid(
        `The application fee amount (${fee}) cannot be greater than the total of the invoice (${invoice.total}).`,
        'application_fee_amount',
      );
    state.applicationFee = fee;
  }
  for (const name of [
    'custom_fields',
    'description',
    'due_date',
    'effective_at',
    'footer',
    'number',
    'statement_descriptor',
  ] as const)
    if (params[name] !== undefined) Object.assign(invoice, { [name]: params[name] });
  if (params.collection_method !== undefined) invoice.collection_method = params.collection_method;
  if (params.days_until_due !== undefined) state.daysUntilDue = params.days_until_due;
  if (shipping !== undefined) invoice.shipping_details = shipping as Stripe.Invoice.ShippingDetails | null;
  if (settings) Object.assign(invoice.payment_settings, settings);
  if (params.default_payment_method !== undefined) {
    const method = ctx.table('payment_method').require(params.default_payment_method, 'default_payment_method');
    if (method.customer !== idOf(invoice.customer))
      throw invalid('The payment method does not belong to the customer of this invoice.', 'default_payment_method');
    invoice.default_payment_method = method.id;
  }
  invoice.metadata = mergeMetadata(invoice.metadata ?? {}, params.metadata);
  if (params.auto_advance !== undefined || params.automatically_finalizes_at !== undefined) plan(ctx, invoice, params);
}

/** Whether and when a draft advances by itself. */
function plan(
  ctx: Context,
  invoice: Invoice,
  params: { auto_advance?: boolean; automatically_finalizes_at?: number },
): void {
  invoice.auto_advance = params.auto_advance ?? true;
  if (invoice.status === 'draft') {
    const at = params.automatically_finalizes_at ?? ctx.now + billingSettings(ctx).draft_seconds;
    invoice.automatically_finalizes_at = invoice.auto_advance ? at : null;
    invoice.next_payment_attempt =
      invoice.collection_method === 'charge_automatically' ? invoice.automatically_finalizes_at : null;
    planDraft(ctx, invoice);
  } else if (invoice.status === 'open') planAttempt(ctx, invoice);
}

/** An invoice finalized by hand is collected an hour later, if it advances. */
function planAttempt(ctx: Context, invoice: Invoice): void {
  const collects = invoice.auto_advance === true && invoice.collection_method === 'charge_automatically';
  invoice.next_payment_attempt = collects ? ctx.now + billingSettings(ctx).draft_seconds : null;
  if (invoice.next_payment_attempt !== null)
    ctx.schedule(invoice.next_payment_attempt, 'invoice.attempt', invoice.id, idOf(invoice.test_clock));
}

function createInvoice(ctx: Context, params: Params<typeof newInvoiceParams>): Invoice {
  if (params.customer === undefined)
    throw invalid('Missing required param: customer.', 'customer', 'parameter_missing');
  const customer = ctx.table('customer').require(params.customer, 'customer');
  const subscription =
    params.subscription === undefined ? null : ctx.table('subscription').require(params.subscription, 'subscription');
  const sends = params.collection_method === 'send_invoice';
  if (sends && params.days_until_due === undefined && params.due_date === undefined)
    throw invalid(
      'If an invoice has `collection_method` set to `send_invoice`, you must pass `days_until_due` or `due_date`.',
      'days_until_due',
      'parameter_missing',
    );
  if (!sends && (params.days_until_due !== undefined || params.due_date !== undefined))
    throw invalid(
      'You can only use `days_until_due` or `due_date` with `collection_method` set to `send_invoice`.',
      'days_until_due',
    );
  const account = ctx.platform.table('account').get(ctx.account);
  const currency = checkCurrency(params.currency ?? customer.currency ?? account?.default_currency ?? 'usd');
  return atMoment(ctx, customer, () => {
    const invoice = insertInvoice(ctx, {
      customer,
      currency,
      reason: subscription ? 'subscription_update' : 'manual',
      ...(params.collection_method && { collection: params.collection_method }),
      subscription,
    });
    try {
      apply(ctx, invoice, params);
    } catch (error) {
      ctx.table('invoice').delete(invoice.id);
      throw error;
    }
    if (params.pending_invoice_items_behavior === 'include' || subscription)
      attachPendingItems(ctx, invoice, subscription?.id ?? null);
    else sumUp(ctx, invoice);
    if (!customer.currency) ctx.change(customer, 'customer.updated', () => (customer.currency = currency));
    ctx.emit('invoice.created', invoice);
    return invoice;
  });
}

const editable = new Set([
  'metadata',
  'auto_advance',
  'default_payment_method',
  'description',
  'payment_settings',
  'automatically_finalizes_at',
]);

function updateInvoice(ctx: Context, invoice: Invoice, params: Params<typeof invoiceParams>): Invoice {
  const given = Object.keys(params).filter((name) => params[name as keyof typeof params] !== undefined);
  const blocked = given.find((name) => !editable.has(name));
  if (invoice.status !== 'draft' && blocked !== undefined)
    throw notEditable(`This invoice has been finalized: \`${blocked}\` can no longer be changed.`);
  return ctx.change(invoice, 'invoice.updated', () => apply(ctx, invoice, params));
}

function payInvoice(
  ctx: Context,
  invoice: Invoice,
  params: { payment_method?: string; paid_out_of_band?: boolean; off_session?: boolean; forgive?: boolean },
): Invoice {
  if (invoice.status === 'paid') throw invalid('Invoice is already paid', undefined, 'invoice_already_paid');
  if (invoice.status === 'void') throw invalid('This invoice is void and can no longer be paid.');
  if (invoice.status === 'draft') finalizeInvoice(ctx, invoice);
  if (invoice.status === ('paid' as string)) return invoice;
  if (params.paid_out_of_band) {
    settlePaid(ctx, invoice, { outside: true });
    return invoice;
  }
  const method = params.payment_method === undefined ? undefined : resolveMethod(ctx, params.payment_method);
  const error = attemptPayment(ctx, invoice, {
    ...(method && { method }),
    ...(params.off_session !== undefined && { offSession: params.off_session }),
  });
  if (error) throw error;
  const intent = defaultIntent(ctx, invoice.id);
  if (intent?.status === 'requires_action')
    throw cardError(
      'Your card was declined. This transaction requires authentication: the payment of this invoice needs its customer.',
      { code: 'invoice_payment_intent_requires_action', payment_intent: JSON.parse(JSON.stringify(intent)) },
    );
  return invoice;
}

function deleteInvoice(ctx: Context, invoice: Invoice): Stripe.DeletedInvoice {
  if (invoice.status !== 'draft' || invoice.parent?.type === 'subscription_details')
    throw notEditable('You can only delete draft invoices that do not belong to a subscription.');
  for (const item of ctx.table('invoiceitem').by('invoice', invoice.id)) {
    item.invoice = null;
    ctx.table('invoiceitem').touch(item);
  }
  for (const line of linesOf(ctx, invoice)) ctx.table('line_item').delete(line.id);
  ctx.table('invoice').delete(invoice.id);
  ctx.emit('invoice.deleted', invoice);
  return { id: invoice.id, object: 'invoice', deleted: true };
}

function attachIntent(ctx: Context, invoice: Invoice, id: string | undefined): Invoice {
  if (id === undefined) throw invalid('Missing required param: payment_intent.', 'payment_intent', 'parameter_missing');
  const intent = ctx.table('payment_intent').require(id, 'payment_intent');
  if (invoice.status !== 'open') throw invalid('Payments can only be attached to open invoices.', 'id');
  if (intent.status === 'canceled') throw invalid('This PaymentIntent is canceled.', 'payment_intent');
  if (intent.currency !== invoice.currency)
    throw invalid('The currencies of the invoice and the PaymentIntent differ.', 'payment_intent');
  const payment = addPayment(ctx, invoice, intent, false);
  if (intent.status === 'succeeded') recordPayment(ctx, invoice, payment, intent.amount_received);
  return invoice;
}

const invoiceOf = (ctx: Context, id: string): Invoice => ctx.table('invoice').require(id, 'invoice');

/** Invoices; previews stand in `invoice-previews.ts`. {@link https://docs.stripe.com/api/invoices} */
export const invoices: Resource = {
  expandable: ['invoice', 'latest_invoice', 'subscription'],
  includable: {
    invoice: {
      payments: (ctx, { id }: Invoice) => embeddedList(paymentsOf(ctx, id), `/v1/invoice_payments?invoice=${id}`),
      confirmation_secret: (ctx, { id }: Invoice) => {
        const intent = defaultIntent(ctx, id);
        return intent?.client_secret ? { client_secret: intent.client_secret, type: 'payment_intent' } : null;
      },
    },
  },
  hooks: {
    intentChanged: followIntent,
    customerDeleted: (ctx, customer) => {
      for (const invoice of ctx.table('invoice').by('customer', customer.id)) {
        if (invoice.status === 'draft') invoice.auto_advance = false;
        if (invoice.status === 'open')
          ctx.change(invoice, 'invoice.updated', () => {
            invoice.auto_advance = false;
            invoice.next_payment_attempt = null;
          });
      }
    },
  },
  due: {
    'invoice.finalize': (ctx, { ref, at }) => {
      const invoice = ctx.table('invoice').get(ref);
      if (invoice?.status === 'draft' && invoice.auto_advance && invoice.automatically_finalizes_at === at)
        advanceDraft(ctx, invoice);
    },
    'invoice.attempt': (ctx, { ref, at }) => {
      const invoice = ctx.table('invoice').get(ref);
      if (invoice?.status === 'open' && invoice.next_payment_attempt === at)
        attemptPayment(ctx, invoice, { automatic: true });
    },
    'invoice.overdue': (ctx, { ref, at }) => {
      const invoice = ctx.table('invoice').get(ref);
      if (invoice?.status !== 'open' || invoice.due_date !== at) return;
      ctx.emit('invoice.overdue', invoice);
      ctx.sandbox.hook('invoiceChanged', ctx, invoice, 'overdue');
    },
  },
  routes: [
    route('POST', '/v1/invoices', newInvoiceParams, createInvoice),
    route(
      'GET',
      '/v1/invoices',
      {
        ...listParams,
        collection_method: p.string(),
        created: p.range(),
        customer: p.string(),
        customer_account: p.string(),
        due_date: p.range(),
        status: p.enum('draft', 'open', 'paid', 'uncollectible', 'void'),
        subscription: p.string(),
      },
      (ctx, { collection_method: method, created, customer, due_date: due, status, subscription, ...page }) => {
        if (page.starting_after !== undefined) ctx.table('invoice').require(page.starting_after, 'starting_after');
        return listPage(
          customer === undefined ? ctx.table('invoice') : ctx.table('invoice').by('customer', customer).reverse(),
          '/v1/invoices',
          page,
          (invoice) =>
            inRange(invoice.created, created) &&
            (method === undefined || invoice.collection_method === method) &&
            (due === undefined || (invoice.due_date !== null && inRange(invoice.due_date, due))) &&
            (status === undefined || invoice.status === status) &&
            (subscription === undefined || idOf(invoice.parent?.subscription_details?.subscription) === subscription),
        );
      },
    ),
    route('GET', '/v1/invoices/search', searchParams, (ctx, params) =>
      search(ctx.table('invoice').newestFirst(), '/v1/invoices/search', params),
    ),
    route('GET', '/v1/invoices/:id', {}, (ctx, _params, { id }) => invoiceOf(ctx, id)),
    route('POST', '/v1/invoices/:id', invoiceParams, (ctx, params, { id }) => {
      const invoice = invoiceOf(ctx, id);
      return timely(ctx, invoice, () => updateInvoice(ctx, invoice, params));
    }),
    route('DELETE', '/v1/invoices/:id', {}, (ctx, _params, { id }) => {
      const invoice = invoiceOf(ctx, id);
      return timely(ctx, invoice, () => deleteInvoice(ctx, invoice));
    }),
    route('POST', '/v1/invoices/:id/finalize', { auto_advance: p.boolean() }, (ctx, params, { id }) => {
      const invoice = invoiceOf(ctx, id);
      return timely(ctx, invoice, () => {
        finalizeInvoice(ctx, invoice, {
          ...(params.auto_advance !== undefined && { autoAdvance: params.auto_advance }),
        });
        if (invoice.status === 'open') planAttempt(ctx, invoice);
        return invoice;
      });
    }),
    route(
      'POST',
      '/v1/invoices/:id/pay',
      {
        forgive: p.boolean(),
        mandate: p.string().clearable(),
        off_session: p.boolean(),
        paid_out_of_band: p.boolean(),
        payment_method: p.string(),
        source: unsupported('sources'),
      },
      (ctx, params, { id }) => {
        const invoice = invoiceOf(ctx, id);
        return timely(ctx, invoice, () => payInvoice(ctx, invoice, params));
      },
    ),
    route('POST', '/v1/invoices/:id/void', {}, (ctx, _params, { id }) => {
      const invoice = invoiceOf(ctx, id);
      return timely(ctx, invoice, () => voidInvoice(ctx, invoice));
    }),
    route('POST', '/v1/invoices/:id/mark_uncollectible', {}, (ctx, _params, { id }) => {
      const invoice = invoiceOf(ctx, id);
      return timely(ctx, invoice, () => {
        if (invoice.status !== 'open') throw notEditable('You can only mark open invoices as uncollectible.');
        return markUncollectible(ctx, invoice);
      });
    }),
    route('POST', '/v1/invoices/:id/send', {}, (ctx, _params, { id }) => {
      const invoice = invoiceOf(ctx, id);
      if (invoice.collection_method !== 'send_invoice')
        throw invalid('You can only manually send an invoice if its collection method is `send_invoice`.');
      return timely(ctx, invoice, () => {
        if (invoice.status === 'draft') finalizeInvoice(ctx, invoice);
        ctx.emit('invoice.sent', invoice);
        return invoice;
      });
    }),
    route(
      'POST',
      '/v1/invoices/:id/attach_payment',
      { payment_intent: p.string(), payment_record: unsupported('payment records') },
      (ctx, { payment_intent: intent }, { id }) => {
        const invoice = invoiceOf(ctx, id);
        return timely(ctx, invoice, () => attachIntent(ctx, invoice, intent));
      },
    ),
    /** How long drafts wait, how failed payments are retried, and what comes of it. */
    route(
      'POST',
      '/_control/billing',
      {
        retry_days: p.array(p.number()),
        after_retries: p.enum('cancel', 'unpaid', 'past_due'),
        upcoming_days: p.number(),
        draft_seconds: p.int(),
      },
      (ctx, params) => Object.assign(billingSettings(ctx), params),
      'public',
    ),
  ],
};
