import { type Database, type TenantDb } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Logger } from '../../shared/logger.js';
import { type Uuid } from '../../shared/uuid.js';
import { type AccountStripe } from '../../stripe/account-stripe.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId } from '../../stripe/types.js';
import { booksOf } from './bookkeeping.js';
import { type Check, type CheckedBooks, checkBooks, type Difference, storeCheck } from './ledger-check.js';
import { checkPlatformBooks } from './platform-ledger.js';

/** An account whose books are kept. */
interface Account {
  readonly tenantId: Uuid;
  readonly accountId: AccountId;
}

/** What changed within so many seconds may still be half told. */
const settleSeconds = 120;

export interface VerificationParts {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly logger: Logger;
  /** The rules: those of the books, and those between them and other features. */
  readonly checks: readonly Check[];
}

/** Proves the books of all accounts, and the platform's, by the clock. What it finds stays for `driftReport`, `ledgerCheck` and the metrics. */
export class LedgerVerification implements ScheduledJob {
  readonly name = 'ledger-verify';
  readonly description = 'Compares the books of every account, and of the platform, with Stripe and with themselves.';
  readonly cron = '20 */6 * * *';

  constructor(private readonly parts: VerificationParts) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    const { database, stripe, checks, logger } = this.parts;
    const accounts = await connectedAccounts(database);
    let failed = 0;
    for (const { tenantId, accountId } of accounts) {
      if (signal.aborted) return;
      try {
        const given = { accountId, checks, settleSeconds };
        const { differences } = await verifyBooks(database.tenant(tenantId), stripe.forAccount(accountId), given);
        if (differences.length > 0) logger.error({ tenantId, accountId, differences }, 'The books differ');
      } catch (error) {
        // One account that cannot be read hides nothing of the others.
        failed += 1;
        logger.warn({ err: error, tenantId, accountId }, 'The books could not be verified');
      }
    }
    if (signal.aborted) return;
    const differences = await verifyPlatformBooks(database, stripe);
    if (differences.length > 0) logger.error({ differences }, "The platform's books differ");
    if (failed > 0) throw new Error(`The books of ${failed} of ${accounts.length} accounts could not be verified.`);
  }
}

/** Those that can be asked for their balance, or one tenant's of them. */
export function connectedAccounts(database: Database, tenantId: Uuid | null = null): Promise<Account[]> {
  return database.worker((em) =>
    em.execute<Account[]>(
      `select tenant_id as "tenantId", stripe_account_id as "accountId" from stripe_accounts
       where livemode = ? and disconnected_at is null and tenant_id = coalesce(?::uuid, tenant_id) order by 1, 2`,
      [database.livemode, tenantId],
    ),
  );
}

interface Given {
  readonly accountId: AccountId;
  readonly checks: readonly Check[];
  readonly settleSeconds: number;
}

/** Checks the books of one account and keeps what was found, for whoever asks and for the metrics. Two at once do no harm. */
export async function verifyBooks(
  db: TenantDb,
  stripe: AccountStripe,
  { accountId, checks, ...settle }: Given,
): Promise<CheckedBooks> {
  const checked = await checkBooks(booksOf(db, stripe, accountId), checks, settle);
  await db.transaction(async (em) => {
    await storeCheck(em, accountId, checked);
    await em.execute('update ledger_imports set checked_at = now(), differences = ? where stripe_account_id = ?', [
      checked.differences.length,
      accountId,
    ]);
  });
  return checked;
}

/** The same for the platform's own. */
export async function verifyPlatformBooks(database: Database, stripe: StripeService): Promise<Difference[]> {
  const differences = await checkPlatformBooks(database, stripe);
  await database.worker((em) =>
    em.execute(
      `insert into platform_ledger_imports (livemode, checked_at, differences) values (?, now(), ?::jsonb)
       on conflict (livemode) do update set checked_at = excluded.checked_at, differences = excluded.differences`,
      [database.livemode, JSON.stringify(differences)],
    ),
  );
  return differences;
}
