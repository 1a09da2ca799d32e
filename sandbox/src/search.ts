import { invalid } from './errors.js';
import { p } from './params.js';

export const searchParams = { query: p.string().required(), limit: p.int(), page: p.string() };

export interface SearchResult<T> {
  object: 'search_result';
  url: string;
  has_more: boolean;
  data: T[];
  next_page: string | null;
}

interface Clause {
  field: string;
  operator: ':' | '~' | '>' | '<' | '>=' | '<=';
  value: string | null;
  negated: boolean;
}

/**
 * Stripe's search language: `metadata['order']:'7' AND -status:'canceled'`, `created>1700000000`, `name~'acme'`; AND or OR, not both.
 * Real Stripe indexes up to a minute late; here a search sees everything at once. {@link https://docs.stripe.com/search#search-query-language}
 */
export function search<T extends object>(
  rows: Iterable<T>,
  url: string,
  params: { query: string; limit?: number; page?: string },
): SearchResult<T> {
  const { clauses, any } = parse(params.query);
  const { limit = 10 } = params;
  if (limit < 1 || limit > 100) throw invalid('limit must be between 1 and 100', 'limit', 'parameter_invalid_integer');
  const from = params.page === undefined ? 0 : Number(Buffer.from(params.page, 'base64url').toString('utf8'));
  if (!Number.isSafeInteger(from)) throw invalid('Invalid page', 'page');
  const found: T[] = [];
  let seen = 0;
  for (const row of rows) {
    const hits = (clause: Clause): boolean => matches(row, clause) !== clause.negated;
    if (any ? !clauses.some(hits) : !clauses.every(hits)) continue;
    if (seen++ < from) continue;
    if (found.length === limit) {
      return {
        object: 'search_result',
        url,
        has_more: true,
        data: found,
        next_page: Buffer.from(String(from + limit)).toString('base64url'),
      };
    }
    found.push(row);
  }
  return { object: 'search_result', url, has_more: false, data: found, next_page: null };
}

const clausePattern =
  /\s*(-)?([\w.]+)(?:\[(['"])((?:\\.|(?!\3).)*)\3\])?\s*(:|~|>=|<=|>|<)\s*(?:(['"])((?:\\.|(?!\6).)*)\6|(null|[\w.-]+))\s*/y;

function parse(query: string): { clauses: Clause[]; any: boolean } {
  const clauses: Clause[] = [];
  const joins = new Set<string>();
  let at = 0;
  while (at < query.length) {
    clausePattern.lastIndex = at;
    const match = clausePattern.exec(query);
    if (!match) throw invalid(`We were unable to parse your search query. Near: ${query.slice(at, at + 20)}`, 'query');
    const [text, minus, name, , key, operator, , quoted, bare] = match;
    clauses.push({
      field: key === undefined ? name! : `${name}.${unescapeQuotes(key)}`,
      operator: operator as Clause['operator'],
      value: quoted !== undefined ? unescapeQuotes(quoted) : bare === 'null' ? null : bare!,
      negated: minus === '-',
    });
    at += text.length;
    const join = /(AND|OR)\b/iy;
    join.lastIndex = at;
    const joined = join.exec(query);
    if (joined) {
      joins.add(joined[1]!.toUpperCase());
      at += joined[0].length;
    } else if (at < query.length) joins.add('AND');
  }
  if (joins.size > 1) throw invalid('You cannot combine AND and OR in one search query.', 'query');
  return { clauses, any: joins.has('OR') };
}

function unescapeQuotes(text: string): string {
  return text.replace(/\\(.)/g, '$1');
}

function matches(row: object, { field, operator, value }: Clause): boolean {
  const [head, ...rest] = field.split('.');
  let found: unknown = (row as Record<string, unknown>)[head!];
  // A metadata key may itself contain a point.
  if (head === 'metadata') found = (found as Record<string, unknown> | undefined)?.[rest.join('.')];
  else for (const part of rest) found = (found as Record<string, unknown> | null | undefined)?.[part];
  if (value === null) return found !== undefined && found !== null;
  if (found === undefined || found === null) return false;
  const text = (typeof found === 'string' ? found : JSON.stringify(found)).toLowerCase();
  switch (operator) {
    case ':':
      return text === value.toLowerCase();
    case '~':
      return text.includes(value.toLowerCase());
    case '>':
      return Number(found) > Number(value);
    case '<':
      return Number(found) < Number(value);
    case '>=':
      return Number(found) >= Number(value);
    case '<=':
      return Number(found) <= Number(value);
  }
}
