import {
  type DriftCheck,
  type DriftContext,
  differencesOf,
  type Facts,
  orNull,
  paced,
  repairFetched,
} from '../../jobs/drift.js';
import { intentReport, type IntentReport } from '../../stripe/reports.js';
import { type PaymentIntentId } from '../../stripe/types.js';
import { Payment } from './payment.entity.js';
import { paymentVersion, recordIntent, stampOf } from './payment-record.js';

/** Compares payments with intents: the state, the amounts and, once booked, the fees. */
export const paymentDrift: DriftCheck = {
  object: 'payment',

  async *candidates(context) {
    const seen = new Set<string>();
    for await (const page of paced(context, context.stripe.listPaymentIntents(context.since))) {
      const reports = page.map(intentReport);
      const ours = await paymentsOf(
        context,
        reports.map(({ id }) => id),
      );
      for (const report of reports) {
        seen.add(report.id);
        const payment = ours.get(report.id);
        const differs = differencesOf(payment ? { id: null, facts: factsOf(payment) } : null, stripesFacts(report));
        yield { stripeId: report.id, differs: differs.length > 0 };
      }
    }
    for (const stripeId of await unlisted(context)) if (!seen.has(stripeId)) yield { stripeId, differs: true };
  },

  async compare(context, stripeId) {
    await context.spend();
    const report = await retrieve(context, stripeId);
    const payment = (await paymentsOf(context, [stripeId])).get(stripeId);
    return differencesOf(
      payment ? { id: payment.id, facts: factsOf(payment) } : null,
      report ? stripesFacts(report) : null,
    );
  },

  repair: (context, stripeId) =>
    repairFetched<IntentReport | null>(context, {
      version: (em) => paymentVersion(em, { intentId: stripeId, accountId: context.accountId }),
      load: () => retrieve(context, stripeId),
      async apply(em, report) {
        if (!report) return;
        await recordIntent(em, report, { accountId: context.accountId, asOf: stampOf(report), fetched: true });
      },
    }),
};

async function retrieve({ stripe }: DriftContext, id: string): Promise<IntentReport | null> {
  const found = await orNull(stripe.retrievePaymentIntent(id as PaymentIntentId));
  return found && intentReport(found);
}

function factsOf(payment: Payment): Facts {
  const { status, amountMinor, currency, amountReceived, amountRefunded, isBooked } = payment;
  const { bookedGross, stripeFeeMinor, applicationFeeMinor, netMinor } = payment;
  return {
    status,
    amount: amountMinor,
    currency,
    amountReceived,
    amountRefunded,
    isBooked,
    bookedGross: numberOf(bookedGross),
    stripeFee: numberOf(stripeFeeMinor),
    applicationFee: numberOf(applicationFeeMinor),
    net: numberOf(netMinor),
  };
}

/** A bigint that may be null comes from PostgreSQL as text. */
function numberOf(amount: number | null): number | null {
  return amount === null ? null : Number(amount);
}

/** What a payment would be that was told of this and nothing else: so both sides go through one translation. */
function stripesFacts(report: IntentReport): Facts {
  const { amount: amountMinor, currency } = report;
  const payment = Object.assign(new Payment(), { amountMinor, currency });
  payment.applyIntent(report, stampOf(report), true);
  return factsOf(payment);
}

async function paymentsOf({ db, accountId }: DriftContext, ids: readonly string[]): Promise<Map<string, Payment>> {
  const stripePaymentIntentId = { $in: ids as PaymentIntentId[] };
  const payments = await db.transaction((em) =>
    em.find(Payment, { stripePaymentIntentId, stripeAccountId: accountId }),
  );
  return new Map(payments.map((payment) => [payment.stripePaymentIntentId!, payment]));
}

/** Ours that should be in Stripe's list, and those that are older and can still change. */
async function unlisted({ db, accountId, since }: DriftContext): Promise<string[]> {
  const rows = await db.transaction((em) =>
    em.execute<{ id: string }[]>(
      `select stripe_payment_intent_id as id from payments
       where stripe_account_id = ? and stripe_payment_intent_id is not null and (created_at >= ? or status not in ('SUCCEEDED', 'CANCELED'))`,
      [accountId, since],
    ),
  );
  return rows.map(({ id }) => id);
}
