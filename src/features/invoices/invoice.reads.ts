import {
  anyOf,
  before,
  computed,
  equals,
  integer,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
} from '../../db/reads/model.js';
import { Money } from '../../shared/money.types.js';
import { customerReads } from '../customers/customer.reads.js';
import { subscriptionReads } from '../subscriptions/subscription.reads.js';
import { amountDueOf, Invoice } from './invoice.entity.js';

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
        currency: text<string>(),
      },
      ({ status, total, amountPaid, currency }) => new Money(amountDueOf(status, total, amountPaid), currency),
    ),
    amountPaid: money('amount_paid'),
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
