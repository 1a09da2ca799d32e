import { stripeTime } from '../shared/clock.js';
import {
  type CustomerId,
  type DiscountId,
  idOf,
  type Invoice,
  type InvoiceId,
  type Metadata,
  type PaymentIntentId,
  type PaymentMethodId,
  type PriceId,
  type Subscription,
  type SubscriptionId,
  type SubscriptionItemId,
} from './types.js';

// What Stripe says of subscriptions and their invoices, in one shape, whether it answered a call or sent a webhook. Amounts are minor units.

const subscriptionStatuses = [
  'incomplete',
  'incomplete_expired',
  'trialing',
  'active',
  'past_due',
  'canceled',
  'unpaid',
  'paused',
] as const;

const intervals = ['day', 'week', 'month', 'year'] as const;
const pauseBehaviors = ['keep_as_draft', 'mark_uncollectible', 'void'] as const;
const invoiceStatuses = ['draft', 'open', 'paid', 'uncollectible', 'void'] as const;

/** @throws Error on a word that this version does not know: to treat it as any other would be a guess about money */
function oneOf<Word extends string>(words: readonly Word[], word: string, what: string): Word {
  const known = words.find((one) => one === word);
  if (!known) throw new Error(`Unknown ${what}: ${word}`);
  return known;
}

export interface SubscriptionReport {
  readonly id: SubscriptionId;
  readonly status: (typeof subscriptionStatuses)[number];
  readonly customerId: CustomerId;
  /** The one item of a subscription of ours; the first of another's. */
  readonly itemId: SubscriptionItemId | null;
  readonly priceId: PriceId | null;
  /** Pieces at `unitAmount`. Of a subscription with several items: 1, at their sum. */
  readonly quantity: number;
  /** 0 where a price has no single amount: tiers, usage. */
  readonly unitAmount: number;
  readonly currency: string;
  readonly interval: (typeof intervals)[number];
  readonly intervalCount: number;
  /** `"2.50"`; null when the platform takes none. */
  readonly applicationFeePercent: string | null;
  readonly currentPeriodStart: Date | null;
  readonly currentPeriodEnd: Date | null;
  readonly trialStart: Date | null;
  readonly trialEnd: Date | null;
  readonly cancelAt: Date | null;
  readonly cancelAtPeriodEnd: boolean;
  readonly canceledAt: Date | null;
  readonly endedAt: Date | null;
  /** What becomes of invoices while collection is paused; null while it is not. */
  readonly pauseBehavior: (typeof pauseBehaviors)[number] | null;
  readonly resumesAt: Date | null;
  readonly defaultPaymentMethodId: PaymentMethodId | null;
  /** In the order in which they are taken off: those of its one item, then its own. Those of one item among several are left out. */
  readonly discountIds: readonly DiscountId[];
  readonly metadata: Metadata;
  readonly created: Date;
}

/** @throws Error on a status that this version does not know */
export function subscriptionReport(subscription: Subscription): SubscriptionReport {
  const items = subscription.items.data;
  const [first] = items;
  const isSingle = items.length <= 1;
  const amountOf = ({ price }: (typeof items)[number]) => price.unit_amount ?? 0;
  const recurring = first?.price.recurring;
  const paused = subscription.pause_collection;
  const ends = items.map((item) => item.current_period_end);
  return {
    id: subscription.id as SubscriptionId,
    status: oneOf(subscriptionStatuses, subscription.status, 'status of a subscription'),
    customerId: idOf<CustomerId>(subscription.customer)!,
    itemId: (first?.id as SubscriptionItemId | undefined) ?? null,
    priceId: (first?.price.id as PriceId | undefined) ?? null,
    quantity: isSingle ? (first?.quantity ?? 1) : 1,
    unitAmount: isSingle
      ? first
        ? amountOf(first)
        : 0
      : items.reduce((sum, item) => sum + amountOf(item) * (item.quantity ?? 1), 0),
    currency: subscription.currency,
    interval: oneOf(intervals, recurring?.interval ?? 'month', 'interval of a price'),
    intervalCount: recurring?.interval_count ?? 1,
    applicationFeePercent: subscription.application_fee_percent?.toFixed(2) ?? null,
    currentPeriodStart: first ? stripeTime(first.current_period_start) : null,
    currentPeriodEnd: ends.length ? stripeTime(Math.min(...ends)) : null,
    trialStart: timeOrNull(subscription.trial_start),
    trialEnd: timeOrNull(subscription.trial_end),
    cancelAt: timeOrNull(subscription.cancel_at),
    cancelAtPeriodEnd: subscription.cancel_at_period_end,
    canceledAt: timeOrNull(subscription.canceled_at),
    endedAt: timeOrNull(subscription.ended_at),
    pauseBehavior: paused ? oneOf(pauseBehaviors, paused.behavior, 'pause of a subscription') : null,
    resumesAt: timeOrNull(paused?.resumes_at),
    defaultPaymentMethodId: idOf(subscription.default_payment_method),
    discountIds: [...((isSingle && first?.discounts) || []), ...(subscription.discounts ?? [])].map((discount) =>
      idOf<DiscountId>(discount)!,
    ),
    metadata: subscription.metadata,
    created: stripeTime(subscription.created),
  };
}

