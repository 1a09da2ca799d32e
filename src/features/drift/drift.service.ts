import { setTimeout as sleep } from 'node:timers/promises';
import { type TenantDb } from '../../db/database.js';
import { type Difference, type DriftCheck, type DriftContext } from '../../jobs/drift.js';
import { type Clock } from '../../shared/clock.js';
import { AppError } from '../../shared/errors.js';
import { type Logger } from '../../shared/logger.js';
import { driftFound } from '../../shared/metrics.js';
import { Pace } from '../../shared/pace.js';
import { type AccountId } from '../../stripe/types.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { audit } from '../audit/audit.js';
import { connectedAccount } from '../onboarding/connected-account.js';
import { driftChecks } from './drift-checks.js';
import { type DriftDifference, type DriftReport } from './drift-report.types.js';
import { beginReport, endReport, latestReport, readReport } from './drift-reports.js';

/** How a comparison is made. */
export interface DriftRun {
  readonly dryRun: boolean;
  /** Days back that objects are compared. */
  readonly days: number;
  /** Milliseconds after which it stops, incomplete. */
  readonly withinMs?: number;
  /** Stops it early, incomplete. */
  readonly signal?: AbortSignal;
  /** Told as it goes on: objects looked at, and what they are. */
  readonly onProgress?: (examined: number, object: string) => void;
}

export interface DriftParts {
  readonly db: TenantDb;
  readonly stripe: StripeService;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Who asked: the subject of a token, or a name of ours. */
  readonly actor: string;
  /** Calls to Stripe a second for this tenant: 8, so that payments have room beside it. */
  readonly callsPerSecond?: number;
  /** What differs is looked at once more after so many milliseconds, because its webhook may be on the way: 2,000. */
  readonly settleMs?: number;
  /** What is compared: {@link driftChecks}. */
  readonly checks?: readonly DriftCheck[];
}

/** Differences that are looked into in one run. A tenant with more has another problem. */
const mostSuspects = 1_000;

/** Compares a tenant's rows with what Stripe has, and puts right what differs. */
export class DriftService {
  private readonly pace: Pace;

  constructor(private readonly parts: DriftParts) {
    this.pace = new Pace(parts.callsPerSecond ?? 8);
  }

  /** What the last check found; an empty report before the first. */
  latest(): Promise<DriftReport> {
    return this.parts.db.transaction((em) => latestReport(em));
  }

  /**
   * Compares, writes down what differs and, unless it is a dry run, repairs it through the code that webhooks use.
   * @throws AppError TENANT_NOT_READY · ACCOUNT_DISCONNECTED · CONFLICT when one is running
   */
  async run(run: DriftRun): Promise<DriftReport> {
    const { db, clock, actor, logger } = this.parts;
    const since = new Date(clock.now().getTime() - run.days * 86_400_000);
    const { id, accountId } = await db.transaction(async (em) => {
      const { stripeAccountId: account } = await connectedAccount(em, { lock: true });
      const begun = await beginReport(em, { accountId: account, actor, dryRun: run.dryRun, since });
      if (begun === null) throw new AppError('CONFLICT', 'A comparison is under way.');
      const details = { dryRun: run.dryRun, days: run.days };
      audit(em, { actor, action: 'drift.reconcile', subjectType: 'drift-report', subjectId: begun, details });
      return { id: begun, accountId: account };
    });
    const found = await this.examine(this.contextOf(accountId, since), run);
    await db.transaction((em) => endReport(em, id, found));
    for (const { object } of found.differences) driftFound.inc({ object });
    if (found.differences.length > 0) {
      const facts = { tenantId: db.tenantId, report: id, differences: found.differences.length, dryRun: run.dryRun };
      logger.warn(facts, 'Stripe and the database differ');
    }
    return db.transaction((em) => readReport(em, id));
  }

  private contextOf(accountId: AccountId, since: Date): DriftContext {
    const { db, stripe } = this.parts;
    return {
      db,
      accountId,
      since,
      stripe: stripe.forAccount(accountId),
      platform: stripe,
      spend: () => this.pace.take(),
    };
  }

  private async examine(context: DriftContext, run: DriftRun): Promise<Found> {
    const deadline = performance.now() + (run.withinMs ?? Infinity);
    const found: Found = { examined: 0, differences: [], problem: null };
    for (const check of this.parts.checks ?? driftChecks) {
      try {
        await this.examineWith(check, context, run, found, deadline);
      } catch (error) {
        // One kind of object that cannot be read hides nothing of the others.
        const reason = error instanceof AppError ? `${error.code}: ${error.message}` : 'INTERNAL';
        found.problem ??= `${check.object}: ${reason}`;
        this.parts.logger.warn({ err: error, object: check.object }, 'A comparison with Stripe broke off');
      }
    }
    return found;
  }

  private async examineWith(
    check: DriftCheck,
    context: DriftContext,
    run: DriftRun,
    found: Found,
    deadline: number,
  ): Promise<void> {
    const isOver = () => performance.now() > deadline || run.signal?.aborted === true;
    const suspects = new Set<string>();
    for await (const { stripeId, differs } of check.candidates(context)) {
      found.examined += 1;
      run.onProgress?.(found.examined, check.object);
      if (differs) suspects.add(stripeId);
      if (suspects.size >= mostSuspects) found.problem ??= `${check.object}: more than ${mostSuspects} may differ`;
      if (isOver()) found.problem ??= 'The time was over.';
      if (suspects.size >= mostSuspects || isOver()) break;
    }
    const seen = await this.stillDiffering(check, context, suspects);
    if (seen.length === 0) return;
    await sleep(this.parts.settleMs ?? 2_000);
    for (const stripeId of await this.stillDiffering(check, context, seen)) {
      const before = await check.compare(context, stripeId);
      let left: readonly Difference[] = before;
      if (!run.dryRun && before.length > 0) {
        await check.repair(context, stripeId);
        left = await check.compare(context, stripeId);
      }
      found.differences.push(
        ...before.map((difference) => ({
          ...difference,
          object: check.object,
          stripeId,
          ours: textOf(difference.ours),
          stripes: textOf(difference.stripes),
          repaired: !left.some(({ field }) => field === difference.field),
        })),
      );
    }
    if (run.dryRun) for (const one of found.differences) one.repaired = false;
  }

  private async stillDiffering(check: DriftCheck, context: DriftContext, ids: Iterable<string>): Promise<string[]> {
    const differing: string[] = [];
    for (const id of ids) if ((await check.compare(context, id)).length > 0) differing.push(id);
    return differing;
  }
}

/** What a comparison came to. */
export interface Found {
  examined: number;
  readonly differences: DriftDifference[];
  /** Why it is not complete; null when it is. */
  problem: string | null;
}

function textOf(value: Difference['ours']): string | null {
  return value === null ? null : String(value);
}
