import {
  after,
  anyOf,
  before,
  boolean,
  computed,
  connection,
  equals,
  extendReads,
  integer,
  json,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { customerReads } from '../customers/customer.reads.js';
import { invoiceReads } from '../invoices/invoice.reads.js';
import { paymentMethodReads } from '../payment-methods/payment-method.reads.js';
import { subscriptionReads } from '../subscriptions/subscription.reads.js';
import { failureOf, Payment } from './payment.entity.js';
import { refundStateOf } from './payment-state.js';

export const paymentReads = readModel(Payment, {
  table: 'payments',
  fields: {
    id: uuid<Uuid>(),
    customer: one(() => customerReads, { customer_id: 'id' }),
    invoice: one(() => invoiceReads, { invoice_id: 'id' }),
    subscription: one(() => subscriptionReads, { subscription_id: 'id' }),
    paymentMethod: one(() => paymentMethodReads, { stripe_payment_method_id: 'stripe_payment_method_id' }),
    stripePaymentIntentId: text<Payment['stripePaymentIntentId']>(),
    stripeChargeId: text<Payment['stripeChargeId']>(),
    amount: money('amount'),
    status: text<Payment['status']>(),
    // In the currency that Stripe booked, which is the account's.
    applicationFee: money('application_fee', 'booked_currency'),
    stripeFee: money('stripe_fee', 'booked_currency'),
    net: money('net', 'booked_currency'),
    failure: computed(
      {
        failureCode: text<string | null>(),
        failureDeclineCode: text<string | null>(),
        failureMessage: text<string | null>(),
      },
      failureOf,
    ),
    refunded: money('amount_refunded'),
    refundState: computed(
      { refundPending: boolean<boolean>(), amountRefunded: integer<number>(), amountReceived: integer<number>() },
      refundStateOf,
    ),
    disputeState: text<Payment['disputeState']>(),
    receiptUrl: text<string | null>(),
    description: text<string | null>(),
    metadata: json<Record<string, unknown>>(),
    createdAt: time(),
    updatedAt: time(),
    succeededAt: time<Date | null>(),
  },
  order: newestFirst('createdAt', 'id'),
  filters: {
    status: anyOf('status'),
    customerId: equals('customer_id'),
    invoiceId: equals('invoice_id'),
    subscriptionId: equals('subscription_id'),
    createdAfter: after('created_at'),
    createdBefore: before('created_at'),
    currency: equals('currency'),
  },
});

extendReads(invoiceReads, { payments: connection(() => paymentReads, { id: 'invoice_id' }) });
extendReads(subscriptionReads, { payments: connection(() => paymentReads, { id: 'subscription_id' }) });
