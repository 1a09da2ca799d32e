import { type ApolloServerPlugin } from '@apollo/server';
import { unwrapResolverError } from '@apollo/server/errors';
import { isWithoutConnection } from '../db/no-connection.js';

/** What a client is asked to wait before it tries again. */
const retryAfterSeconds = 1;

/**
 * Answers 503 with `Retry-After` when some of it failed for want of a connection to PostgreSQL: clients, and what is between, repeat that by
 * themselves. A query can be repeated as it is, a mutation under the same idempotency key. What could be answered is in the body all the same.
 */
export function askToRetry<Context extends object>(): ApolloServerPlugin<Context> {
  const listener = {
    willSendResponse({ errors, response: { http } }: Sent): Promise<void> {
      if (errors?.some((error) => isWithoutConnection(unwrapResolverError(error)))) {
        http.status = 503;
        http.headers.set('retry-after', String(retryAfterSeconds));
      }
      return Promise.resolve();
    },
  };
  return { requestDidStart: () => Promise.resolve(listener) };
}

interface Sent {
  readonly errors?: readonly unknown[];
  readonly response: { readonly http: { status?: number; readonly headers: Map<string, string> } };
}
