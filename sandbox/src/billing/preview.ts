import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { discountsAt } from './discounts.js';
import { blankInvoice, settle, takeTotals } from './invoice.js';
import { lineOfItem, pendingItems } from './invoice-items.js';
import { lineFrom, type LineSpec } from './lines.js';

/** An invoice that does not exist: what would be billed. {@link https://docs.stripe.com/api/invoices/create_preview} */
export function previewOf(
  ctx: Context,
  given: {
    customer: Stripe.Customer;
    subscription: Stripe.Subscription | null;
    currency?: string;
    /** When it would be made. */
    at: number;
    lines: LineSpec[];
    /** Prorations and items that are pending stand on it as well. */
    withPending: boolean;
    prorationDate?: number;
    /** Instead of the subscription's own. */
    discounts?: readonly Stripe.Discount[];
  },
): Stripe.Invoice {
  const { customer, subscription, at } = given;
  const currency = given.currency ?? subscription?.currency ?? customer.currency ?? 'usd';
  const [item] = subscription?.items.data ?? [];
  const discounts = given.discounts ?? (subscription ? discountsAt(ctx, subscription, at) : []);
  const invoice = blankInvoice(ctx, {
    customer,
    discounts,
    currency,
    reason: 'upcoming',
    collection: subscription?.collection_method ?? 'charge_automatically',
    autoAdvance: true,
    subscription,
    ...(item && { period: { start: item.current_period_start, end: at } }),
  });
  invoice.id = `upcoming_${invoice.id}`;
  invoice.created = at;
  invoice.automatically_finalizes_at = null;
  invoice.webhooks_delivered_at = null;
  if (invoice.collection_method === 'charge_automatically') invoice.next_payment_attempt = at + 3_600;
  const details = invoice.parent?.subscription_details;
  if (details && given.prorationDate !== undefined) details.subscription_proration_date = given.prorationDate;
  const pending = given.withPending ? pendingItems(ctx, customer.id, currency, subscription?.id ?? null) : [];
  const lines = [...pending.map((row) => lineOfItem(ctx, row)), ...given.lines].map((spec) =>
    lineFrom(spec, invoice.id, true),
  );
  takeTotals(ctx, invoice, lines, discounts);
  const { due, balance } = settle(invoice);
  invoice.amount_due = invoice.amount_remaining = due;
  invoice.ending_balance = balance;
  return invoice;
}
