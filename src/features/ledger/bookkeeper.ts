import { type EntityManager } from '@mikro-orm/postgresql';
import { Counter, Gauge } from 'prom-client';
import { type Database } from '../../db/database.js';
import { type Logger } from '../../shared/logger.js';
import { metrics } from '../../shared/metrics.js';
import { Polling } from '../../shared/repeat.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { isOutage } from '../../stripe/stripe-errors.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { type AccountId } from '../../stripe/types.js';
import { BooksTaken, type BookkeepingStep, importBookings, leasedBooks } from './bookkeeping.js';
import { type Check, checkBooks, storeCheck } from './ledger-check.js';
import { importPlatformBookings } from './platform-ledger.js';

const posted = new Counter({
  name: 'ledger_transactions_posted_total',
  help: 'Balance transactions that were posted.',
  registers: [metrics],
});
const failed = new Counter({
  name: 'ledger_imports_failed_total',
  help: 'Imports of an account that failed; they are tried again.',
  registers: [metrics],
});
const differences = new Gauge({
  name: 'ledger_differences',
  help: 'Differences between books and Stripe, over the last check of each account that has any. Each needs a person.',
  registers: [metrics],
});

const platformDifferences = new Gauge({
  name: 'ledger_platform_differences',
  help: "Differences between the platform's own books and Stripe at the last check. Each needs a person.",
  registers: [metrics],
});
const checkAge = new Gauge({
  name: 'ledger_check_age_seconds',
  help: 'For how long the connected account whose books were last verified the longest ago has not been verified.',
  registers: [metrics],
});

export interface BookkeeperSettings {
  /** Pause between two looks when there was nothing to do: 500 ms. */
  readonly idleMs: number;
  /** How many accounts one look takes, and are worked on side by side: 4. */
  readonly batch: number;
  /** For how long an account is taken; prolonged with every page: 60,000 ms. */
  readonly leaseMs: number;
  /** An account nobody reported anything about is looked at all the same after so long: an hour. */
  readonly catchUpMs: number;
  /** After so long without a verification the books are compared with Stripe all the same: twelve hours. */
  readonly checkMs: number;
  /** How often accounts are looked for that want one of the two: every minute. */
  readonly roundMs: number;
  readonly logger: Logger;
}

interface Claim {
  readonly tenantId: Uuid;
  readonly accountId: AccountId;
  readonly token: Uuid;
  /** As PostgreSQL wrote it: it is only compared with itself. */
  readonly wantedAt: string;
  readonly fromStart: boolean;
  readonly mustCheck: boolean;
}

/**
 * Keeps the books of all accounts: imports what Stripe booked as soon as an event says that there is something, from time to time without one, and
 * compares them with Stripe. Any number of processes may run it: an account is leased to one of them.
 */
export class Bookkeeper {
  private readonly settings: BookkeeperSettings;
  private readonly polling: Polling;
  private nextRound = 0;
  private platformWanted = true;

  constructor(
    private readonly database: Database,
    private readonly stripe: StripeService,
    private readonly steps: readonly BookkeepingStep[],
    private readonly checks: readonly Check[],
    settings: Partial<BookkeeperSettings> & Pick<BookkeeperSettings, 'logger'>,
  ) {
    const hour = 3_600_000;
    this.settings = {
      ...{ idleMs: 500, batch: 4, leaseMs: 60_000, catchUpMs: hour, checkMs: 12 * hour, roundMs: 60_000 },
      ...settings,
    };
    const { idleMs, logger } = this.settings;
    this.polling = new Polling({ work: () => this.lookOnce(), idleMs, failure: 'Cannot keep the books', logger });
  }

  /** Keeps the books until {@link stop}. */
  start(): void {
    this.polling.start();
  }

  /** Takes nothing new, and waits for what is under way. */
  stop(): Promise<void> {
    return this.polling.stop();
  }

  /** Takes up to one batch of accounts that want it, and brings their books up to date; none while Stripe is down. @returns how many were taken */
  async workOnce(): Promise<number> {
    // What is sure to fail is not begun.
    if (!this.stripe.isAvailable) return 0;
    const claims = await this.database.worker((em) => this.claim(em));
    await Promise.all(claims.map((claim) => this.keep(claim)));
    return claims.length;
  }

  private async lookOnce(): Promise<number> {
    if (performance.now() >= this.nextRound) {
      this.nextRound = performance.now() + this.settings.roundMs;
      await this.database.worker((em) => this.lookAround(em));
      this.platformWanted = true;
    }
    const taken = await this.workOnce();
    if (taken === 0 && this.platformWanted && this.stripe.isAvailable) await this.keepPlatform();
    return taken;
  }

  /** Finds accounts that are new, that nobody reported anything about for long, or that are to be checked. */
  private async lookAround(em: EntityManager): Promise<void> {
    const { catchUpMs, checkMs } = this.settings;
    await em.execute(
      `insert into ledger_imports (tenant_id, stripe_account_id, livemode)
       select tenant_id, stripe_account_id, livemode from stripe_accounts a
       where livemode = ? and disconnected_at is null and not exists (
         select from ledger_imports i where i.tenant_id = a.tenant_id and i.stripe_account_id = a.stripe_account_id)
       on conflict do nothing`,
      [this.database.livemode],
    );
    await em.execute(
      `update ledger_imports i set wanted_at = now() from stripe_accounts a
       where a.tenant_id = i.tenant_id and a.stripe_account_id = i.stripe_account_id and a.disconnected_at is null
         and i.livemode = ? and i.wanted_at is null
         and (i.imported_at < now() - ? * interval '1 millisecond' or i.checked_at < now() - ? * interval '1 millisecond')`,
      [this.database.livemode, catchUpMs, checkMs],
    );
    await this.measure(em);
  }

