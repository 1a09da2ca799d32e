import { type EntityManager } from '@mikro-orm/postgresql';
import { type Database } from '../../db/database.js';
import { AppError } from '../../shared/errors.js';
import { Polling } from '../../shared/repeat.js';
import { type Uuid } from '../../shared/uuid.js';
import { type StripeService } from '../../stripe/stripe.service.js';
import { commandDefaults, Commands, type CommandSettings, leasedCommand } from './commands.js';
import { type AnyCommandKind } from './kind.js';

export interface RecoverySettings extends CommandSettings {
  /** Pause between two looks when there was nothing to do: 1,000 ms. */
  readonly idleMs: number;
  /** How many commands one look takes, and are worked on side by side: 4. Stripe allows 25 requests a second in test mode. */
  readonly batch: number;
}

interface Claim {
  readonly tenantId: Uuid;
  readonly id: Uuid;
  readonly kind: string;
  readonly leaseToken: Uuid;
}

/**
 * Finishes the commands of all tenants whose process died, or which Stripe did not answer clearly. Any number of processes may run it:
 * a command is leased to one of them, and who loses its lease can write nothing any more.
 */
export class CommandRecovery {
  private readonly settings: RecoverySettings;
  private readonly kinds: ReadonlyMap<string, AnyCommandKind>;
  private readonly polling: Polling;

  constructor(
    private readonly database: Database,
    private readonly stripe: StripeService,
    kinds: readonly AnyCommandKind[],
    settings: Partial<RecoverySettings> = {},
  ) {
    this.settings = { ...commandDefaults, idleMs: 1_000, batch: 4, ...settings };
    this.kinds = new Map(kinds.map((kind) => [kind.name, kind]));
    if (this.kinds.size !== kinds.length) throw new Error('Two kinds of command have one name.');
    const { idleMs, logger } = this.settings;
    const failure = 'Cannot look for abandoned commands';
    this.polling = new Polling({ work: () => this.recoverOnce(), idleMs, failure, logger });
  }

  /** Looks for abandoned commands until {@link stop}. */
  start(): void {
    this.polling.start();
  }

  /** Takes nothing new, and waits for what is under way. */
  stop(): Promise<void> {
    return this.polling.stop();
  }

  /** Takes up to one batch of abandoned commands and finishes them. @returns how many were taken */
  async recoverOnce(): Promise<number> {
    const claims = await this.database.worker((em) => this.claim(em));
    await Promise.all(claims.map((claim) => this.recover(claim)));
    return claims.length;
  }

  /** Only kinds this version knows: during a roll-out an older one must leave the new ones alone. */
  private claim(em: EntityManager): Promise<Claim[]> {
    const { batch, leaseMs } = this.settings;
    return em.execute<Claim[]>(
      `update commands c set lease_token = uuidv7(), lease_until = now() + ? * interval '1 millisecond', attempts = attempts + 1
       from (
         select tenant_id, id from commands
         where state in ('PENDING', 'UNKNOWN') and next_attempt_at <= now() and livemode = ? and kind in (?)
           and (lease_until is null or lease_until < now())
         order by next_attempt_at limit ${Math.trunc(batch)} for update skip locked
       ) abandoned
       where c.tenant_id = abandoned.tenant_id and c.id = abandoned.id
       returning c.tenant_id as "tenantId", c.id, c.kind, c.lease_token as "leaseToken"`,
      [leaseMs, this.database.livemode, [...this.kinds.keys()]],
    );
  }

  private async recover({ tenantId, id, kind, leaseToken }: Claim): Promise<void> {
    const { logger } = this.settings;
    const about = { tenantId, commandId: id, kind };
    try {
      const db = this.database.tenant(tenantId);
      const command = await leasedCommand(db, id, leaseToken);
      if (!command) return;
      await new Commands(db, this.stripe, this.settings).resume(this.kinds.get(kind)!, command);
      logger?.info(about, 'An abandoned command is finished');
    } catch (error) {
      // Refused by Stripe is an end, too. What stays open has said so itself.
      if (error instanceof AppError)
        logger?.info({ ...about, code: error.code }, 'An abandoned command was looked into');
      else logger?.error({ ...about, err: error }, 'An abandoned command cannot be looked into');
    }
  }
}
