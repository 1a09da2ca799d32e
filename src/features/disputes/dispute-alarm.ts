import { type Database } from '../../db/database.js';
import { type Logger } from '../../shared/logger.js';
import { disputesToAnswer, nextDisputeDeadline } from '../../shared/metrics.js';
import { Ticking } from '../../shared/repeat.js';
import { awaitingAnswer } from './dispute.entity.js';
import { soon } from './dispute.reads.js';

/** How many disputes of all tenants wait for an answer. */
export interface Waiting {
  readonly overdue: number;
  readonly soon: number;
  readonly later: number;
  /** Seconds to the next deadline that has not gone by; 0 when there is none. */
  readonly nextSeconds: number;
}

export interface DisputeAlarmSettings {
  readonly database: Database;
  readonly logger: Logger;
  /** Milliseconds between two looks: a minute. */
  readonly everyMs?: number;
}

/** Shows on the metrics how near the deadlines are. Harmless to run in several processes. */
export class DisputeAlarm {
  private readonly ticking: Ticking;

  constructor(private readonly settings: DisputeAlarmSettings) {
    const { everyMs = 60_000, logger } = settings;
    this.ticking = new Ticking({
      work: () => this.measure(),
      everyMs,
      failure: 'The deadlines of disputes cannot be looked at',
      logger,
    });
  }

  start(): void {
    this.ticking.start();
  }

  stop(): Promise<void> {
    return this.ticking.stop();
  }

  /** Counts, and sets the gauges. */
  async measure(): Promise<Waiting> {
    const { database } = this.settings;
    const [row] = await database.worker((em) =>
      em.execute<Record<keyof Waiting, string | null>[]>(
        `select count(*) filter (where evidence_due_by < now()) as overdue,
           count(*) filter (where evidence_due_by >= now() and evidence_due_by < now() + interval '${soon}') as soon,
           count(*) filter (where evidence_due_by >= now() + interval '${soon}') as later,
           extract(epoch from min(evidence_due_by) filter (where evidence_due_by >= now()) - now()) as "nextSeconds"
         from disputes where livemode = ? and status in (?)`,
        [database.livemode, [...awaitingAnswer]],
      ),
    );
    const waiting = {
      overdue: Number(row!.overdue),
      soon: Number(row!.soon),
      later: Number(row!.later),
      nextSeconds: Number(row!.nextSeconds ?? 0),
    };
    disputesToAnswer.set({ due: 'OVERDUE' }, waiting.overdue);
    disputesToAnswer.set({ due: 'SOON' }, waiting.soon);
    disputesToAnswer.set({ due: 'LATER' }, waiting.later);
    nextDisputeDeadline.set(waiting.nextSeconds);
    return waiting;
  }
}
