import { extendReads, list, money, newestFirst, one, readModel, text, time, uuid } from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { paymentReads } from '../payments/payment.reads.js';
import { Refund } from './refund.entity.js';

export const refundReads = readModel(Refund, {
  table: 'refunds',
  fields: {
    id: uuid<Uuid>(),
    payment: one(() => paymentReads, { payment_id: 'id' }),
    stripeRefundId: text<Refund['stripeRefundId']>(),
    amount: money('amount'),
    status: text<Refund['status']>(),
    reason: text<Refund['reason']>(),
    // In the currency that Stripe booked, which is the account's.
    applicationFeeRefunded: money('application_fee_refunded', 'booked_currency'),
    failureReason: text<string | null>(),
    createdAt: time(),
    updatedAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
});

extendReads(paymentReads, { refunds: list(() => refundReads, { id: 'payment_id' }) });
