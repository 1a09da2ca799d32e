import { type TenantRows } from '../../db/many-tenants.js';
import {
  type AppliedMany,
  type EventHandler,
  type EventHandlers,
  type EventOf,
  type Reported,
} from '../../jobs/events.js';
import { chargeReport, type ChargeReport, intentReport, type IntentReport } from '../../stripe/reports.js';
import { type ChargeId, idOf, type PaymentIntentId } from '../../stripe/types.js';
import { recordMany } from './payment-crowd.js';
import { paymentVersion, recordCharge, recordIntent } from './payment-record.js';

type IntentEvent = EventOf<
  | 'payment_intent.created'
  | 'payment_intent.succeeded'
  | 'payment_intent.payment_failed'
  | 'payment_intent.processing'
  | 'payment_intent.canceled'
  | 'payment_intent.requires_action'
  | 'payment_intent.amount_capturable_updated'
>;

const intentChanged: EventHandler<IntentEvent, IntentReport> = {
  object: ({ data }) => data.object.id,

  async apply(em, { data }, { accountId, created }, fetched) {
    const source = { accountId, asOf: created, fetched: fetched !== null };
    const order = await recordIntent(em, fetched ?? intentReport(data.object), source);
    return order === 'unclear' ? 'fetch' : 'done';
  },

  applyMany,

  version: (em, { data }, { accountId }) => paymentVersion(em, { intentId: data.object.id, accountId }),
  load: async ({ data }, { stripe }) =>
    intentReport(await stripe.retrievePaymentIntent(data.object.id as PaymentIntentId)),
};

type ChargeEvent = EventOf<
  'charge.succeeded' | 'charge.failed' | 'charge.captured' | 'charge.updated' | 'charge.refunded'
>;

/** Receipt, refunds so far, and the fees: an event names only the booking's id, so what was booked is fetched. */
const chargeChanged: EventHandler<ChargeEvent, ChargeReport> = {
  // In order with the events of its intent: both change one payment.
  object: ({ data }) => idOf(data.object.payment_intent) ?? data.object.id,

  async apply(em, { data }, { accountId, created }, fetched) {
    const source = { accountId, asOf: created, fetched: fetched !== null };
    const order = await recordCharge(em, fetched ?? chargeReport(data.object), source);
    return order === 'unclear' && fetched === null ? 'fetch' : 'done';
  },

  applyMany,

  version: (em, { data }, { accountId }) =>
    paymentVersion(em, { intentId: idOf(data.object.payment_intent), accountId }),
  load: async ({ data }, { stripe }) => chargeReport(await stripe.retrieveCharge(data.object.id as ChargeId)),
};

/** One for both, because both change one payment. */
function applyMany(rows: TenantRows, events: readonly Reported<IntentEvent | ChargeEvent>[]): Promise<AppliedMany[]> {
  const reports = events.map(({ event: { data }, context: { accountId, created: asOf } }) => ({
    report: data.object.object === 'charge' ? chargeReport(data.object) : intentReport(data.object),
    accountId,
    asOf,
  }));
  return recordMany(rows, reports);
}

export const paymentEvents = {
  'payment_intent.created': intentChanged,
  'payment_intent.succeeded': intentChanged,
  'payment_intent.payment_failed': intentChanged,
  'payment_intent.processing': intentChanged,
  'payment_intent.canceled': intentChanged,
  'payment_intent.requires_action': intentChanged,
  'payment_intent.amount_capturable_updated': intentChanged,
  'charge.succeeded': chargeChanged,
  'charge.failed': chargeChanged,
  // Money that was held is booked at once when it is taken, and no update follows.
  'charge.captured': chargeChanged,
  'charge.updated': chargeChanged,
  'charge.refunded': chargeChanged,
} satisfies EventHandlers;
