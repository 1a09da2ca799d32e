import { Entity, Property } from '@mikro-orm/decorators/legacy';
import { ModeRow } from '../../db/tenant-entity.js';
import { type Uuid } from '../../shared/uuid.js';

/** `UNKNOWN`: Stripe may or may not have done it; recovery looks, and nobody is told a guess. */
export type CommandState = 'PENDING' | 'UNKNOWN' | 'SUCCEEDED' | 'FAILED';

/** Something a client asked to be done at Stripe, written down before it is tried, so that a crash leaves a trace to finish from. */
@Entity({ tableName: 'commands' })
export class Command extends ModeRow {
  /** Which kind of command: `payments.create`. */
  @Property({ type: 'text' })
  kind!: string;

  /** The client's key; null where repeating is harmless. Unique within the tenant, over all kinds. */
  @Property({ type: 'text', nullable: true })
  idempotencyKey: string | null = null;

  @Property({ type: 'blob' })
  paramsHash!: Buffer;

  @Property({ type: 'json' })
  params!: Record<string, unknown>;

  /** Our own row that it is about. */
  @Property({ type: 'text', nullable: true })
  subjectId: string | null = null;

  @Property({ type: 'text', nullable: true })
  stripeAccountId: string | null = null;

  /** Who asked: the token's subject. */
  @Property({ type: 'text' })
  actor!: string;

  @Property({ type: 'text' })
  state: CommandState = 'PENDING';

  /** What is answered again to the same key: ids of ours, or the error that Stripe gave. Never a secret. */
  @Property({ type: 'json', nullable: true })
  outcome: Record<string, unknown> | null = null;

  @Property({ type: 'integer' })
  attempts: number = 0;

  /** When Stripe was first asked. After a day Stripe may have forgotten the key. */
  @Property({ type: 'datetime', nullable: true })
  sentAt: Date | null = null;

  /** How many of its keys Stripe answered with an error of its own, which it would only repeat. */
  @Property({ type: 'integer' })
  keyGeneration: number = 0;

  /** When the last of them was. */
  @Property({ type: 'datetime', nullable: true })
  keySpentAt: Date | null = null;

  /** When Stripe was last asked and gave no answer that says what became of it; null when that never was. */
  @Property({ type: 'datetime', nullable: true })
  unansweredAt: Date | null = null;

  @Property({ type: 'datetime', defaultRaw: 'now()' })
  nextAttemptAt!: Date;

  @Property({ type: 'datetime', nullable: true })
  leaseUntil: Date | null = null;

  /** Fences: who lost its lease can no longer write the outcome. */
  @Property({ type: 'uuid', nullable: true })
  leaseToken: Uuid | null = null;

  @Property({ type: 'datetime', nullable: true })
  finishedAt: Date | null = null;
}
