import { type EntityManager } from '@mikro-orm/postgresql';
import { livemodeOf, tenantOf } from '../../db/tenant-entity.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { type BookingReport } from '../../stripe/bookings.js';
import { type AccountId } from '../../stripe/types.js';
import { type LedgerAccount, type Posting, postingsOf } from './chart.js';

/** Something that is posted and that Stripe has no balance transaction for. It changes nothing at Stripe. */
export interface OwnEntry {
  /** What it is posted for; once: `po_1:paid:1`. */
  readonly cause: string;
  readonly type: string;
  readonly category: string;
  readonly currency: string;
  readonly sourceId: string;
  readonly payoutId: string | null;
  readonly description: string;
  readonly bookedAt: Date;
  readonly postings: readonly Posting[];
}

/**
 * Posts what Stripe booked, in this order; what is posted already is left alone.
 * @param bookings oldest first
 * @returns how many were new
 */
export async function postBookings(
  em: EntityManager,
  accountId: AccountId,
  bookings: readonly BookingReport[],
): Promise<number> {
  if (bookings.length === 0) return 0;
  const known = await em.execute<{ cause: string }[]>(
    'select cause from ledger_transactions where cause = any(?::text[]) and stripe_account_id = ?',
    [arrayOf(bookings.map(({ id }) => id)), accountId],
  );
  const causes = new Set(known.map(({ cause }) => cause));
  const fresh = bookings.filter(({ id }) => !causes.has(id));
  return post(
    em,
    accountId,
    fresh.map((booking) => ({
      cause: booking.id,
      balanceTransactionId: booking.id,
      ...pick(booking),
      postings: postingsOf(booking),
    })),
  );
}

/** Posts an entry of our own, once per cause. @returns whether it was new */
export async function postOwn(em: EntityManager, accountId: AccountId, entry: OwnEntry): Promise<boolean> {
  const nothing = { amount: 0, stripeFee: 0, applicationFee: 0, net: 0, chargeId: null, availableOn: null };
  return (await post(em, accountId, [{ ...nothing, ...entry, balanceTransactionId: null }])) === 1;
}

interface Transaction extends Omit<OwnEntry, 'payoutId' | 'sourceId' | 'description'> {
  readonly balanceTransactionId: string | null;
  readonly amount: number;
  readonly stripeFee: number;
  readonly applicationFee: number;
  readonly net: number;
  readonly sourceId: string | null;
  readonly chargeId: string | null;
  readonly payoutId: string | null;
  readonly description: string | null;
  readonly availableOn: Date | null;
}

function pick(booking: BookingReport) {
  const { type, category, currency, amount, stripeFee, applicationFee, net } = booking;
  const { sourceId, chargeId, payoutId, description, created, availableOn } = booking;
  const numbers = { type, category, currency, amount, stripeFee, applicationFee, net };
  return { ...numbers, sourceId, chargeId, payoutId, description, bookedAt: created, availableOn };
}

/** In two statements, however many there are: PostgreSQL numbers the rows in their order. @returns how many were new */
async function post(em: EntityManager, accountId: AccountId, transactions: readonly Transaction[]): Promise<number> {
  if (transactions.length === 0) return 0;
  const [tenant, livemode] = [tenantOf(em), livemodeOf(em)];
  const rows = transactions.map((one) => ({ ...one, id: newUuid() }));
  const inserted = await em.execute<{ id: Uuid }[]>(
    `insert into ledger_transactions (tenant_id, livemode, id, stripe_account_id, cause, stripe_balance_transaction_id, type, category, currency,
       amount, stripe_fee, application_fee, net, source_id, stripe_charge_id, stripe_payout_id, description, booked_at, available_on)
     values ${rows.map(() => `(${places(19)})`).join(', ')} on conflict do nothing returning id`,
    rows.flatMap((one) => [
      ...[tenant, livemode, one.id, accountId, one.cause, one.balanceTransactionId, one.type, one.category],
      ...[one.currency, one.amount, one.stripeFee, one.applicationFee, one.net, one.sourceId, one.chargeId],
      ...[one.payoutId, one.description, one.bookedAt, one.availableOn],
    ]),
  );
  const fresh = new Set(inserted.map(({ id }) => id));
  const lines = rows
    .filter(({ id }) => fresh.has(id))
    .flatMap(({ id, currency, postings }) =>
      postings.map(({ account, amount }) => [tenant, livemode, id, currency, account, amount]),
    );
  if (lines.length > 0) {
    await em.execute(
      `insert into ledger_postings (tenant_id, livemode, transaction_id, currency, account, amount)
       values ${lines.map(() => `(${places(6)})`).join(', ')}`,
      lines.flat(),
    );
  }
  return fresh.size;
}

/** The balance of one account per currency, as the books have it. Minor units. */
export async function balancesOf(em: EntityManager, account: LedgerAccount): Promise<Map<string, number>> {
  // From currency to currency along the index: the lines between them are many, the currencies few.
  const rows = await em.execute<{ currency: string; balance: string }[]>(
    `with recursive held as (
       (select currency from ledger_postings where account = ? order by currency limit 1)
       union all
       select (select p.currency from ledger_postings p where p.account = ? and p.currency > held.currency order by p.currency limit 1)
       from held where held.currency is not null
     )
     select currency, (select p.balance from ledger_postings p where p.account = ? and p.currency = held.currency
       order by p.number desc limit 1) as balance
     from held where currency is not null`,
    [account, account, account],
  );
  return new Map(rows.map(({ currency, balance }) => [currency, Number(balance)]));
}

const places = (count: number): string => Array.from({ length: count }, () => '?').join(', ');

/** A list of Stripe's ids as PostgreSQL writes an array. */
export function arrayOf(ids: readonly string[]): string {
  return `{${ids.map((id) => `"${id.replace(/["\\]/g, '\\$&')}"`).join(',')}}`;
}
