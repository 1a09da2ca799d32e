import { discountEvents } from '../features/subscriptions/discount.events.js';
import { disputeEvents } from '../features/disputes/dispute.events.js';
import { insightsEvents } from '../features/insights/insights.events.js';
import { dunningEvents } from '../features/dunning/dunning.events.js';
import { draftFeeEvents, invoiceEvents } from '../features/invoices/invoice.events.js';
import { ledgerEvents } from '../features/ledger/ledger.events.js';
import { onboardingEvents } from '../features/onboarding/onboarding.events.js';
import { paymentMethodEvents } from '../features/payment-methods/payment-method.events.js';
import { invoicePaymentEvents } from '../features/payments/invoice-payment.events.js';
import { paymentEvents } from '../features/payments/payment.events.js';
import { payoutEvents } from '../features/payouts/payout.events.js';
import { refundEvents } from '../features/refunds/refund.events.js';
import { subscriptionEvents } from '../features/subscriptions/subscription.events.js';
import { HandlerIndex } from './handler-index.js';

/** What every feature does when Stripe reports something. An event that two features want goes to both, in this order. */
export const handlers = new HandlerIndex(
  onboardingEvents,
  subscriptionEvents,
  discountEvents,
  paymentMethodEvents,
  invoiceEvents,
  draftFeeEvents,
  paymentEvents,
  refundEvents,
  disputeEvents,
  invoicePaymentEvents,
  dunningEvents,
  ledgerEvents,
  payoutEvents,
  insightsEvents,
);
