import { type Context } from './context.js';
import { type Params, type Shape } from './params.js';

export type Method = 'GET' | 'POST' | 'DELETE';

/** An answer that is not a JSON object of the API: hosted pages and their redirects. */
export class RawAnswer {
  constructor(
    readonly status: number,
    readonly headers: Record<string, string>,
    readonly body: string | Buffer,
  ) {}
}

/** A hosted page. The browser may load nothing from elsewhere. */
export function html(body: string, status = 200): RawAnswer {
  return new RawAnswer(
    status,
    {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; frame-ancestors 'none'",
    },
    body,
  );
}

/** 303, so that a form post turns into a GET. */
export function redirect(url: string): RawAnswer {
  return new RawAnswer(303, { location: url, 'cache-control': 'no-store' }, '');
}

/**
 * Who may call: `secret` needs a secret key; `publishable` is open to `pk_test_…` too, and the handler then demands the client secret;
 * `public` needs no key (hosted pages, `/_control`).
 */
export type Access = 'secret' | 'publishable' | 'public';

export interface Route {
  method: Method;
  /** e.g. `/v1/payment_intents/:id/confirm`. */
  path: string;
  params: Shape;
  access: Access;
  handler: (ctx: Context, params: never, ids: Record<string, string>) => unknown;
}

/**
 * Declares one endpoint. `expand` is understood everywhere and need not be listed.
 *
 * ```ts
 * route('POST', '/v1/customers/:id', { name: p.string() }, (ctx, params, { id }) => …)
 * ```
 */
export function route<S extends Shape, P extends string>(
  method: Method,
  path: P,
  params: S,
  handler: (ctx: Context, params: Params<S>, ids: Ids<P>) => unknown,
  access: Access = 'secret',
): Route {
  // The router fills `ids` from the very path the names were taken from.
  return { method, path, params, access, handler: handler as unknown as Route['handler'] };
}

/** The names behind the colons of a path. */
export type Ids<P extends string> = P extends `${string}:${infer Name}/${infer Rest}`
  ? Record<Name, string> & Ids<Rest>
  : P extends `${string}:${infer Name}`
    ? Record<Name, string>
    : Record<never, string>;

interface Node {
  literal: Map<string, Node>;
  capture: { name: string; node: Node } | null;
  routes: Map<Method, { route: Route; names: string[] }>;
}

/** Routes by path segment; a literal segment wins over `:id` (`/search` over `/:id`). */
export class Router {
  private readonly root: Node = node();

  add(route: Route): void {
    let at = this.root;
    const names: string[] = [];
    for (const segment of segmentsOf(route.path)) {
      if (segment.startsWith(':')) {
        names.push(segment.slice(1));
        at.capture ??= { name: segment, node: node() };
        at = at.capture.node;
      } else {
        let next = at.literal.get(segment);
        if (!next) at.literal.set(segment, (next = node()));
        at = next;
      }
    }
    if (at.routes.has(route.method)) throw new Error(`Two routes for ${route.method} ${route.path}`);
    at.routes.set(route.method, { route, names });
  }

  /** `'method'` when the path exists under another method. */
  match(method: string, path: string): { route: Route; ids: Record<string, string> } | 'method' | null {
    return this.walk(this.root, segmentsOf(path), 0, [], method);
  }

  private walk(at: Node, segments: string[], i: number, values: string[], method: string): ReturnType<Router['match']> {
    if (i === segments.length) {
      if (at.routes.size === 0) return null;
      const hit = at.routes.get(method as Method);
      if (!hit) return 'method';
      return { route: hit.route, ids: Object.fromEntries(hit.names.map((name, k) => [name, values[k]!])) };
    }
    const segment = segments[i]!;
    const literal = at.literal.get(segment);
    if (literal) {
      const found = this.walk(literal, segments, i + 1, values, method);
      if (found && found !== 'method') return found;
      if (found && !at.capture) return found;
    }
    if (!at.capture || segment === '') return null;
    return this.walk(at.capture.node, segments, i + 1, [...values, decoded(segment)], method);
  }
}

/** A malformed escape names nothing, and so finds nothing. */
function decoded(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}

/** `/` has none; a slash at the end counts for nothing. */
function segmentsOf(path: string): string[] {
  return path.replace(/\/+$/, '').split('/').slice(1);
}

function node(): Node {
  return { literal: new Map(), capture: null, routes: new Map() };
}
