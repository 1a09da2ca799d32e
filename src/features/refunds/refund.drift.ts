import { type EntityManager } from '@mikro-orm/postgresql';
import {
  type DriftCheck,
  type DriftContext,
  differencesOf,
  type Facts,
  listedCandidates,
  orNull,
  repairFetched,
} from '../../jobs/drift.js';
import { type RefundReport, refundReport } from '../../stripe/refunds.js';
import { type PaymentIntentId, type RefundId } from '../../stripe/types.js';
import { recordRefund, refundVersion } from './refund-record.js';
import { refundStatusOf } from './refund-state.js';

/** Compares refunds: those made since, and those of ours that have not come to an end. */
export const refundDrift: DriftCheck = {
  object: 'refund',

  candidates(context) {
    const { accountId, since, stripe } = context;
    return listedCandidates(context, {
      list: stripe.listRecentRefunds(since),
      report: refundReport,
      differences,
      ours: [
        `select stripe_refund_id as id from refunds where stripe_account_id = ? and stripe_refund_id is not null
           and (created_at >= ? or status in ('PENDING', 'REQUIRES_ACTION'))`,
        [accountId, since],
      ],
    });
  },

  async compare(context, stripeId) {
    await context.spend();
    return differences(context, stripeId, await retrieve(context, stripeId));
  },

  repair: (context, stripeId) =>
    repairFetched<RefundReport | null>(context, {
      version: (em) => versionOf(em, context, stripeId),
      load: () => retrieve(context, stripeId),
      async apply(em, report) {
        const { accountId } = context;
        if (report) await recordRefund(em, report, { accountId, asOf: report.created, fetched: true });
      },
    }),
};

interface Row {
  readonly id: string;
  readonly status: string;
  readonly amount: string;
  readonly currency: string;
  readonly fee: string | null;
}

async function differences({ db, accountId }: DriftContext, id: string, report: RefundReport | null) {
  // Without an intent it was made past everything that this server does.
  if (report && report.paymentIntentId === null) return [];
  const [row] = await db.transaction((em) =>
    em.execute<Row[]>(
      `select id, status, amount, currency, application_fee_refunded as fee from refunds
       where stripe_account_id = ? and stripe_refund_id = ?`,
      [accountId, id],
    ),
  );
  return differencesOf(row ? { id: row.id, facts: factsOf(row) } : null, report && stripesFacts(report));
}

function factsOf({ status, amount, currency, fee }: Row): Facts {
  return { status, amount: Number(amount), currency, applicationFee: fee === null ? null : Number(fee) };
}

/** How much of the platform's fee went back is only known where the booking came along: lists do not show it. */
function stripesFacts({ status, amount, currency, balance }: RefundReport): Facts {
  const fee = balance && { applicationFee: Math.max(0, -balance.applicationFee) };
  return { status: refundStatusOf(status), amount, currency, ...fee };
}

async function retrieve({ stripe }: DriftContext, id: string): Promise<RefundReport | null> {
  const found = await orNull(stripe.retrieveRefund(id as RefundId));
  return found && refundReport(found);
}

async function versionOf(em: EntityManager, { accountId }: DriftContext, id: string): Promise<string | null> {
  const [row] = await em.execute<{ intent: PaymentIntentId }[]>(
    `select p.stripe_payment_intent_id as intent from refunds r join payments p on p.tenant_id = r.tenant_id and p.id = r.payment_id
     where r.stripe_refund_id = ?`,
    [id],
  );
  return row ? refundVersion(em, { intentId: row.intent, accountId }, { stripeRefundId: id }) : null;
}