  private async measure(em: EntityManager): Promise<void> {
    const { livemode } = this.database;
    const [row] = await em.execute<{ n: string; age: string | null; platform: string | null }[]>(
      `select count(*) filter (where differences > 0) as n, extract(epoch from now() - min(i.checked_at)
           filter (where exists (select from stripe_accounts a where a.stripe_account_id = i.stripe_account_id and a.disconnected_at is null))) as age,
         (select jsonb_array_length(p.differences) from platform_ledger_imports p where p.livemode = ?) as platform
       from ledger_imports i where livemode = ?`,
      [livemode, livemode],
    );
    differences.set(Number(row?.n ?? 0));
    checkAge.set(Number(row?.age ?? 0));
    platformDifferences.set(Number(row?.platform ?? 0));
  }

  private claim(em: EntityManager): Promise<Claim[]> {
    const { batch, leaseMs, checkMs } = this.settings;
    return em.execute<Claim[]>(
      `update ledger_imports i set lease_token = uuidv7(), lease_until = now() + ? * interval '1 millisecond', attempts = attempts + 1
       from (
         select tenant_id, stripe_account_id from ledger_imports
         where wanted_at is not null and next_attempt_at <= now() and livemode = ? and (lease_until is null or lease_until < now())
         order by next_attempt_at limit ${Math.trunc(batch)} for update skip locked
       ) wanted
       where i.tenant_id = wanted.tenant_id and i.stripe_account_id = wanted.stripe_account_id
       returning i.tenant_id as "tenantId", i.stripe_account_id as "accountId", i.lease_token as token, i.wanted_at::text as "wantedAt",
         i.from_start as "fromStart", coalesce(i.checked_at < now() - ? * interval '1 millisecond', true) as "mustCheck"`,
      [leaseMs, this.database.livemode, checkMs],
    );
  }

  private async keep(claim: Claim): Promise<void> {
    const { logger, leaseMs } = this.settings;
    const { tenantId, accountId, token } = claim;
    const db = this.database.tenant(tenantId);
    const books = leasedBooks(db, this.stripe.forAccount(accountId), accountId, { token, ms: leaseMs });
    const about = { tenantId, accountId };
    try {
      const count = await importBookings(books, claim.fromStart);
      posted.inc(count);
      if (count > 0) this.platformWanted = true;
      for (const step of this.steps) await step(books);
      const checked = claim.mustCheck ? await checkBooks(books, this.checks, { settleSeconds: 120 }) : null;
      if (checked?.differences.length) logger.error({ ...about, ...checked }, 'The books differ');
      await books.write(async (em) => {
        if (checked) await storeCheck(em, accountId, checked);
        // What was asked for meanwhile stays asked for. Something that is missing at the end may be found from the beginning.
        const isShort = checked?.differences.some(({ what }) => what === 'STRIPE_BALANCE') ?? false;
        await em.execute(
          `update ledger_imports set wanted_at = case when wanted_at = ?::timestamptz then null else wanted_at end, from_start = ?,
             imported_at = now(), attempts = 0, next_attempt_at = now(), last_error = null, lease_token = null, lease_until = null
             ${checked ? ', checked_at = now(), differences = ?' : ''}
           where stripe_account_id = ?`,
          [claim.wantedAt, isShort && !claim.fromStart, ...(checked ? [checked.differences.length] : []), accountId],
        );
      });
    } catch (error) {
      if (error instanceof BooksTaken) return;
      failed.inc();
      logger.warn({ ...about, err: error }, 'The books could not be brought up to date');
      await this.giveBack(claim, error).catch((err: unknown) =>
        logger.error({ ...about, err }, 'Cannot give books back'),
      );
    }
  }

  /** Tried again later: after seconds at first, after an hour in the end; soon where the account is not to blame. */
  private giveBack({ tenantId, accountId, token }: Claim, error: unknown): Promise<unknown> {
    const longest = isOutage(error) ? 15 : 3_600;
    return this.database.tenant(tenantId).transaction((em) =>
      em.execute(
        `update ledger_imports set lease_token = null, lease_until = null, last_error = ?,
           next_attempt_at = now() + least(power(2, least(attempts, 12)), ${longest}) * interval '1 second'
         where stripe_account_id = ? and lease_token = ?`,
        [String(error).slice(0, 500), accountId, token],
      ),
    );
  }

  private async keepPlatform(): Promise<void> {
    const { leaseMs } = this.settings;
    const { livemode } = this.database;
    this.platformWanted = false;
    const token = newUuid();
    const held = await this.database.worker((em) =>
      em.execute<unknown[]>(
        `insert into platform_ledger_imports as i (livemode, lease_token, lease_until) values (?, ?, now() + ? * interval '1 millisecond')
         on conflict (livemode) do update set lease_token = excluded.lease_token, lease_until = excluded.lease_until
           where i.lease_until is null or i.lease_until < now()
         returning 1`,
        [livemode, token, leaseMs],
      ),
    );
    if (held.length === 0) return;
    try {
      await importPlatformBookings(this.database, this.stripe);
    } finally {
      await this.database.worker((em) =>
        em.execute(
          'update platform_ledger_imports set lease_token = null, lease_until = null, imported_at = now() where livemode = ? and lease_token = ?',
          [livemode, token],
        ),
      );
    }
  }
}
