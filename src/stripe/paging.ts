import type Stripe from 'stripe';
import { type Connection } from './connection.js';
import { type Metadata } from './types.js';

/** Stripe's largest page. */
const limit = 100;
/** How far our clock may differ from Stripe's when a time of ours bounds a list of theirs. */
const clockMarginSeconds = 3_600;

type Page = { limit: number; starting_after?: string; created?: { gte: number } };
type List<T> = { data: T[]; has_more: boolean };

/** Every object of a v1 list, newest first, page by page. Lists, unlike Stripe's search, always show what was just made. */
export async function* pagesOf<T extends { id: string }>(
  via: Connection,
  since: Date | null,
  fetch: (page: Page, options: Stripe.RequestOptions) => Promise<List<T>>,
): AsyncGenerator<T> {
  const created = since && { created: { gte: Math.floor(since.getTime() / 1_000) - clockMarginSeconds } };
  let page: Page = { limit, ...created };
  for (;;) {
    const request = page;
    const list = await via.read({ object: 'list' }, (options) => fetch(request, options));
    yield* list.data;
    const last = list.data.at(-1);
    if (!list.has_more || !last) return;
    page = { ...page, starting_after: last.id };
  }
}

/** Every object of a v2 list. Its pages are found by the URL in the one before. */
export async function* v2PagesOf<T>(
  via: Connection,
  fetch: (options: Stripe.RequestOptions) => Promise<Stripe.V2List<T>>,
): AsyncGenerator<T> {
  let list = await via.read({ object: 'list' }, fetch);
  for (;;) {
    yield* list.data;
    const next = list.next_page_url;
    if (!next) return;
    list = await via.read(
      { object: 'list' },
      (options) => via.sdk.rawRequest('GET', next, undefined, options) as Promise<Stripe.V2List<T>>,
    );
  }
}

/** The first that fits, or null when the whole list was read and none does. */
export async function findInPages<T>(objects: AsyncIterable<T>, fits: (object: T) => boolean): Promise<T | null> {
  for await (const object of objects) if (fits(object)) return object;
  return null;
}

/** Whether an object carries all of this metadata. */
export function matches(got: Metadata | null | undefined, wanted: Metadata): boolean {
  const pairs = Object.entries(wanted);
  // Nothing to look for would find the first object there is.
  if (pairs.length === 0) throw new Error('A lookup needs at least one pair of metadata.');
  return pairs.every(([name, value]) => got?.[name] === value);
}
