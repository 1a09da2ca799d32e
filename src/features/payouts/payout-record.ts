import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type PayoutReport } from '../../stripe/bookings.js';
import { type AccountId } from '../../stripe/types.js';

/**
 * Takes over what Stripe says of a payout. Reports are always fetched, never taken from an event: payouts are few, and their events of one second
 * cannot be ordered.
 * @param unchangedSince PostgreSQL's time before Stripe was asked: a row that was written since may know better. Left out by who has held the row
 */
export async function recordPayout(
  em: EntityManager,
  accountId: AccountId,
  report: PayoutReport,
  unchangedSince?: string,
): Promise<void> {
  await em.execute(
    `insert into payouts as p (tenant_id, livemode, stripe_account_id, stripe_payout_id, amount, currency, status, method, automatic, reconciliation,
       arrival_date, failure_code, failure_message, statement_descriptor, stripe_created_at)
     values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
     on conflict (tenant_id, stripe_payout_id) do update set status = excluded.status, reconciliation = excluded.reconciliation,
       arrival_date = excluded.arrival_date, failure_code = excluded.failure_code, failure_message = excluded.failure_message,
       statement_descriptor = excluded.statement_descriptor
     where p.updated_at < coalesce(?::timestamptz, 'infinity')`,
    [
      ...[tenantOf(em), livemodeOf(em), accountId, report.id, report.amount, report.currency],
      ...[report.status.toUpperCase(), report.method, report.automatic, report.reconciliation, report.arrivalDate],
      ...[report.failureCode, report.failureMessage, report.statementDescriptor, report.created],
      unchangedSince ?? null,
    ],
  );
}

/** Locks a payout, and says which version of it this is; null when it is not known. */
export async function payoutVersion(em: EntityManager, stripePayoutId: string): Promise<string | null> {
  const [row] = await em.execute<{ version: string }[]>(
    'select updated_at::text as version from payouts where stripe_payout_id = ? for update',
    [stripePayoutId],
  );
  return row?.version ?? null;
}
