import {
  type DriftCheck,
  type DriftContext,
  differencesOf,
  type Facts,
  listedCandidates,
  orNull,
  repairFetched,
} from '../../jobs/drift.js';
import { payoutReport, type PayoutReport } from '../../stripe/bookings.js';
import { type PayoutId } from '../../stripe/types.js';
import { payoutVersion, recordPayout } from './payout-record.js';

/** Compares payouts: those made since, and those of ours that are still on their way. What is in them, the books say and verify. */
export const payoutDrift: DriftCheck = {
  object: 'payout',

  candidates(context) {
    const { accountId, since, stripe } = context;
    return listedCandidates(context, {
      list: stripe.listPayouts(since),
      report: payoutReport,
      differences,
      ours: [
        `select stripe_payout_id as id from payouts where stripe_account_id = ?
           and (stripe_created_at >= ? or status in ('PENDING', 'IN_TRANSIT'))`,
        [accountId, since],
      ],
    });
  },

  async compare(context, stripeId) {
    await context.spend();
    return differences(context, stripeId, await retrieve(context, stripeId));
  },

  repair: (context, stripeId) =>
    repairFetched<PayoutReport | null>(context, {
      version: (em) => payoutVersion(em, stripeId),
      load: () => retrieve(context, stripeId),
      async apply(em, report) {
        if (report) await recordPayout(em, context.accountId, report);
      },
    }),
};

interface Row {
  readonly id: string;
  readonly status: string;
  readonly amount: string;
  readonly currency: string;
  readonly method: string;
  readonly automatic: boolean;
  readonly reconciliation: string;
  readonly arrival_date: string | Date;
  readonly failure_code: string | null;
}

async function differences({ db, accountId }: DriftContext, id: string, report: PayoutReport | null) {
  const [row] = await db.transaction((em) =>
    em.execute<Row[]>(
      `select id, status, amount, currency, method, automatic, reconciliation, arrival_date, failure_code from payouts
       where stripe_account_id = ? and stripe_payout_id = ?`,
      [accountId, id],
    ),
  );
  return differencesOf(row ? { id: row.id, facts: factsOf(row) } : null, report && stripesFacts(report));
}

function factsOf({ status, amount, currency, method, automatic, reconciliation, ...row }: Row): Facts {
  return {
    ...{ status, amount: Number(amount), currency, method, automatic, reconciliation },
    arrivalDate: new Date(row.arrival_date).toISOString(),
    failureCode: row.failure_code,
  };
}

function stripesFacts(report: PayoutReport): Facts {
  const { status, amount, currency, method, automatic, reconciliation, arrivalDate, failureCode } = report;
  return {
    ...{ status: status.toUpperCase(), amount, currency, method, automatic, reconciliation },
    arrivalDate: arrivalDate.toISOString(),
    failureCode,
  };
}

async function retrieve({ stripe }: DriftContext, id: string): Promise<PayoutReport | null> {
  const found = await orNull(stripe.retrievePayout(id as PayoutId));
  return found && payoutReport(found);
}
