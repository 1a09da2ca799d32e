import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { refundReport, type RefundReport } from '../../stripe/refunds.js';
import { idOf, type RefundId } from '../../stripe/types.js';
import { recordRefund, refundVersion } from './refund-record.js';

type RefundEvent = EventOf<'refund.created' | 'refund.updated' | 'refund.failed'>;

/** A refund, wherever it was made. What it leaves of the payment, `charge.refunded` says, which payments take. */
const refundChanged: EventHandler<RefundEvent, RefundReport> = {
  // In order with the events of its intent: both change one payment.
  object: ({ data }) => idOf(data.object.payment_intent) ?? data.object.id,

  async apply(em, { data }, { accountId, created }, fetched) {
    const source = { accountId, asOf: created, fetched: fetched !== null };
    const order = await recordRefund(em, fetched ?? refundReport(data.object), source);
    return order === 'unclear' && fetched === null ? 'fetch' : 'done';
  },

  version: (em, { data }, { accountId }) =>
    refundVersion(em, { intentId: idOf(data.object.payment_intent), accountId }, { stripeRefundId: data.object.id }),
  load: async ({ data }, { stripe }) => refundReport(await stripe.retrieveRefund(data.object.id as RefundId)),
};

export const refundEvents = {
  'refund.created': refundChanged,
  'refund.updated': refundChanged,
  'refund.failed': refundChanged,
} satisfies EventHandlers;