export interface InvoiceLineReport {
  readonly id: string;
  readonly description: string | null;
  readonly amount: number;
  readonly quantity: number | null;
  readonly tax: number;
  /** Whether it charges or credits a part of a period. */
  readonly proration: boolean;
  readonly periodStart: Date;
  readonly periodEnd: Date;
}

export interface InvoiceReport {
  readonly id: InvoiceId;
  readonly status: (typeof invoiceStatuses)[number];
  readonly customerId: CustomerId | null;
  /** Null for invoices that no subscription made. */
  readonly subscriptionId: SubscriptionId | null;
  /** Stripe's own number; null while it is a draft. */
  readonly number: string | null;
  readonly billingReason: string | null;
  readonly currency: string;
  /** Before taxes. May be negative, when credits are more than what is billed. */
  readonly subtotal: number;
  readonly tax: number;
  readonly total: number;
  /** The total less the customer's credit and notes before payment; what is still to come is `amountRemaining`. */
  readonly amountDue: number;
  readonly amountPaid: number;
  readonly amountRemaining: number;
  /** Credit notes, before and after payment. */
  readonly creditNoted: number;
  readonly attemptCount: number;
  readonly nextAttemptAt: Date | null;
  readonly periodStart: Date;
  readonly periodEnd: Date;
  readonly dueAt: Date | null;
  readonly paidAt: Date | null;
  readonly hostedUrl: string | null;
  readonly lines: readonly InvoiceLineReport[];
  /** Whether there are more lines than these: a payload shows the first ten. */
  readonly hasMoreLines: boolean;
  /** The intents that were made to pay it. Known only where `payments` was expanded, never in a webhook. */
  readonly paymentIntentIds: readonly PaymentIntentId[] | null;
  readonly created: Date;
  /** The instant that prorations of a preview were computed for. */
  readonly prorationDate: Date | null;
}

export function invoiceReport(invoice: Invoice): InvoiceReport {
  const taxOf = (taxes: readonly { readonly amount: number }[] | null | undefined) =>
    (taxes ?? []).reduce((sum, { amount }) => sum + amount, 0);
  const details = invoice.parent?.subscription_details;
  return {
    id: invoice.id as InvoiceId,
    status: oneOf(invoiceStatuses, invoice.status ?? 'draft', 'status of an invoice'),
    customerId: idOf(invoice.customer),
    subscriptionId: idOf(details?.subscription),
    number: invoice.number,
    billingReason: invoice.billing_reason,
    currency: invoice.currency,
    subtotal: invoice.subtotal_excluding_tax ?? invoice.subtotal,
    tax: taxOf(invoice.total_taxes),
    total: invoice.total,
    amountDue: invoice.amount_due,
    amountPaid: invoice.amount_paid,
    amountRemaining: invoice.amount_remaining,
    creditNoted: invoice.pre_payment_credit_notes_amount + invoice.post_payment_credit_notes_amount,
    attemptCount: invoice.attempt_count,
    nextAttemptAt: timeOrNull(invoice.next_payment_attempt),
    periodStart: stripeTime(invoice.period_start),
    periodEnd: stripeTime(invoice.period_end),
    dueAt: timeOrNull(invoice.due_date),
    paidAt: timeOrNull(invoice.status_transitions?.paid_at),
    hostedUrl: invoice.hosted_invoice_url ?? null,
    lines: invoice.lines.data.map((line) => ({
      id: line.id,
      description: line.description,
      amount: line.amount,
      quantity: line.quantity,
      tax: taxOf(line.taxes),
      proration:
        line.parent?.subscription_item_details?.proration ?? line.parent?.invoice_item_details?.proration ?? false,
      periodStart: stripeTime(line.period.start),
      periodEnd: stripeTime(line.period.end),
    })),
    hasMoreLines: invoice.lines.has_more,
    paymentIntentIds:
      invoice.payments?.data.flatMap(({ payment }) => idOf<PaymentIntentId>(payment.payment_intent) ?? []) ?? null,
    created: stripeTime(invoice.created),
    prorationDate: timeOrNull(details?.subscription_proration_date),
  };
}

function timeOrNull(seconds: number | null | undefined): Date | null {
  return typeof seconds === 'number' ? stripeTime(seconds) : null;
}
