import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { type EventHandler, type EventHandlers, type EventOf } from '../../jobs/events.js';
import { type AccountId } from '../../stripe/types.js';

/** Whatever Stripe books for one of these. The charge itself is booked by the time of `charge.updated`. */
type BookedType =
  | 'charge.updated'
  | 'charge.refunded'
  | 'refund.created'
  | 'refund.updated'
  | 'refund.failed'
  | 'charge.dispute.created'
  | 'charge.dispute.updated'
  | 'charge.dispute.closed'
  | 'charge.dispute.funds_withdrawn'
  | 'charge.dispute.funds_reinstated'
  | 'payout.created'
  | 'payout.updated'
  | 'payout.paid'
  | 'payout.failed'
  | 'payout.canceled'
  | 'payout.reconciliation_completed'
  | 'balance.available'
  | 'application_fee.created'
  | 'application_fee.refunded'
  | 'application_fee.refund.updated';

/**
 * Asks for the account's books to be brought up to date; the importer does it, outside of this transaction. Many events ask for one import.
 * An event that finds it asked for already changes nothing, so that events of one tenant do not wait for each other.
 */
async function wantImport(em: EntityManager, accountId: AccountId): Promise<void> {
  const [row] = await em.execute<{ asked: boolean }[]>(
    `select wanted_at is not null and coalesce(lease_until < now(), true) as asked from ledger_imports where stripe_account_id = ?`,
    [accountId],
  );
  if (row?.asked) return;
  if (!row) {
    await em.execute(
      `insert into ledger_imports (tenant_id, livemode, stripe_account_id) values (?, ?, ?) on conflict do nothing`,
      [tenantOf(em), livemodeOf(em), accountId],
    );
    return;
  }
  // Whoever holds the row is asking the same; or begins to import, and will find what this event is about.
  await em.execute(
    `update ledger_imports set wanted_at = clock_timestamp() where (tenant_id, stripe_account_id) in (
       select tenant_id, stripe_account_id from ledger_imports where stripe_account_id = ? for update skip locked)`,
    [accountId],
  );
}

const booked: EventHandler<EventOf<BookedType>> = {
  async apply(em, _event, { accountId }) {
    await wantImport(em, accountId);
    return 'done';
  },
};

export const ledgerEvents = {
  'charge.updated': booked,
  'charge.refunded': booked,
  'refund.created': booked,
  'refund.updated': booked,
  'refund.failed': booked,
  'charge.dispute.created': booked,
  'charge.dispute.updated': booked,
  'charge.dispute.closed': booked,
  'charge.dispute.funds_withdrawn': booked,
  'charge.dispute.funds_reinstated': booked,
  'payout.created': booked,
  'payout.updated': booked,
  'payout.paid': booked,
  'payout.failed': booked,
  'payout.canceled': booked,
  'payout.reconciliation_completed': booked,
  'balance.available': booked,
  'application_fee.created': booked,
  'application_fee.refunded': booked,
  'application_fee.refund.updated': booked,
} satisfies EventHandlers;
