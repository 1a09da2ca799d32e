import type Stripe from 'stripe';
import { type Context } from './context.js';
import { type Due } from './clock.js';
import { type Route } from './router.js';

/**
 * One kind of thing the API offers: a file in `resources/` exports one of these, and `resources/index.ts` lists it. Nothing else needs to know it.
 */
export interface Resource {
  routes: Route[];
  /** Names of fields that hold an id and may be expanded, e.g. `customer`; the prefix of the id says where to look. */
  expandable?: string[];
  /**
   * Fields that are absent until asked for by `expand`, by `object` name of the owner and field, e.g. `{ charge: { refunds: (ctx, charge) => list } }`.
   * {@link https://docs.stripe.com/expand#includable-properties}
   */
  includable?: Record<string, Record<string, (ctx: Context, owner: never) => unknown>>;
  /** What to do when scheduled work falls due, by kind. The context is the account's, with time standing at the due moment. */
  due?: Record<string, (ctx: Context, due: Due) => void>;
  /** What other resources tell this one of. */
  hooks?: Hooks;
  /** Called once when an account comes to be, the platform's included. */
  accountCreated?: (ctx: Context) => void;
}

/** What became of an intent, after its own events were emitted. */
export type IntentChange =
  'succeeded' | 'payment_failed' | 'requires_action' | 'processing' | 'requires_capture' | 'canceled';

/** What became of an invoice, after its own events were emitted. */
export type InvoiceChange =
  | 'paid'
  | 'payment_failed'
  /** The last retry failed. */
  | 'given_up'
  | 'requires_action'
  | 'processing'
  | 'overdue'
  | 'voided'
  | 'marked_uncollectible';

/** How resources hear of each other without importing each other. */
export interface Hooks {
  /** A payment intent moved on; invoices and checkout follow. */
  intentChanged?: (ctx: Context, intent: Stripe.PaymentIntent, change: IntentChange) => void;
  /** An invoice moved on; its subscription follows. */
  invoiceChanged?: (ctx: Context, invoice: Stripe.Invoice, change: InvoiceChange) => void;
  /** A setup intent succeeded. */
  setupSucceeded?: (ctx: Context, intent: Stripe.SetupIntent) => void;
  /** A charge has its balance transaction. */
  chargeSettled?: (ctx: Context, charge: Stripe.Charge) => void;
  /** A charge went through, before its intent says so; disputes of test methods follow at once. */
  chargeSucceeded?: (ctx: Context, charge: Stripe.Charge) => void;
  /** A refund was booked. */
  chargeRefunded?: (ctx: Context, charge: Stripe.Charge, refund: Stripe.Refund) => void;
  /** Money became available; automatic payouts follow. */
  balanceAvailable?: (ctx: Context) => void;
  /** A customer is about to be deleted. */
  customerDeleted?: (ctx: Context, customer: Stripe.Customer) => void;
}
