import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { disputeReport, type DisputeReport } from '../../stripe/disputes.js';
import { type DisputeId, idOf } from '../../stripe/types.js';
import { disputeVersion, recordDispute } from './dispute-record.js';

type DisputeEvent = EventOf<
  | 'charge.dispute.created'
  | 'charge.dispute.updated'
  | 'charge.dispute.closed'
  | 'charge.dispute.funds_withdrawn'
  | 'charge.dispute.funds_reinstated'
>;

const disputeChanged: EventHandler<DisputeEvent, DisputeReport> = {
  // In order with the events of its intent: both change one payment.
  object: ({ data }) => idOf(data.object.payment_intent) ?? data.object.id,

  async apply(em, { data }, { accountId, created }, fetched) {
    const source = { accountId, asOf: created, fetched: fetched !== null };
    const order = await recordDispute(em, fetched ?? disputeReport(data.object), source);
    return order === 'unclear' && fetched === null ? 'fetch' : 'done';
  },

  version: (em, { data }, { accountId }) =>
    disputeVersion(em, { intentId: idOf(data.object.payment_intent), accountId }, data.object.id),
  load: async ({ data }, { stripe }) => disputeReport(await stripe.retrieveDispute(data.object.id as DisputeId)),
};

export const disputeEvents = {
  'charge.dispute.created': disputeChanged,
  'charge.dispute.updated': disputeChanged,
  'charge.dispute.closed': disputeChanged,
  'charge.dispute.funds_withdrawn': disputeChanged,
  'charge.dispute.funds_reinstated': disputeChanged,
} satisfies EventHandlers;
