import type Stripe from 'stripe';
import { type Connection } from './connection.js';
import { pagesOf, v2PagesOf } from './paging.js';
import { type EventId, type StripeEvent, type ThinNotification } from './types.js';

type Listed = Stripe.V2.Core.Event;

/** How far our clock may differ from Stripe's when a time of ours bounds a list of theirs. */
const clockMarginMs = 3_600_000;

/** The account's snapshot events since then, newest first. Stripe keeps them for 30 days. */
export function listEvents(
  via: Connection,
  { since, types }: { readonly since: Date; readonly types?: readonly string[] },
): AsyncGenerator<StripeEvent> {
  return pagesOf<StripeEvent>(via, since, (page, options) =>
    via.sdk.events.list({ ...page, ...(types && { types: [...types] }) }, options),
  );
}

/**
 * Thin events that name the platform's own objects, its accounts above all, since then and an hour before. Stripe keeps them for 30 days.
 * @param types 20 at most
 * https://docs.stripe.com/api/v2/core/events/list
 */
export function listThinEvents(
  via: Connection,
  { since, types }: { readonly since: Date; readonly types: readonly string[] },
): AsyncGenerator<ThinNotification> {
  // Stamps of v2 are text, whatever the SDK's type for ranges says.
  const gte = new Date(since.getTime() - clockMarginMs).toISOString() as unknown as number;
  return v2PagesOf<Listed>(via, (options) =>
    via.sdk.v2.core.events.list({ created: { gte }, types: [...types], limit: 20 }, options),
  ) as AsyncGenerator<ThinNotification>;
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
