import { type TenantRows } from '../../db/many-tenants.js';
import {
  type AppliedMany,
  type EventHandler,
  type EventHandlers,
  type EventOf,
  type Reported,
} from '../../jobs/events.js';
import { chargeReport, type ChargeReport, intentReport, type IntentReport } from '../../stripe/reports.js';
import { StripeFailure } from '../../stripe/stripe-errors.js';
import { type ChargeId, idOf, type PaymentIntentId } from '../../stripe/types.js';
import { recordMany } from './payment-crowd.js';
import { keepFailure, keepFailures } from './payment-failures.js';
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

/** Instead of a report, when the account is disconnected: then what the event itself says is all that will ever be known. */
type Gone = 'gone';

async function unlessGone<Report>(asked: Promise<Report>): Promise<Report | Gone> {
  try {
    return await asked;
  } catch (error) {
    if (error instanceof StripeFailure && error.code === 'ACCOUNT_DISCONNECTED') return 'gone';
    throw error;
  }
}

const intentChanged: EventHandler<IntentEvent, IntentReport | Gone> = {
  object: ({ data }) => data.object.id,

  async apply(em, { data, type }, context, fetched) {
    const { accountId, created } = context;
    const read = fetched === 'gone' ? null : fetched;
    const source = { accountId, asOf: created, fetched: read !== null };
    const told = intentReport(data.object);
    const order = await recordIntent(em, read ?? told, source);
    if (order === 'unclear' && fetched !== 'gone') return 'fetch';
    if (type === 'payment_intent.payment_failed') await keepFailure(em, { report: told, context });
    return 'done';
  },

  applyMany,

  version: (em, { data }, { accountId }) => paymentVersion(em, { intentId: data.object.id, accountId }),
  load: ({ data }, { stripe }) =>
    unlessGone(stripe.retrievePaymentIntent(data.object.id as PaymentIntentId).then(intentReport)),
};

type ChargeEvent = EventOf<
  'charge.succeeded' | 'charge.failed' | 'charge.captured' | 'charge.updated' | 'charge.refunded'
>;

/** Receipt, refunds so far, and the fees: an event names only the booking's id, so what was booked is fetched. */
const chargeChanged: EventHandler<ChargeEvent, ChargeReport | Gone> = {
  // In order with the events of its intent: both change one payment.
  object: ({ data }) => idOf(data.object.payment_intent) ?? data.object.id,

  async apply(em, { data }, { accountId, created }, fetched) {
    const read = fetched === 'gone' ? null : fetched;
    const source = { accountId, asOf: created, fetched: read !== null };
    const order = await recordCharge(em, read ?? chargeReport(data.object), source, fetched !== 'gone');
    return order === 'unclear' && fetched === null ? 'fetch' : 'done';
  },

  applyMany,

  version: (em, { data }, { accountId }) =>
    paymentVersion(em, { intentId: idOf(data.object.payment_intent), accountId }),
  load: ({ data }, { stripe }) => unlessGone(stripe.retrieveCharge(data.object.id as ChargeId).then(chargeReport)),
};

/** One for both, because both change one payment. */
async function applyMany(
  rows: TenantRows,
  events: readonly Reported<IntentEvent | ChargeEvent>[],
): Promise<AppliedMany[]> {
  const reports = events.map(({ event: { data }, context: { accountId, created: asOf } }) => ({
    report: data.object.object === 'charge' ? chargeReport(data.object) : intentReport(data.object),
    accountId,
    asOf,
  }));
  const outcomes = await recordMany(rows, reports);
  const failed = events.flatMap(({ event, context }, i) =>
    event.type === 'payment_intent.payment_failed' && outcomes[i] === 'done'
      ? [{ report: intentReport(event.data.object), context }]
      : [],
  );
  keepFailures(rows, failed);
  return outcomes;
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
