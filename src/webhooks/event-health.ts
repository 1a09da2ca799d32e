import { type Database } from '../db/database.js';
import { type Uuid } from '../shared/uuid.js';

/** How the events of all tenants are doing. */
export interface EventReport {
  /** Events that are not settled, by state: READY, PARKED, DEAD. */
  readonly waiting: Readonly<Record<string, number>>;
  /** For how long the oldest event that is due has been waiting. */
  readonly oldestSeconds: number;
  /** Events that came in the last five minutes, by status. */
  readonly recent: Readonly<Record<string, number>>;
  /** Of these, the part that failed, from 0 to 1; null when none came. */
  readonly failureRate: number | null;
  /** For how long the account has not been swept that was swept the longest ago; null when there is none. */
  readonly sweepAgeSeconds: number | null;
}

/** For how long a report holds, in milliseconds: whoever asks often does not ask PostgreSQL. */
const rememberedMs = 5_000;
const recentMs = 5 * 60_000;

/** Counts what `/readyz` and `/metrics` show of the events. */
export class EventHealth {
  private known: { readonly at: number; readonly report: Promise<EventReport> } | null = null;

  constructor(private readonly database: Database) {}

  /** A report of the last five seconds. */
  report(): Promise<EventReport> {
    const at = performance.now();
    if (!this.known || at - this.known.at > rememberedMs) {
      const report = this.look();
      report.catch(() => (this.known = null));
      this.known = { at, report };
    }
    return this.known.report;
  }

  private async look(): Promise<EventReport> {
    const { livemode } = this.database;
    return this.database.worker(async (em) => {
      const states = await em.execute<{ state: string; events: number; oldest: number | null }[]>(
        `select state, count(*)::integer as events,
           extract(epoch from now() - min(ready_at) filter (where state = 'READY' and ready_at <= now()))::float8 as oldest
         from stripe_webhook_queue where livemode = ? group by state`,
        [livemode],
      );
      const recent = await em.execute<{ status: string; events: number }[]>(
        'select status, count(*)::integer as events from stripe_webhook_events where livemode = ? and id >= ? group by status',
        [livemode, firstIdSince(Date.now() - recentMs)],
      );
      const [sweep] = await em.execute<{ age: number | null }[]>(
        `select extract(epoch from now() - min(swept_until))::float8 as age from stripe_sweeps s
         where livemode = ? and exists (select from stripe_accounts a where a.stripe_account_id = s.account and a.disconnected_at is null)`,
        [livemode],
      );
      const counts = Object.fromEntries(recent.map(({ status, events }) => [status, events]));
      const total = recent.reduce((sum, { events }) => sum + events, 0);
      return {
        waiting: Object.fromEntries(states.map(({ state, events }) => [state, events])),
        oldestSeconds: Math.max(0, ...states.map(({ oldest }) => oldest ?? 0)),
        recent: counts,
        failureRate: total === 0 ? null : ((counts.FAILED ?? 0) + (counts.DEAD ?? 0)) / total,
        sweepAgeSeconds: sweep?.age ?? null,
      };
    });
  }
}

/** Ids begin with the time they were made at, so they are asked for by it. */
function firstIdSince(ms: number): Uuid {
  const hex = Math.max(0, Math.floor(ms)).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000` as Uuid;
}
