import { type Connection } from './connection.js';
import { pagesOf } from './paging.js';
import { itemOf, secondsOf, type UpdateSubscription } from './subscriptions.js';
import {
  type CustomerId,
  type Invoice,
  type InvoiceId,
  type InvoiceLineItem,
  type Keyed,
  type PaymentMethodId,
  type ProductId,
  type SubscriptionId,
} from './types.js';

// Stripe's invoices: those that subscriptions make. The PSA's own are paid through payment intents.

const expected = { object: 'invoice', prefix: 'in_' };

/** The invoice as it is now, with the payments made on it. */
export function retrieveInvoice(via: Connection, id: InvoiceId): Promise<Invoice> {
  return via.read({ ...expected, echo: { id } }, (options) =>
    via.sdk.invoices.retrieve(id, { expand: ['payments', 'confirmation_secret'] }, options),
  );
}

/** The invoices of a subscription since then, newest first. */
export function listInvoices(
  via: Connection,
  { subscriptionId, since }: { readonly subscriptionId?: SubscriptionId; readonly since: Date | null },
): AsyncGenerator<Invoice> {
  return pagesOf<Invoice>(via, since, (page, options) =>
    via.sdk.invoices.list({ ...page, subscription: subscriptionId }, options),
  );
}

/**
 * Sets the platform's fee on a draft: the percentage of its subscription does not know the fixed part.
 * @param applicationFee minor units, at most what is due
 * @throws AppError INVALID_STATE once it is finalized, about an hour after it was made
 */
export function setInvoiceFee(
  via: Connection,
  id: InvoiceId,
  { applicationFee }: { readonly applicationFee: number },
  keyed: Keyed,
): Promise<Invoice> {
  return via.change({ ...expected, echo: { id } }, keyed, (options) =>
    via.sdk.invoices.update(id, { application_fee_amount: applicationFee }, options),
  );
}

/** All lines of an invoice; the invoice itself shows the first ten. */
export async function listInvoiceLines(via: Connection, id: InvoiceId): Promise<InvoiceLineItem[]> {
  const lines: InvoiceLineItem[] = [];
  for (;;) {
    const page = await via.read({ object: 'list' }, (options) =>
      via.sdk.invoices.listLineItems(id, { limit: 100, starting_after: lines.at(-1)?.id }, options),
    );
    lines.push(...page.data);
    if (!page.has_more || page.data.length === 0) return lines;
  }
}

/** A change to be shown before it is made; a price that does not exist yet is described. */
export interface PreviewChange extends UpdateSubscription {
  readonly customerId: CustomerId;
  readonly subscriptionId: SubscriptionId;
  readonly newPrice?: {
    readonly productId: ProductId;
    /** Minor units. */
    readonly unitAmount: number;
    readonly currency: string;
    readonly interval: 'day' | 'week' | 'month' | 'year';
    readonly intervalCount: number;
  };
}

/** What the next invoice would be after a change: nothing is changed. */
export function previewInvoice(via: Connection, input: PreviewChange): Promise<Invoice> {
  const { newPrice } = input;
  const priceData = newPrice && {
    product: newPrice.productId,
    unit_amount: newPrice.unitAmount,
    currency: newPrice.currency,
    recurring: { interval: newPrice.interval, interval_count: newPrice.intervalCount },
  };
  const params = {
    customer: input.customerId,
    subscription: input.subscriptionId,
    subscription_details: {
      items: [{ ...itemOf(input), price_data: priceData }],
      proration_behavior: input.prorate ? ('create_prorations' as const) : ('none' as const),
      proration_date: secondsOf(input.prorationDate),
    },
  };
  // A POST by its method only: the preview is made up, and kept nowhere.
  return via.read({ object: 'invoice' }, (options) => via.sdk.invoices.createPreview(params, options));
}

/** Tries again to collect an open invoice. @throws AppError CARD_DECLINED, INVALID_STATE when it is paid or void */
export function payInvoice(
  via: Connection,
  id: InvoiceId,
  { paymentMethodId }: { readonly paymentMethodId?: PaymentMethodId },
  keyed: Keyed,
): Promise<Invoice> {
  const params = { payment_method: paymentMethodId, off_session: true };
  return via.change({ ...expected, echo: { id } }, keyed, (options) => via.sdk.invoices.pay(id, params, options));
}

/** Takes an open invoice back for good; it stays on record. */
export function voidInvoice(via: Connection, id: InvoiceId, keyed: Keyed): Promise<Invoice> {
  return via.change({ ...expected, echo: { id, status: 'void' } }, keyed, (options) =>
    via.sdk.invoices.voidInvoice(id, {}, options),
  );
}
