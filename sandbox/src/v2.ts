import { invalid } from './errors.js';
import { p } from './params.js';

/** Parameters every v2 list takes. {@link https://docs.stripe.com/api-v2-overview#list-pagination} */
export const pageParams = { limit: p.int(), page: p.string() };

export interface V2Page {
  data: unknown[];
  next_page_url: string | null;
  previous_page_url: string | null;
}

/** One page of a v2 list; the token is the id that the page begins after. */
export function v2Page<T extends { id: string }>(
  rows: T[],
  url: string,
  { limit = 20, page }: { limit?: number; page?: string },
  render: (row: T) => unknown = (row) => row,
  /** What the list was narrowed down by, as the links to its other pages repeat it. */
  filters: Record<string, string | string[] | undefined> = {},
): V2Page {
  if (limit < 1 || limit > 100) throw invalid('limit must be between 1 and 100', 'limit');
  const token = page === undefined ? null : Buffer.from(page, 'base64url').toString('utf8');
  const from = token === null ? 0 : rows.findIndex((row) => row.id === token) + 1;
  if (token !== null && from === 0) throw invalid('Invalid page token', 'page');
  const data = rows.slice(from, from + limit);
  const query = new URLSearchParams({ limit: String(limit) });
  for (const [name, value] of Object.entries(filters)) {
    if (Array.isArray(value)) value.forEach((one, i) => query.append(`${name}[${i}]`, one));
    else if (value !== undefined) query.append(name, value);
  }
  const first = `${url}?${query.toString()}`;
  const link = (id: string): string => `${first}&page=${Buffer.from(id).toString('base64url')}`;
  const before = from - limit - 1;
  return {
    data: data.map(render),
    next_page_url: from + limit < rows.length ? link(data.at(-1)!.id) : null,
    previous_page_url: from === 0 ? null : before < 0 ? first : link(rows[before]!.id),
  };
}
