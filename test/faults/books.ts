import { booksOf, importBookings } from '../../src/features/ledger/bookkeeping.js';
import { type Difference, ledgerChecks } from '../../src/features/ledger/ledger-check.js';
import { verifyBooks } from '../../src/features/ledger/ledger-verification.js';
import { payoutChecks, payoutStep } from '../../src/features/payouts/payout-books.js';
import { type Uuid } from '../../src/shared/uuid.js';
import { type AccountId } from '../../src/stripe/types.js';
import { type Parts } from '../webhooks/parts.js';

/** Brings the books of a tenant up to date, and proves them as `npm run ledger:verify` does. @returns what is not as it must be: I1 */
export async function brokenBooks(
  { database, stripe }: Pick<Parts, 'database' | 'stripe'>,
  tenant: { readonly id: Uuid; readonly accountId: string },
): Promise<readonly Difference[]> {
  const accountId = tenant.accountId as AccountId;
  const [db, account] = [database.tenant(tenant.id), stripe.forAccount(accountId)];
  const books = booksOf(db, account, accountId);
  await importBookings(books, true);
  await payoutStep(books);
  const checks = [...ledgerChecks, ...payoutChecks];
  return (await verifyBooks(db, account, { accountId, checks, settleSeconds: 0 })).differences;
}
