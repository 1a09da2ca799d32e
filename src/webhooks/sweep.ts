import { type Database } from '../db/database.js';
import { AccountRounds, type Visit } from '../jobs/account-rounds.js';
import { type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';
import { eventsMissed, sweepsFailed } from '../shared/metrics.js';
import { Pace } from '../shared/pace.js';
import { Ticking } from '../shared/repeat.js';
import { isOutage } from '../stripe/stripe-errors.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { type EventId } from '../stripe/types.js';
import { type VerifiedWebhook } from '../stripe/webhook-signature.js';
import { deliveryOf } from './delivery.js';
import { type HandlerIndex } from './handler-index.js';
import { type Inbox } from './inbox.js';
import { reasonOf } from './retry.js';

export interface SweepSettings {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly handlers: HandlerIndex;
  readonly inbox: Inbox;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Milliseconds between two sweeps of one account: 15 minutes. */
  readonly everyMs?: number;
  /** What happened less than so many milliseconds ago may still be on its way, and is left for the next time: 2 minutes. */
  readonly graceMs?: number;
  /** Pages of Stripe's lists read a second, by this process: 4. */
  readonly pagesPerSecond?: number;
}

/** What Stripe says has happened, as it would have been delivered. */
type Listed =
  | Omit<Extract<VerifiedWebhook, { kind: 'SNAPSHOT' }>, 'text'>
  | Omit<Extract<VerifiedWebhook, { kind: 'THIN' }>, 'text'>;

/** How many Stripe shows at once. */
const pageSizes = { SNAPSHOT: 100, THIN: 20 } as const;
const longestPauseMs = 6 * 3_600_000;

/**
 * Looks for events that never came: reads each account's events at Stripe since the last time, and stores those that are not here. They then go
 * the way of all events. Stripe lists 30 days. Thin events tell of the accounts, which are the platform's, and are listed with the platform's own.
 */
export class Sweep {
  private readonly rounds: AccountRounds;
  private readonly pace: Pace;
  private readonly everyMs: number;
  private readonly graceMs: number;
  private readonly ticking: Ticking;
  private stopping = false;

  constructor(private readonly settings: SweepSettings) {
    this.rounds = new AccountRounds(settings.database, 'due_at');
    this.pace = new Pace(settings.pagesPerSecond ?? 4);
    this.everyMs = settings.everyMs ?? 15 * 60_000;
    this.graceMs = settings.graceMs ?? 120_000;
    const everyMs = Math.min(15_000, this.everyMs);
    const { logger } = settings;
    this.ticking = new Ticking({ work: () => this.due(), everyMs, failure: 'The sweep could not run', logger });
  }

  start(): void {
    this.ticking.start();
  }

  async stop(): Promise<void> {
    this.stopping = true;
    await this.ticking.stop();
  }

  /** Sweeps every account that is due, as long as Stripe is there. @returns how many events were found that had never come */
  async due(): Promise<number> {
    await this.rounds.enlist();
    let found = 0;
    for (let visit = await this.next(); visit; visit = await this.next()) found += await this.visit(visit);
    return found;
  }

  private async next(): Promise<Visit | null> {
    // What is sure to fail is not begun.
    return this.stopping || !this.settings.stripe.isAvailable ? null : this.rounds.next();
  }

  private async visit(visit: Visit): Promise<number> {
    const { clock, logger } = this.settings;
    const { accountId: account, tenantId } = visit;
    const until = new Date(clock.now().getTime() - this.graceMs);
    try {
      const found = await this.compare(visit, until);
      await this.rounds.done(visit, { againMs: this.everyMs, sweptUntil: until, found });
      if (found > 0) logger.warn({ account, tenantId, events: found }, 'Events that never came were found at Stripe');
      return found;
    } catch (error) {
      sweepsFailed.inc();
      logger.warn({ err: error, account, tenantId, failures: visit.failures + 1 }, 'An account could not be swept');
      const longest = isOutage(error) ? 60_000 : longestPauseMs;
      const pause = Math.min(60_000 * 2 ** Math.min(visit.failures, 10), longest);
      await this.rounds.failed(visit, pause, reasonOf(error));
      return 0;
    }
  }

  private async compare(visit: Visit, until: Date): Promise<number> {
    const now = this.settings.clock.now();
    let found = 0;
    let page: Listed[] = [];
    const check = async () => {
      found += await this.storeMissing(page);
      page = [];
      if (!(await this.rounds.renew(visit))) throw new Error('Another process has taken the sweep over.');
      await this.pace.take();
    };
    for await (const listed of this.list(visit)) {
      const at = timeOf(listed);
      if (at > until.getTime() && at <= now.getTime()) continue;
      page.push(listed);
      if (page.length >= pageSizes[listed.kind]) await check();
      if (this.stopping) throw new Error('The process is stopping.');
    }
    if (page.length > 0) await check();
    return found;
  }

  private async *list({ accountId, sweptUntil: since }: Visit): AsyncGenerator<Listed> {
    const { stripe, handlers } = this.settings;
    await this.pace.take();
    const source = accountId ? stripe.forAccount(accountId) : stripe;
    for await (const event of source.listEvents({ since })) {
      // An account's own list does not say whose it is; what is delivered does.
      yield { kind: 'SNAPSHOT', event: accountId ? { ...event, account: accountId } : event };
    }
    const types = handlers.types.filter(isThin);
    if (accountId || types.length === 0) return;
    await this.pace.take();
    for await (const notification of stripe.listThinEvents({ since, types })) yield { kind: 'THIN', notification };
  }

  private async storeMissing(page: readonly Listed[]): Promise<number> {
    const { database, handlers, inbox } = this.settings;
    const known = await this.known(page.map(idOf));
    const missing = page.filter((listed) => !known.has(idOf(listed)));
    await Promise.all(
      missing.map(async (listed) => {
        const text = JSON.stringify(listed.kind === 'SNAPSHOT' ? listed.event : listed.notification);
        const delivery = deliveryOf({ ...listed, text }, handlers, database.livemode);
        if (delivery) await inbox.store(delivery);
      }),
    );
    eventsMissed.inc(missing.length);
    return missing.length;
  }

  private async known(ids: readonly EventId[]): Promise<Set<string>> {
    const rows = await this.settings.database.worker((em) =>
      em.execute<{ stripe_event_id: string }[]>(
        'select stripe_event_id from stripe_webhook_events where stripe_event_id = any(?)',
        [`{${ids.join(',')}}`],
      ),
    );
    return new Set(rows.map((row) => row.stripe_event_id));
  }
}

const idOf = (listed: Listed): EventId =>
  (listed.kind === 'SNAPSHOT' ? listed.event.id : listed.notification.id) as EventId;

const timeOf = (listed: Listed): number =>
  listed.kind === 'SNAPSHOT' ? listed.event.created * 1_000 : Date.parse(listed.notification.created);

/** Only thin events tell of objects of Stripe's newer kind. */
const isThin = (type: string): boolean => type.startsWith('v2.');
