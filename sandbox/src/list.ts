import { invalid, missing } from './errors.js';
import { type Table } from './store.js';

/** A page of a v1 list. {@link https://docs.stripe.com/api/pagination} */
export interface List<T> {
  object: 'list';
  url: string;
  has_more: boolean;
  data: T[];
}

export interface PageParams {
  limit?: number;
  starting_after?: string;
  ending_before?: string;
}

/**
 * One page, newest first. `starting_after` and `ending_before` are exclusive; giving both is an error, and so is an id that is not there.
 * @param rows every row of the list, newest first (a table, or an iterable that is already filtered)
 */
export function listPage<T extends { id: string }>(
  rows: Table<T> | Iterable<T>,
  url: string,
  params: PageParams,
  filter: (row: T) => boolean = () => true,
): List<T> {
  const { limit = 10, starting_after: after, ending_before: before } = params;
  if (after !== undefined && before !== undefined) {
    throw invalid(
      'Received both starting_after and ending_before parameters. Please pass in only one.',
      'ending_before',
    );
  }
  const source: Iterable<T> = 'newestFirst' in rows ? rows.newestFirst() : rows;
  const cursor = after ?? before;
  if (cursor !== undefined && 'newestFirst' in rows && !rows.get(cursor)) {
    throw missing(rows.object, cursor, after === undefined ? 'ending_before' : 'starting_after');
  }
  if (before !== undefined) return pageBefore(source, url, before, limit, filter);
  const data: T[] = [];
  let begun = after === undefined;
  for (const row of source) {
    if (!begun) begun = row.id === after;
    else if (filter(row)) {
      if (data.length === limit) return { object: 'list', url, has_more: true, data };
      data.push(row);
    }
  }
  return { object: 'list', url, has_more: false, data };
}

function pageBefore<T extends { id: string }>(
  source: Iterable<T>,
  url: string,
  before: string,
  limit: number,
  filter: (row: T) => boolean,
): List<T> {
  const newer: T[] = [];
  for (const row of source) {
    if (row.id === before) break;
    if (filter(row)) newer.push(row);
  }
  return { object: 'list', url, has_more: newer.length > limit, data: newer.slice(-limit) };
}

/** A list that is part of an object, such as `charge.refunds`. */
export function embeddedList<T>(data: T[], url: string, limit = 10): List<T> {
  return { object: 'list', data: data.slice(0, limit), has_more: data.length > limit, url };
}
