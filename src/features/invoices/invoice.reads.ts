import {
  anyOf,
  ascending,
  before,
  boolean,
  computed,
  connection,
  equals,
  extendReads,
  integer,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { Money } from '../../shared/money.types.js';
import { type Uuid } from '../../shared/uuid.js';
import { customerReads } from '../customers/customer.reads.js';
import { subscriptionReads } from '../subscriptions/subscription.reads.js';
import { amountDueOf, Invoice } from './invoice.entity.js';
import { InvoiceLine } from './invoice-line.entity.js';
import { StripeInvoice } from './stripe-invoice.entity.js';

const stripeInvoiceReads = readModel(StripeInvoice, {
  table: 'stripe_invoices',
  fields: {
    id: uuid<Uuid>(),
    stripeInvoiceId: text<StripeInvoice['stripeInvoiceId']>(),
    billingReason: text<string | null>(),
    subtotal: money('subtotal'),
    tax: money('tax'),
    creditNoted: money('credit_noted'),
    attempts: integer(),
    nextAttemptAt: time<Date | null>(),
    periodStart: time<Date | null>(),
    periodEnd: time<Date | null>(),
    hostedUrl: text<string | null>(),
  },
  order: newestFirst('id'),
});

const invoiceLineReads = readModel(InvoiceLine, {
  table: 'invoice_lines',
  fields: {
    id: uuid<Uuid>(),
    position: integer(),
    description: text<string | null>(),
    quantity: integer<number | null>(),
    amount: money('amount'),
    tax: money('tax'),
    proration: boolean<boolean>(),
    periodStart: time<Date | null>(),
    periodEnd: time<Date | null>(),
  },
  order: ascending('position', 'id'),
});

export const invoiceReads = readModel(Invoice, {
  table: 'invoices',
  fields: {
    id: integer(),
    number: text(),
    status: text<Invoice['status']>(),
    paymentStatus: text<Invoice['paymentStatus']>(),
    total: money('total'),
    amountDue: computed(
      {
        status: text<Invoice['status']>(),
        total: integer<number>(),
        amountPaid: integer<number>(),
        amountCredited: integer<number>(),
        currency: text<string>(),
      },
      ({ status, total, amountPaid, amountCredited, currency }) =>
        new Money(amountDueOf(status, total, amountPaid, amountCredited), currency),
    ),
    amountPaid: money('amount_paid'),
    amountCredited: money('amount_credited'),
    cycle: one(() => stripeInvoiceReads, { id: 'invoice_id' }),
    dueAt: time<Date | null>(),
    paidAt: time<Date | null>(),
    customer: one(() => customerReads, { customer_id: 'id' }),
    subscription: one(() => subscriptionReads, { subscription_id: 'id' }),
    createdAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
  filters: {
    paymentStatus: anyOf('payment_status'),
    customerId: equals('customer_id'),
    dueBefore: before('due_at'),
  },
});

extendReads(invoiceReads, { lines: connection(() => invoiceLineReads, { id: 'invoice_id' }) });
