import {
  before,
  computed,
  equals,
  from,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { askAfter } from '../dunning/decline-codes.js';
import { paymentReads } from '../payments/payment.reads.js';
import { declineReason } from './decline-reason.js';
import { FailedPayment } from './failed-payment.types.js';

const why = { code: text(), declineCode: text<string | null>() };

/** Whether only the payer can mend it. The bank's code is asked first. */
export function isHard(code: string, declineCode: string | null): boolean {
  return askAfter(declineCode ?? code) !== null;
}

export const failedPaymentReads = readModel(FailedPayment, {
  table: 'failed_payments',
  fields: {
    id: uuid<Uuid>(),
    payment: one(() => paymentReads, { payment_id: 'id' }),
    amount: money('amount'),
    code: text(),
    declineCode: text<string | null>(),
    reason: computed(why, ({ code, declineCode }) => declineReason(code, declineCode)),
    isHard: computed(why, ({ code, declineCode }) => isHard(code, declineCode)),
    outcome: text<FailedPayment['outcome']>(),
    failedAt: time(),
  },
  order: newestFirst('failedAt', 'id'),
  filters: {
    outcome: equals('outcome'),
    customerId: equals('customer_id'),
    from: from('failed_at'),
    to: before('failed_at'),
  },
});
