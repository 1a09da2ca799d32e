import type Stripe from 'stripe';
import { atMoment } from '../billing/moment.js';
import { decimal, exactAmount, roundAmount } from '../billing/amounts.js';
import { linesOf, sumUp } from '../billing/invoice.js';
import { attachPendingItems, insertItem, lineOfItem } from '../billing/invoice-items.js';
import { lineFrom, pricingOf } from '../billing/lines.js';
import { notDone } from '../billing/unsupported.js';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { listPage } from '../list.js';
import { checkCurrency } from '../money.js';
import { idOf } from '../objects.js';
import { inRange, listParams, mergeMetadata, type Params, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { priceFrom } from './prices.js';
import { priceDataParam } from '../billing/price-params.js';

/** What an item and a line of a draft have in common. */
export const itemParams = {
  amount: p.int(),
  description: p.string(),
  discountable: p.boolean(),
  discounts: notDone.discounts,
  metadata: p.metadata(),
  period: p.hash({ end: p.timestamp().required(), start: p.timestamp().required() }),
  price_data: priceDataParam,
  pricing: p.hash({ price: p.string() }),
  quantity: p.int(),
  quantity_decimal: p.string(),
  tax_behavior: p.enum('exclusive', 'inclusive', 'unspecified'),
  tax_code: p.string().clearable(),
  tax_rates: notDone.tax_rates,
};
const createParams = {
  ...itemParams,
  currency: p.string(),
  customer: p.string(),
  customer_account: notDone.customer_account,
  invoice: p.string(),
  subscription: p.string(),
  unit_amount_decimal: p.string(),
};
const updateParams = { ...itemParams, invoicing_rules: p.any(), unit_amount_decimal: p.string() };

type Given = Partial<Params<typeof createParams>>;

function quantityOf(params: Given): number | undefined {
  if (params.quantity_decimal === undefined) return params.quantity;
  const quantity = Number(params.quantity_decimal);
  if (!Number.isFinite(quantity)) throw invalid('Invalid decimal', 'quantity_decimal');
  return quantity;
}

/** Makes an item from what the API was given; on a draft when there is one. @throws StripeError 400 */
export function makeItem(ctx: Context, params: Given, invoice: Stripe.Invoice | null): Stripe.InvoiceItem {
  const customer = ctx.table('customer').require(params.customer ?? '', 'customer');
  if (invoice && invoice.status !== 'draft')
    throw invalid(
      `Invoice ${invoice.id} is no longer editable: its status is ${invoice.status}.`,
      'invoice',
      'invoice_not_editable',
    );
  const ways = [params.amount, params.pricing?.price ?? params.price_data, params.unit_amount_decimal];
  const given = ways.filter((way) => way !== undefined).length;
  if (given !== 1)
    throw invalid(
      given === 0
        ? 'You must specify one of `amount`, `pricing[price]`, `price_data` or `unit_amount_decimal`.'
        : 'You may only specify one of these parameters: amount, pricing, price_data, unit_amount_decimal.',
      'amount',
      given === 0 ? 'parameter_missing' : 'parameters_exclusive',
    );
  const named = params.pricing?.price ?? params.price_data;
  const price =
    named === undefined
      ? null
      : priceFrom(
          ctx,
          {
            ...(params.pricing?.price !== undefined && { price: params.pricing.price }),
            ...(params.price_data && { price_data: params.price_data }),
          },
          'pricing',
        );
  if (price?.recurring)
    throw invalid(
      'The price specified is set to `type=recurring` but this field only accepts prices with `type=one_time`.',
      'pricing[price]',
    );
  const account = ctx.platform.table('account').get(ctx.account);
  const currency = checkCurrency(
    price?.currency ?? params.currency ?? invoice?.currency ?? customer.currency ?? account?.default_currency ?? 'usd',
  );
  if (invoice && invoice.currency !== currency)
    throw invalid(
      `The currency of the invoice item (${currency}) and of the invoice (${invoice.currency}) differ.`,
      'currency',
    );
  const quantity = quantityOf(params);
  const item = insertItem(ctx, {
    customer: customer.id,
    currency,
    price,
    ...(params.amount !== undefined && { amount: params.amount }),
    ...(params.unit_amount_decimal !== undefined && { unitAmount: Number(params.unit_amount_decimal) }),
    ...(quantity !== undefined && { quantity }),
    ...(params.description !== undefined && { description: params.description }),
    ...(params.discountable !== undefined && { discountable: params.discountable }),
    ...(params.period && { period: params.period }),
    metadata: mergeMetadata({}, params.metadata),
    subscription: params.subscription ?? null,
  });
  if (invoice) attachPendingItems(ctx, invoice, null, [item]);
  return item;
}

function createItem(ctx: Context, params: Given): Stripe.InvoiceItem {
  const invoice = params.invoice === undefined ? null : ctx.table('invoice').require(params.invoice, 'invoice');
  const owner = params.customer ?? idOf(invoice?.customer);
  if (owner === null || owner === undefined)
    throw invalid('Missing required param: customer.', 'customer', 'parameter_missing');
  if (params.subscription !== undefined) ctx.table('subscription').require(params.subscription, 'subscription');
  const customer = ctx.table('customer').require(owner, 'customer');
  if (invoice && invoice.customer !== owner)
    throw invalid(`Invoice ${invoice.id} belongs to another customer.`, 'invoice');
  return atMoment(ctx, customer, () => {
    if (!invoice) return makeItem(ctx, { ...params, customer: owner }, null);
    const before = JSON.parse(JSON.stringify(invoice)) as object;
    const item = makeItem(ctx, { ...params, customer: owner }, invoice);
    ctx.emit('invoice.updated', invoice, { before });
    return item;
  });
}

function updateItem(ctx: Context, item: Stripe.InvoiceItem, params: Given): Stripe.InvoiceItem {
  const invoice = ctx.table('invoice').get(idOf(item.invoice) ?? '');
  if (invoice && invoice.status !== 'draft')
    throw invalid(
      'This invoice item belongs to a finalized invoice and can no longer be changed.',
      'id',
      'invoice_not_editable',
    );
  const quantity = quantityOf(params) ?? item.quantity;
  const price =
    (params.pricing?.price ?? params.price_data)
      ? priceFrom(
          ctx,
          {
            ...(params.pricing?.price !== undefined && { price: params.pricing.price }),
            ...(params.price_data && { price_data: params.price_data }),
          },
          'pricing',
        )
      : undefined;
  const unit = params.unit_amount_decimal === undefined ? undefined : Number(params.unit_amount_decimal);
  if (params.amount !== undefined) item.amount = params.amount;
  else if (unit !== undefined) item.amount = roundAmount(unit * quantity);
  else if (price) item.amount = roundAmount(exactAmount(price, quantity));
  else if (quantity !== item.quantity) item.amount = roundAmount((item.amount / item.quantity) * quantity);
  if (price ?? params.amount ?? unit) item.pricing = pricingOf(price ?? null, unit ?? item.amount / quantity);
  item.net_amount = item.amount;
  item.quantity = quantity;
  item.quantity_decimal = decimal(quantity);
  if (params.description !== undefined) item.description = params.description;
  if (params.discountable !== undefined) item.discountable = params.discountable;
  if (params.period) item.period = params.period;
  item.metadata = mergeMetadata(item.metadata ?? {}, params.metadata);
  const line =
    invoice && linesOf(ctx, invoice).find(({ parent }) => parent?.invoice_item_details?.invoice_item === item.id);
  if (invoice && line)
    ctx.change(invoice, 'invoice.updated', () => {
      Object.assign(line, lineFrom(lineOfItem(ctx, item), invoice.id), { id: line.id });
      sumUp(ctx, invoice);
    });
  return item;
}

function deleteItem(ctx: Context, item: Stripe.InvoiceItem): Stripe.DeletedInvoiceItem {
  const invoice = ctx.table('invoice').get(idOf(item.invoice) ?? '');
  if (invoice && invoice.status !== 'draft')
    throw invalid(
      'This invoice item belongs to a finalized invoice and cannot be deleted.',
      'id',
      'invoice_not_editable',
    );
  ctx.table('invoiceitem').delete(item.id);
  if (invoice)
    ctx.change(invoice, 'invoice.updated', () => {
      for (const line of linesOf(ctx, invoice))
        if (
          [
            line.parent?.invoice_item_details?.invoice_item,
            line.parent?.subscription_item_details?.invoice_item,
          ].includes(item.id)
        )
          ctx.table('line_item').delete(line.id);
      sumUp(ctx, invoice);
    });
  ctx.emit('invoiceitem.deleted', item);
  return { id: item.id, object: 'invoiceitem', deleted: true };
}

/** Invoice items. {@link https://docs.stripe.com/api/invoiceitems} */
export const invoiceItems: Resource = {
  hooks: {
    customerDeleted: (ctx, customer) => {
      for (const item of ctx.table('invoiceitem').by('customer', customer.id))
        if (item.invoice === null) ctx.table('invoiceitem').delete(item.id);
    },
  },
  routes: [
    route('POST', '/v1/invoiceitems', createParams, createItem),
    route(
      'GET',
      '/v1/invoiceitems',
      {
        ...listParams,
        created: p.range(),
        customer: p.string(),
        customer_account: p.string(),
        invoice: p.string(),
        pending: p.boolean(),
      },
      (ctx, { created, customer, invoice, pending, ...page }) =>
        listPage(
          ctx.table('invoiceitem'),
          '/v1/invoiceitems',
          page,
          (item) =>
            inRange(item.date, created) &&
            (customer === undefined || item.customer === customer) &&
            (invoice === undefined || item.invoice === invoice) &&
            (pending === undefined || (item.invoice === null) === pending),
        ),
    ),
    route('GET', '/v1/invoiceitems/:id', {}, (ctx, _params, { id }) =>
      ctx.table('invoiceitem').require(id, 'invoiceitem'),
    ),
    route('POST', '/v1/invoiceitems/:id', updateParams, (ctx, params, { id }) => {
      const item = ctx.table('invoiceitem').require(id, 'invoiceitem');
      return atMoment(ctx, item, () => updateItem(ctx, item, params));
    }),
    route('DELETE', '/v1/invoiceitems/:id', {}, (ctx, _params, { id }) => {
      const item = ctx.table('invoiceitem').require(id, 'invoiceitem');
      return atMoment(ctx, item, () => deleteItem(ctx, item));
    }),
  ],
};
