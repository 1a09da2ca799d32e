import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { failpoint } from '../../shared/failpoint.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountStripe } from '../../stripe/account-stripe.js';
import { type AccountId } from '../../stripe/types.js';
import { postBookings } from './ledger-record.js';

/** The account whose books are kept, and the right to keep them. */
export interface Books {
  readonly db: TenantDb;
  readonly stripe: AccountStripe;
  readonly accountId: AccountId;
  /**
   * Runs `work` in one transaction, and prolongs the lease with it.
   * @throws BooksTaken when somebody else keeps these books by now; then nothing of `work` is kept
   */
  write<T>(work: (em: EntityManager) => Promise<T>): Promise<T>;
}

/** Something that is done to bring the books up to date. Run one after the other, each time from scratch: what is done already is left alone. */
export type BookkeepingStep = (books: Books) => Promise<void>;

/** The lease ran out, and another process took the books over. */
export class BooksTaken extends Error {
  override readonly name = 'BooksTaken';
}

/** Books that nobody leased: for a command line, where the unique keys alone keep two writers apart. */
export function booksOf(db: TenantDb, stripe: AccountStripe, accountId: AccountId): Books {
  return { db, stripe, accountId, write: (work) => db.transaction(work) };
}

/** Books under a lease. */
export function leasedBooks(
  db: TenantDb,
  stripe: AccountStripe,
  accountId: AccountId,
  lease: { readonly token: Uuid; readonly ms: number },
): Books {
  const write = <T>(work: (em: EntityManager) => Promise<T>) =>
    db.transaction(async (em) => {
      const held = await em.execute<unknown[]>(
        `update ledger_imports set lease_until = now() + ? * interval '1 millisecond'
         where stripe_account_id = ? and lease_token = ? returning 1`,
        [lease.ms, accountId, lease.token],
      );
      if (held.length === 0) throw new BooksTaken('Somebody else keeps these books by now.');
      return work(em);
    });
  return { db, stripe, accountId, write };
}

/**
 * Posts everything that Stripe has booked since the last time, in Stripe's order, a page per transaction.
 * @param fromStart looks at all there is, and posts what is missing
 * @returns how many were new
 */
export async function importBookings(books: Books, fromStart = false): Promise<number> {
  const cursor = fromStart ? null : await books.db.transaction((em) => cursorOf(em, books.accountId));
  let posted = 0;
  for await (const page of books.stripe.bookingsAfter(cursor)) {
    posted += await books.write(async (em) => {
      const count = await postBookings(em, books.accountId, page);
      failpoint('ledger.in-import');
      return count;
    });
    failpoint('ledger.after-page');
  }
  return posted;
}

/**
 * Where the next import begins. Not at the last one that is known: Stripe's list is sorted by whole seconds, and what is booked within the same
 * second may yet appear before it. So the last minute is looked at again, but never more than a thousand.
 */
async function cursorOf(em: EntityManager, accountId: AccountId): Promise<string | null> {
  const [row] = await em.execute<{ id: string }[]>(
    `select id from (
       (select stripe_balance_transaction_id as id, number from ledger_transactions
        where stripe_account_id = ? and stripe_balance_transaction_id is not null and created_at < now() - interval '1 minute'
        order by number desc limit 1)
       union all
       (select stripe_balance_transaction_id, number from ledger_transactions
        where stripe_account_id = ? and stripe_balance_transaction_id is not null order by number desc offset 1000 limit 1)
     ) as starts order by number desc limit 1`,
    [accountId, accountId],
  );
  return row?.id ?? null;
}
