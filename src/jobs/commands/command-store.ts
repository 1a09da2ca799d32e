import { type EntityManager } from '@mikro-orm/postgresql';
import { type TenantDb } from '../../db/database.js';
import { AppError, errorCodes, type ErrorCode, type ErrorDetails } from '../../shared/errors.js';
import { newUuid, type Uuid } from '../../shared/uuid.js';
import { Command } from './command.entity.js';
import { type Outcome } from './kind.js';

// The statements behind a command's life. Times are PostgreSQL's: processes whose clocks differ must agree on a lease.

/** What is known of a command before it is prepared. */
export interface NewCommand {
  readonly kind: string;
  readonly idempotencyKey: string | null;
  readonly paramsHash: Buffer;
  readonly actor: string;
  readonly leaseToken: Uuid;
  readonly leaseMs: number;
}

/**
 * Writes the command down, leased to its maker. Waits for another transaction that is inserting the same key.
 * @returns null when the key is taken
 */
export async function insertCommand(
  em: EntityManager,
  db: Pick<TenantDb, 'tenantId' | 'livemode'>,
  wanted: NewCommand,
): Promise<Command | null> {
  const { kind, idempotencyKey, paramsHash, actor, leaseToken, leaseMs } = wanted;
  const rows = await em.execute<Record<string, unknown>[]>(
    `insert into commands (tenant_id, id, livemode, kind, idempotency_key, params_hash, params, actor, attempts, sent_at, lease_token, lease_until)
     values (?, ?, ?, ?, ?, ?, '{}', ?, 1, now(), ?, now() + ? * interval '1 millisecond')
     on conflict (tenant_id, livemode, idempotency_key) do nothing returning *`,
    [db.tenantId, newUuid(), db.livemode, kind, idempotencyKey, paramsHash, actor, leaseToken, leaseMs],
  );
  return rows[0] ? em.map(Command, rows[0]) : null;
}

/** Takes over a command that is open and leased to nobody. @returns null when there is none such */
export async function claimCommand(
  em: EntityManager,
  id: Uuid,
  leaseToken: Uuid,
  leaseMs: number,
): Promise<Command | null> {
  const rows = await em.execute<Record<string, unknown>[]>(
    `update commands set lease_token = ?, lease_until = now() + ? * interval '1 millisecond', attempts = attempts + 1
     where id = ? and state in ('PENDING', 'UNKNOWN') and (lease_until is null or lease_until < now()) returning *`,
    [leaseToken, leaseMs, id],
  );
  return rows[0] ? em.map(Command, rows[0]) : null;
}

/** How a command ends. */
export type CommandEnd =
  | { readonly state: 'SUCCEEDED'; readonly outcome: Outcome }
  | { readonly state: 'FAILED'; readonly error: AppError; readonly releaseKey: boolean };

/** Somebody else has taken the command over: what this transaction did must not be kept. */
export class LostLease extends Error {
  override readonly name = 'LostLease';
}

/**
 * Locks a command for the transaction that brings it to its end.
 * @returns whether it is still ours: its lease may have gone to somebody else
 */
export async function holdCommand(em: EntityManager, { id, leaseToken }: Command): Promise<boolean> {
  const held = await em.execute<unknown[]>(
    `select from commands where id = ? and lease_token = ? and state in ('PENDING', 'UNKNOWN') for no key update`,
    [id, leaseToken],
  );
  return held.length === 1;
}

/**
 * Closes a command that is held.
 * @param close its end, and what of the plan is kept. `releaseKey` lets the key be used again, as though the command had never been
 */
export async function closeCommand(
  em: EntityManager,
  { id }: Command,
  close: CommandEnd & { readonly plan: object },
): Promise<void> {
  const outcome = close.state === 'SUCCEEDED' ? close.outcome : { error: storedError(close.error) };
  const releaseKey = close.state === 'FAILED' && close.releaseKey;
  await em.execute(
    `update commands set state = ?, outcome = ?, params = ?, finished_at = now(), lease_token = null, lease_until = null,
       idempotency_key = case when ? then null else idempotency_key end
     where id = ?`,
    [close.state, JSON.stringify(outcome), JSON.stringify(close.plan), releaseKey, id],
  );
}

/** Why a command is left open. */
export interface Postponement {
  readonly delayMs: number;
  /** Whether its key gets no other answer any more. */
  readonly isKeySpent: boolean;
  /** Whether it may still be on its way to Stripe. */
  readonly isUnanswered: boolean;
}

/** Leaves a command open, to be looked into later. */
export async function postponeCommand(
  em: EntityManager,
  { id, leaseToken }: Command,
  { delayMs, isKeySpent, isUnanswered }: Postponement,
): Promise<void> {
  await em.execute(
    `update commands set state = 'UNKNOWN', lease_token = null, lease_until = null,
       next_attempt_at = now() + ? * interval '1 millisecond',
       key_generation = key_generation + case when ? then 1 else 0 end, key_spent_at = case when ? then now() else key_spent_at end,
       unanswered_at = case when ? then now() else unanswered_at end
     where id = ? and lease_token = ? and state in ('PENDING', 'UNKNOWN')`,
    [delayMs, isKeySpent, isKeySpent, isUnanswered, id, leaseToken],
  );
}

interface StoredError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: ErrorDetails;
}

function storedError({ code, message, details }: AppError): StoredError {
  return { code, message, details };
}

/** The error that a failed command was closed with. */
export function errorOf({ outcome }: Command): AppError {
  const { code, message, details } = (outcome as { error: StoredError }).error;
  return new AppError(errorCodes.includes(code) ? code : 'INTERNAL', message, details);
}
