import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../../db/database.js';
import { type ScheduledJob } from '../../jobs/schedules/scheduled-job.js';
import { type Clock } from '../../shared/clock.js';
import { type Logger } from '../../shared/logger.js';
import { enqueueAdminMail } from '../mail/outbox.js';
import { type FailureDigestData } from '../mail/templates/failure-digest.js';
import { forEveryTenant } from '../notices/every-tenant.js';
import { declineReason } from './decline-reason.js';

export interface FailureDigestSettings {
  readonly database: Database;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** So many are worth a mail however many succeeded. */
const many = 50;
/** Fewer are not, however few succeeded. */
const few = 5;
/** Of those that were tried: one in five. */
const oneIn = 5;

interface Day {
  readonly name: string;
  readonly since: string;
  readonly until: string;
}

/** Payments of which a try failed, by what its last try of that day says. */
interface Failed {
  readonly currency: string;
  readonly code: string;
  readonly declineCode: string | null;
  readonly count: number;
  readonly amount: string;
  readonly recovered: number;
}

/**
 * Tells a tenant's admins, once, when many payments of their last day failed. It is looked at until the next one is over, so that what Stripe reports
 * late counts, too.
 */
export class FailureDigests implements ScheduledJob {
  readonly name = 'failure-digests';
  readonly description = 'Tells tenants’ admins of a day on which many payments failed.';
  readonly cron = '17 * * * *';

  constructor(private readonly settings: FailureDigestSettings) {}

  async run({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    await forEveryTenant(this.settings, signal, (db) =>
      db.transaction(async (em) => {
        const now = this.settings.clock.now();
        const day = await lastDay(em, now);
        const data = await digestOf(em, day);
        if (!data) return;
        await enqueueAdminMail(em, {
          key: `failures:${day.name}`,
          template: 'failure-digest',
          until: new Date(now.getTime() + 86_400_000),
          data,
        });
      }),
    );
  }
}

/** The one that was over an hour ago: by then Stripe has told nearly all of it. */
async function lastDay(em: EntityManager, now: Date): Promise<Day> {
  const [day] = await em.execute<Day[]>(
    `select to_char(wall - interval '1 day', 'YYYY-MM-DD') as name, psa_payments_start(wall - interval '1 day', time_zone) as since,
       psa_payments_start(wall, time_zone) as until
     from (select time_zone, date_trunc('day', (?::timestamptz - interval '1 hour') at time zone time_zone) as wall from tenants) t`,
    [now],
  );
  return day!;
}

/** @returns null when it is nothing to tell of */
async function digestOf(em: EntityManager, { since, until }: Day): Promise<FailureDigestData | null> {
  const rows = await em.execute<Failed[]>(
    `select currency, code, decline_code as "declineCode", count(*)::int as count, sum(amount) as amount,
       (count(*) filter (where outcome = 'RECOVERED'))::int as recovered
     from (select distinct on (payment_id) currency, code, decline_code, amount, outcome from failed_payments
       where failed_at >= ?::timestamptz and failed_at < ?::timestamptz order by payment_id, failed_at desc, id desc) f
     group by 1, 2, 3 order by 1, 2, 3`,
    [since, until],
  );
  const failed = sumOf(rows, ({ count }) => count);
  if (failed < few) return null;
  const [succeeded] = await em.execute<{ count: number }[]>(
    `select count(*)::int as count from payments p where p.succeeded_at >= ?::timestamptz and p.succeeded_at < ?::timestamptz
       and not exists (select from payment_failures f where f.tenant_id = p.tenant_id and f.payment_id = p.id
         and f.failed_at >= ?::timestamptz and f.failed_at < ?::timestamptz)`,
    [since, until, since, until],
  );
  const tried = failed + succeeded!.count;
  if (failed < many && failed * oneIn < tried) return null;
  return {
    since: new Date(since).toISOString(),
    ...{ failed, tried, recovered: sumOf(rows, ({ recovered }) => recovered) },
    amounts: sums(rows, ({ currency, amount }) => [currency, Number(amount)]).map(([currency, amount]) => ({
      amount,
      currency,
    })),
    reasons: sums(rows, ({ code, declineCode, count }) => [declineReason(code, declineCode), count])
      .map(([reason, count]) => ({ reason, count }))
      .toSorted((a, b) => b.count - a.count),
  };
}

function sumOf<Row>(rows: readonly Row[], figure: (row: Row) => number): number {
  return rows.reduce((sum, row) => sum + figure(row), 0);
}

/** One for each kind, in the order in which they come. */
function sums<Row>(
  rows: readonly Row[],
  figure: (row: Row) => readonly [kind: string, figure: number],
): [string, number][] {
  const found = new Map<string, number>();
  for (const [kind, more] of rows.map(figure)) found.set(kind, (found.get(kind) ?? 0) + more);
  return [...found];
}
