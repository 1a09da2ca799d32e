import { type EntityManager } from '@mikro-orm/postgresql';
import { AuditEntry } from './audit-entry.entity.js';

/** What is written down about a change. */
export interface Change {
  /** The subject of the verified token. */
  readonly actor: string;
  /** Feature and verb: `payment.create`. */
  readonly action: string;
  readonly subjectType: string;
  readonly subjectId: string | null;
  /** Amounts and ids; nothing secret, nothing personal: this is kept for ever. */
  readonly details?: Record<string, unknown>;
}

/** Writes a change down, in the transaction that makes it: neither is there without the other. */
export function audit(em: EntityManager, { actor, action, subjectType, subjectId, details = {} }: Change): void {
  em.persist(Object.assign(new AuditEntry(), { actor, action, subjectType, subjectId, details }));
}
