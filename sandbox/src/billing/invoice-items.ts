import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { newId } from '../ids.js';
import { idOf } from '../objects.js';
import { decimal, decimalOf, exactAmount, roundAmount } from './amounts.js';
import { addLines, sumUp } from './invoice.js';
import { type LineSpec, pricingOf } from './lines.js';
import { type Period } from './periods.js';

type Item = Stripe.InvoiceItem;

/** An amount that waits for the customer's next invoice, or goes onto a draft at once. */
export interface NewItem {
  customer: string;
  currency: string;
  /** Minor units; otherwise quantity times the price's or this unit amount. */
  amount?: number;
  price?: Stripe.Price | null;
  unitAmount?: number;
  quantity?: number;
  description?: string | null;
  period?: Period;
  metadata?: Stripe.Metadata;
  discountable?: boolean;
  subscription?: string | null;
  subscriptionItem?: string | null;
  proration?: boolean;
  credited?: { invoice: string; invoice_line_items: string[] } | null;
}

/** Makes an invoice item, with its event. */
export function insertItem(ctx: Context, given: NewItem): Item {
  const { price = null, quantity = 1, proration = false, subscription = null, subscriptionItem = null } = given;
  const { amount, unit } = amountsOf(given);
  const customer = ctx.table('customer').require(given.customer, 'customer');
  const item = ctx.table('invoiceitem').insert({
    id: newId('invoiceitem'),
    object: 'invoiceitem',
    amount,
    currency: given.currency,
    customer: given.customer,
    customer_account: null,
    date: ctx.now,
    description: given.description ?? null,
    discountable: given.discountable ?? !proration,
    discounts: [],
    invoice: null,
    livemode: false,
    metadata: { ...given.metadata },
    net_amount: amount,
    parent:
      subscription === null
        ? null
        : {
            subscription_details: {
              subscription,
              ...(subscriptionItem !== null && { subscription_item: subscriptionItem }),
            },
            type: 'subscription_details',
          },
    period: given.period ?? { end: ctx.now, start: ctx.now },
    pricing: pricingOf(price, unit),
    proration,
    ...(proration && {
      proration_details: {
        credited_items: given.credited
          ? { invoice_line_item_details: given.credited, type: 'invoice_line_items' }
          : null,
        discount_amounts: [],
      },
    }),
    quantity,
    quantity_decimal: decimal(quantity),
    tax_rates: [],
    test_clock: idOf(customer.test_clock),
  });
  ctx.emit('invoiceitem.created', item);
  return item;
}

/** A pending item as the line it becomes. */
export function lineOfItem(ctx: Context, item: Item): LineSpec {
  const price = item.pricing?.price_details && ctx.table('price').get(idOf(item.pricing.price_details.price));
  const details = item.parent?.subscription_details;
  return {
    amount: item.amount,
    currency: item.currency,
    description: item.description ?? productName(ctx, price),
    period: item.period,
    price: price ?? null,
    unitAmount: item.pricing?.unit_amount_decimal ? decimalOf(item.pricing.unit_amount_decimal) : null,
    quantity: item.quantity,
    metadata: item.metadata ?? {},
    discountable: item.discountable,
    subscription: details?.subscription ?? null,
    subscriptionItem: details?.subscription_item ?? null,
    invoiceItem: item.id,
    proration: item.proration,
    credited: item.proration_details?.credited_items?.invoice_line_item_details ?? null,
  };
}

function productName(ctx: Context, price: Stripe.Price | null | undefined): string | null {
  return price ? (ctx.table('product').get(idOf(price.product))?.name ?? null) : null;
}

/** Amount and unit amount of an item that is about to be made. */
function amountsOf(given: NewItem): { amount: number; unit: number | null } {
  const { price = null, quantity = 1 } = given;
  const amount =
    given.amount ??
    (given.unitAmount !== undefined
      ? roundAmount(given.unitAmount * quantity)
      : price
        ? roundAmount(exactAmount(price, quantity))
        : 0);
  const own = given.amount === undefined && price ? decimalOf(price.unit_amount_decimal) : amount / quantity;
  const unit = given.unitAmount ?? own;
  return { amount, unit: Number.isFinite(unit) ? unit : null };
}

/** The line of an item that is not made: for previews. */
export function lineOfNew(ctx: Context, given: NewItem): LineSpec {
  const { amount, unit } = amountsOf(given);
  return {
    amount,
    currency: given.currency,
    description: given.description ?? productName(ctx, given.price),
    period: given.period ?? { end: ctx.now, start: ctx.now },
    price: given.price ?? null,
    unitAmount: unit,
    quantity: given.quantity ?? 1,
    metadata: given.metadata ?? {},
    subscription: given.subscription ?? null,
    subscriptionItem: given.subscriptionItem ?? null,
    proration: given.proration ?? false,
    credited: given.credited ?? null,
  };
}

/** What waits for the next invoice in this currency: of no subscription, or of this one. Oldest first. */
export function pendingItems(ctx: Context, customer: string, currency: string, subscription: string | null): Item[] {
  return ctx
    .table('invoiceitem')
    .by('customer', customer)
    .filter((item) => {
      const of = item.parent?.subscription_details?.subscription ?? null;
      return item.invoice === null && item.currency === currency && (of === null || of === subscription);
    });
}

/** Puts pending items onto a draft. */
export function attachPendingItems(
  ctx: Context,
  invoice: Stripe.Invoice,
  subscription: string | null,
  items = pendingItems(ctx, idOf(invoice.customer) ?? '', invoice.currency, subscription),
): void {
  for (const item of items) {
    item.invoice = invoice.id;
    ctx.table('invoiceitem').touch(item);
    addLines(ctx, invoice, [lineOfItem(ctx, item)]);
  }
  if (items.length === 0) sumUp(ctx, invoice);
}
