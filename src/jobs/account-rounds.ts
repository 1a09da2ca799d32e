import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../db/database.js';
import { newUuid, type Uuid } from '../shared/uuid.js';
import { type AccountId } from '../stripe/types.js';

/** What is done about every account in turn; each has its own column that says when. */
export type Round = 'due_at' | 'drift_due_at';

/** An account whose turn it is, held by this process for a while. */
export interface Visit {
  /** Null for the platform itself. */
  readonly accountId: AccountId | null;
  /** Null for the platform itself. */
  readonly tenantId: Uuid | null;
  readonly sweptUntil: Date;
  /** Visits in a row that failed before this one. */
  readonly failures: number;
  readonly token: Uuid;
}

interface VisitRow {
  readonly account: string;
  readonly tenant_id: Uuid | null;
  readonly swept_until: string | Date;
  readonly failures: number;
}

/** For how long a visit lasts without being renewed. */
const leaseSeconds = 120;

/** Visits every connected account from time to time, and the platform itself; no account twice at once, however many processes do so. */
export class AccountRounds {
  constructor(
    private readonly database: Database,
    private readonly round: Round,
  ) {}

  /** Makes the lines of accounts that are new. Their events are looked for from when they were connected, and for 29 days at most. */
  async enlist(): Promise<void> {
    await this.database.worker((em) =>
      em.execute(
        `insert into stripe_sweeps (account, livemode, swept_until, due_at)
         select a.stripe_account_id, a.livemode, greatest(a.created_at, now() - interval '29 days'), now() + interval '5 minutes' from stripe_accounts a
         where a.livemode = ? and a.disconnected_at is null
         union all select 'platform', ?, now() - interval '1 day', now() + interval '5 minutes'
         on conflict do nothing`,
        [this.livemode, this.livemode],
      ),
    );
  }

  /** Takes the account that has been due for the longest; null when none is. */
  async next(): Promise<Visit | null> {
    const token = newUuid();
    const [row] = await this.database.worker((em) =>
      em.execute<VisitRow[]>(
        `with due as (
           select s.account, s.livemode, a.tenant_id from stripe_sweeps s
           left join stripe_accounts a on a.stripe_account_id = s.account and a.livemode = s.livemode
           where s.livemode = ? and s.${this.round} <= now() and (s.lease_until is null or s.lease_until < now())
             and case when s.account = 'platform' then ${this.round === 'due_at'} else a.disconnected_at is null and a.tenant_id is not null end
           order by s.${this.round} limit 1 for update of s skip locked
         )
         update stripe_sweeps s set lease_token = ?, lease_until = now() + interval '${leaseSeconds} seconds'
         from due where s.account = due.account and s.livemode = due.livemode
         returning s.account, s.swept_until, s.failures, due.tenant_id`,
        [this.livemode, token],
      ),
    );
    if (!row) return null;
    return {
      accountId: row.account === 'platform' ? null : (row.account as AccountId),
      tenantId: row.tenant_id,
      sweptUntil: new Date(row.swept_until),
      failures: row.failures,
      token,
    };
  }

  /** @returns whether it is still ours */
  async renew({ token }: Visit): Promise<boolean> {
    const held = await this.update(token, `lease_until = now() + interval '${leaseSeconds} seconds'`, []);
    return held > 0;
  }

  /** Ends a visit that went well. Nothing happens when somebody else has taken it over. */
  async done(visit: Visit, { againMs, sweptUntil = visit.sweptUntil, found = 0 }: Done): Promise<void> {
    await this.update(
      visit.token,
      `${this.round} = ${later(againMs)}, swept_until = greatest(swept_until, ?::timestamptz), found = found + ?, failures = 0, last_error = null, ${free}`,
      [sweptUntil, found],
    );
  }

  /** Ends a visit that went wrong: it is made again later, the later the more often that happened. */
  async failed(visit: Visit, againMs: number, reason: string): Promise<void> {
    await this.update(
      visit.token,
      `${this.round} = ${later(againMs)}, failures = failures + 1, last_error = ?, ${free}`,
      [reason],
    );
  }

  private get livemode(): boolean {
    return this.database.livemode;
  }

  private async update(token: Uuid, set: string, values: unknown[]): Promise<number> {
    const rows = await this.database.worker((em: EntityManager) =>
      em.execute<unknown[]>(`update stripe_sweeps set ${set} where lease_token = ? returning account`, [
        ...values,
        token,
      ]),
    );
    return rows.length;
  }
}

interface Done {
  /** Milliseconds until the next visit. */
  readonly againMs: number;
  /** By Stripe's stamps: everything up to here is stored. */
  readonly sweptUntil?: Date;
  /** Events that had never come. */
  readonly found?: number;
}

const free = 'lease_until = null, lease_token = null';

/** A tenth of it is chance, so that accounts do not come due all at once. */
function later(ms: number): string {
  return `now() + interval '${Math.round(ms * (0.95 + Math.random() / 10))} milliseconds'`;
}
