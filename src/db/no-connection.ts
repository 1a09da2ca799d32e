/** pg's own words: a pool whose places are all taken, and a connection that is not made in time. Neither has a code. */
const messages = new Set([
  'timeout exceeded when trying to connect',
  'Connection terminated due to connection timeout',
  'timeout expired',
]);

/**
 * PostgreSQL has as many connections as it may have, or is starting or stopping.
 * https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const codes = new Set<unknown>(['53300', '57P03']);

/** Whether something failed because no connection to PostgreSQL could be had: what was to be done in it was not begun, and can be asked for again. */
export function isWithoutConnection(error: unknown): boolean {
  return error instanceof Error && (messages.has(error.message) || codes.has((error as { code?: unknown }).code));
}
