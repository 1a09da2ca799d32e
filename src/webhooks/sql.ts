import { type Uuid } from '../shared/uuid.js';

// The queue sends several statements as one simple query: one round trip, and one transaction that PostgreSQL ends by itself,
// so that a process that is stopped or killed never leaves it open with its locks. Such a query has no parameters; values become literals here.

/** Channel that wakes the workers. One notification per batch: senders' commits queue up behind one another. */
export const queueChannel = 'stripe_webhook_queue';

/** Channel on which the database announces an account that it did not know before. See migrations/0006. */
export const accountsChannel = 'stripe_accounts';

/** Right whether or not the server takes backslashes literally in plain strings: in this form it never does. */
export function literal(text: string): string {
  return `E'${text.replaceAll('\0', '').replaceAll('\\', '\\\\').replaceAll("'", "''")}'`;
}

export function uuidArray(ids: readonly Uuid[]): string {
  return `'{${ids.join(',')}}'::uuid[]`;
}

export function milliseconds(duration: number): string {
  return `interval '${Math.round(duration)} milliseconds'`;
}
