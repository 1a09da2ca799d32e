import {
  anyOf,
  before,
  boolean,
  equals,
  extendReads,
  first,
  integer,
  money,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { paymentReads } from '../payments/payment.reads.js';
import { awaitingAnswer, Dispute } from './dispute.entity.js';

/** How long before a deadline it counts as near. */
export const soon = '72 hours';

const open = awaitingAnswer.map((state) => `'${state}'`).join(', ');

export const disputeReads = readModel(Dispute, {
  table: 'disputes',
  fields: {
    id: uuid<Uuid>(),
    payment: one(() => paymentReads, { payment_id: 'id' }),
    stripeDisputeId: text<Dispute['stripeDisputeId']>(),
    amount: money('amount'),
    status: text<Dispute['status']>(),
    reason: text(),
    networkReasonCode: text<string | null>(),
    evidenceDueBy: time<Date | null>(),
    hasEvidence: boolean<boolean>(),
    pastDue: boolean<boolean>(),
    submissionCount: integer<number>(),
    isInquiry: boolean<boolean>(),
    isChargeRefundable: boolean<boolean>('charge_refundable'),
    fundsWithdrawn: boolean<boolean>(),
    fundsReinstated: boolean<boolean>(),
    closedAt: time<Date | null>(),
    createdAt: time('stripe_created_at'),
    updatedAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
  filters: {
    status: anyOf('status'),
    reason: equals('reason'),
    paymentId: equals('payment_id'),
    dueBefore: before('evidence_due_by'),
    dueSoon: {
      sql: (of, value) =>
        `coalesce(${of('status')} in (${open}) and ${of('evidence_due_by')} < now() + interval '${soon}', false) = ${value}`,
      bind: (value) => value,
    },
  },
});

extendReads(paymentReads, { dispute: first(() => disputeReads, { id: 'payment_id' }) });
