import type Stripe from 'stripe';
import { newId } from '../ids.js';
import { idOf } from '../objects.js';
import { decimal, decimalOf } from './amounts.js';
import { type Period } from './periods.js';

/** A line that may become part of an invoice, or of a preview only. */
export interface LineSpec {
  amount: number;
  currency: string;
  description: string | null;
  period: Period;
  price: Stripe.Price | null;
  /** Minor units, where it is not the price's. */
  unitAmount?: number | null;
  quantity: number;
  metadata?: Stripe.Metadata;
  discountable?: boolean;
  subscription?: string | null;
  subscriptionItem?: string | null;
  invoiceItem?: string | null;
  proration?: boolean;
  /** What a credit gives back. */
  credited?: { invoice: string; invoice_line_items: string[] } | null;
}

/** Price and unit amount, as lines and invoice items show them. */
export function pricingOf(
  price: Stripe.Price | null,
  unitAmount: number | null | undefined,
): Stripe.InvoiceLineItem.Pricing {
  const unit = unitAmount === undefined ? (price?.unit_amount_decimal ?? null) : unitAmount;
  return {
    ...(price && { price_details: { price: price.id, product: idOf(price.product) ?? '' } }),
    type: 'price_details',
    unit_amount_decimal: unit === null ? null : decimal(decimalOf(unit)),
  };
}

function parentOf(spec: LineSpec): Stripe.InvoiceLineItem.Parent {
  const { proration = false, subscription = null, subscriptionItem = null, invoiceItem = null, credited = null } = spec;
  const details = { proration, proration_details: proration ? { credited_items: credited } : null, subscription };
  if (subscriptionItem !== null) {
    return {
      invoice_item_details: null,
      subscription_item_details: { invoice_item: invoiceItem, ...details, subscription_item: subscriptionItem },
      type: 'subscription_item_details',
    };
  }
  return {
    invoice_item_details: { invoice_item: invoiceItem ?? '', ...details },
    subscription_item_details: null,
    type: 'invoice_item_details',
  };
}

/** The line itself. {@link https://docs.stripe.com/api/invoices/line_item} */
export function lineFrom(spec: LineSpec, invoice: string, temporary = false): Stripe.InvoiceLineItem {
  const id = newId('line_item');
  return {
    id: temporary ? id.replace('il_', 'il_tmp_') : id,
    object: 'line_item',
    amount: spec.amount,
    currency: spec.currency,
    description: spec.description,
    discount_amounts: [],
    discountable: spec.discountable ?? !spec.proration,
    discounts: [],
    invoice,
    livemode: false,
    metadata: { ...spec.metadata },
    parent: parentOf(spec),
    period: { end: spec.period.end, start: spec.period.start },
    pretax_credit_amounts: [],
    pricing: pricingOf(spec.price, spec.unitAmount),
    quantity: spec.quantity,
    quantity_decimal: decimal(spec.quantity),
    subscription: spec.subscription ?? null,
    subtotal: spec.amount,
    taxes: [],
  };
}
