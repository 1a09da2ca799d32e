import { type Connection } from './connection.js';
import { pagesOf } from './paging.js';
import { type EventId, type StripeEvent, type ThinNotification } from './types.js';

/** The account's snapshot events since then, newest first. Stripe keeps them for 30 days. */
export function listEvents(
  via: Connection,
  { since, types }: { readonly since: Date; readonly types?: readonly string[] },
): AsyncGenerator<StripeEvent> {
  return pagesOf<StripeEvent>(via, since, (page, options) =>
    via.sdk.events.list({ ...page, ...(types && { types: [...types] }) }, options),
  );
}

/** One snapshot event, as it was delivered. @throws AppError NOT_FOUND after 30 days */
export function retrieveEvent(via: Connection, id: EventId): Promise<StripeEvent> {
  return via.read({ object: 'event', prefix: 'evt_', echo: { id } }, (options) =>
    via.sdk.events.retrieve(id, {}, options),
  );
}

/**
 * The object that a thin event is about, as it is now, from the account that the event names. Null when it is about none.
 * @throws Error when the event names an address that is not one of Stripe's API
 */
export async function retrieveRelatedObject<T extends { id: string; object: string }>(
  via: Connection,
  { context, related_object: related }: Pick<ThinNotification, 'context' | 'related_object'>,
): Promise<T | null> {
  if (!related) return null;
  // The address comes from outside, if signed, and our key goes along with the request.
  if (!/^\/v[12]\/[a-z0-9_/]+\/[A-Za-z0-9_]+$/.test(related.url)) throw new Error('A thin event names an odd address.');
  return via.read(
    { echo: { id: related.id } },
    (options) =>
      via.sdk.rawRequest('GET', related.url, undefined, {
        ...options,
        ...(context && { stripeContext: context }),
      }) as Promise<T>,
  );
}
