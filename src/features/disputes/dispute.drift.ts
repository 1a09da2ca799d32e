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
import { type DisputeReport, disputeReport } from '../../stripe/disputes.js';
import { type DisputeId, type PaymentIntentId } from '../../stripe/types.js';
import { Dispute } from './dispute.entity.js';
import { disputeVersion, recordDispute } from './dispute-record.js';

/** Compares disputes: those opened since, and those of ours that are still open. */
export const disputeDrift: DriftCheck = {
  object: 'dispute',

  candidates(context) {
    const { accountId, since, stripe } = context;
    return listedCandidates(context, {
      list: stripe.listDisputes(since),
      report: disputeReport,
      differences,
      ours: [
        `select stripe_dispute_id as id from disputes where stripe_account_id = ?
           and (stripe_created_at >= ? or status not in ('WARNING_CLOSED', 'WON', 'LOST', 'PREVENTED'))`,
        [accountId, since],
      ],
    });
  },

  async compare(context, stripeId) {
    await context.spend();
    return differences(context, stripeId, await retrieve(context, stripeId));
  },

  repair: (context, stripeId) =>
    repairFetched<DisputeReport | null>(context, {
      version: (em) => versionOf(em, context, stripeId),
      load: () => retrieve(context, stripeId),
      async apply(em, report) {
        const { accountId } = context;
        if (report) await recordDispute(em, report, { accountId, asOf: report.created, fetched: true });
      },
    }),
};

async function differences({ db, accountId }: DriftContext, id: string, report: DisputeReport | null) {
  // Without an intent it was charged past everything that this server does.
  if (report && report.paymentIntentId === null) return [];
  const ours = await db.transaction((em) =>
    em.findOne(Dispute, { stripeDisputeId: id as DisputeId, stripeAccountId: accountId }),
  );
  return differencesOf(ours && { id: ours.id, facts: factsOf(ours) }, report && stripesFacts(report));
}

function factsOf(dispute: Dispute): Facts {
  const { status, amountMinor, currency, reason, evidenceDueBy, hasEvidence, pastDue, submissionCount } = dispute;
  const { isInquiry, isChargeRefundable, fundsWithdrawn, fundsReinstated } = dispute;
  return {
    status,
    amount: Number(amountMinor),
    currency,
    reason,
    evidenceDueBy: evidenceDueBy?.toISOString() ?? null,
    ...{ hasEvidence, pastDue, submissionCount, isInquiry, isChargeRefundable, fundsWithdrawn, fundsReinstated },
  };
}

/** What a dispute would be that was told of this and nothing else: so both sides go through one translation. */
function stripesFacts(report: DisputeReport): Facts {
  const dispute = new Dispute();
  dispute.applyStripe(report, report.created, true);
  return factsOf(dispute);
}

async function retrieve({ stripe }: DriftContext, id: string): Promise<DisputeReport | null> {
  const found = await orNull(stripe.retrieveDispute(id as DisputeId));
  return found && disputeReport(found);
}

async function versionOf(em: EntityManager, { accountId }: DriftContext, id: string): Promise<string | null> {
  const [row] = await em.execute<{ intent: PaymentIntentId }[]>(
    `select p.stripe_payment_intent_id as intent from disputes d join payments p on p.tenant_id = d.tenant_id and p.id = d.payment_id
     where d.stripe_dispute_id = ?`,
    [id],
  );
  return row ? disputeVersion(em, { intentId: row.intent, accountId }, id) : null;
}
