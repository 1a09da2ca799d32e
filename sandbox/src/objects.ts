import type Stripe from 'stripe';

/**
 * Every kind of object the sandbox keeps, by its `object` name, with the SDK's own type: the compiler then refuses an object
 * that lacks a field Stripe always returns. Only types are imported; nothing of the SDK runs here.
 */
export interface ObjectTypes {
  account: Stripe.Account;
  application_fee: Stripe.ApplicationFee;
  balance_transaction: Stripe.BalanceTransaction;
  bank_account: Stripe.BankAccount;
  'billing_portal.configuration': Stripe.BillingPortal.Configuration;
  'billing_portal.session': Stripe.BillingPortal.Session;
  charge: Stripe.Charge;
  'checkout.session': Stripe.Checkout.Session;
  coupon: Stripe.Coupon;
  credit_note: Stripe.CreditNote;
  credit_note_line_item: Stripe.CreditNoteLineItem;
  customer: Stripe.Customer;
  discount: Stripe.Discount;
  dispute: Stripe.Dispute;
  event: StoredEvent;
  fee_refund: Stripe.FeeRefund;
  file: Stripe.File;
  invoice: Stripe.Invoice;
  invoice_payment: Stripe.InvoicePayment;
  invoiceitem: Stripe.InvoiceItem;
  line_item: Stripe.InvoiceLineItem;
  mandate: Stripe.Mandate;
  payment_intent: Stripe.PaymentIntent;
  payment_method: Stripe.PaymentMethod;
  payout: Stripe.Payout;
  price: Stripe.Price;
  product: Stripe.Product;
  refund: Stripe.Refund;
  setup_attempt: Stripe.SetupAttempt;
  setup_intent: Stripe.SetupIntent;
  subscription: Stripe.Subscription;
  subscription_item: Stripe.SubscriptionItem;
  'test_helpers.test_clock': Stripe.TestHelpers.TestClock;
  token: Stripe.Token;
  topup: Stripe.Topup;
  transfer: Stripe.Transfer;
  webhook_endpoint: Stripe.WebhookEndpoint;
  'v2.core.event': StoredThinEvent;
  'v2.core.event_destination': Stripe.V2.Core.EventDestination;
}

export type ObjectName = keyof ObjectTypes;

/** An event as it is kept: the payload is frozen as text, so that later changes of the object cannot reach it. */
export interface StoredEvent {
  id: string;
  object: 'event';
  type: string;
  created: number;
  api_version: string;
  account?: string;
  /** JSON of `data`: `{ object, previous_attributes? }`. */
  data: string;
  pending: number;
  request: { id: string | null; idempotency_key: string | null };
  /** Ids of what the object belongs to, for lists by `related_object`. */
  related_object: string | null;
}

/** A thin event as it is kept; `created` in milliseconds, since v2 stamps have that grain. */
export interface StoredThinEvent {
  id: string;
  object: 'v2.core.event';
  type: string;
  created: number;
  context?: string;
  related_object: { id?: string; type: string; url: string } | null;
  reason: { type: 'request'; request: { id: string; idempotency_key: string } } | null;
  snapshot_event?: string;
  data?: Record<string, unknown>;
}

/** The prefix of an id says what it names; expansion relies on this. {@link https://docs.stripe.com/api} */
export const prefixes = {
  account: 'acct',
  application_fee: 'fee',
  balance_transaction: 'txn',
  bank_account: 'ba',
  'billing_portal.configuration': 'bpc',
  'billing_portal.session': 'bps',
  charge: 'ch',
  'checkout.session': 'cs_test',
  coupon: 'coupon',
  credit_note: 'cn',
  credit_note_line_item: 'cnli',
  customer: 'cus',
  discount: 'di',
  dispute: 'du',
  event: 'evt',
  fee_refund: 'fr',
  file: 'file',
  invoice: 'in',
  invoice_payment: 'inpay',
  invoiceitem: 'ii',
  line_item: 'il',
  mandate: 'mandate',
  payment_intent: 'pi',
  payment_method: 'pm',
  payout: 'po',
  price: 'price',
  product: 'prod',
  refund: 're',
  setup_attempt: 'setatt',
  setup_intent: 'seti',
  subscription: 'sub',
  subscription_item: 'si',
  'test_helpers.test_clock': 'clock',
  token: 'tok',
  topup: 'tu',
  transfer: 'tr',
  webhook_endpoint: 'we',
  'v2.core.event': 'evt_test',
  'v2.core.event_destination': 'ed_test',
} as const satisfies Record<ObjectName, string>;

/** What an expandable field holds as the sandbox stores it: always the id, never the object. */
export type Reference = string | { id: string } | null | undefined;

/** The id behind an expandable field. */
export function idOf(reference: string | { id: string }): string;
export function idOf(reference: Reference): string | null;
export function idOf(reference: Reference): string | null {
  if (reference === null || reference === undefined) return null;
  return typeof reference === 'string' ? reference : reference.id;
}
