import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { type PayoutReport, payoutReport } from '../../stripe/bookings.js';
import { type PayoutId } from '../../stripe/types.js';
import { payoutVersion, recordPayout } from './payout-record.js';

type PayoutEvent = EventOf<
  | 'payout.created'
  | 'payout.updated'
  | 'payout.paid'
  | 'payout.failed'
  | 'payout.canceled'
  | 'payout.reconciliation_completed'
>;

const payoutChanged: EventHandler<PayoutEvent, PayoutReport> = {
  async apply(em, _event, { accountId }, fetched) {
    if (!fetched) return 'fetch';
    await recordPayout(em, accountId, fetched);
    return 'done';
  },

  version: (em, { data }) => payoutVersion(em, data.object.id),
  load: async ({ data }, { stripe }) => payoutReport(await stripe.retrievePayout(data.object.id as PayoutId)),
};

export const payoutEvents = {
  'payout.created': payoutChanged,
  'payout.updated': payoutChanged,
  'payout.paid': payoutChanged,
  'payout.failed': payoutChanged,
  'payout.canceled': payoutChanged,
  'payout.reconciliation_completed': payoutChanged,
} satisfies EventHandlers;
