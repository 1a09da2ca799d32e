import { type IncomingHttpHeaders } from 'node:http';
import { type Context } from './context.js';
import { authenticate, type Caller } from './auth.js';
import { cardError, invalid, StripeError } from './errors.js';
import { type Fault } from './faults.js';
import { decodeForm } from './form.js';
import { decodeMultipart } from './multipart.js';
import { randomText } from './ids.js';
import { parseParams } from './params.js';
import { RawAnswer, type Route } from './router.js';
import { type Sandbox } from './sandbox.js';

/** A request, read but not yet understood. */
export interface Incoming {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  /** Text; one character per byte when it is `multipart/form-data`. */
  body: string;
}

/** An answer, and whether the connection is to fail on the way. */
export interface Outgoing {
  status: number;
  headers: Record<string, string>;
  body: string | Buffer;
  cut?: 'reset' | 'truncate';
}

interface Call {
  id: string;
  method: string;
  path: string;
  raw: Record<string, unknown>;
  caller: Caller;
  key: string | null;
}

const cors = {
  'Access-Control-Allow-Origin': '*',
  'Access-Control-Allow-Methods': 'GET, HEAD, PUT, PATCH, POST, DELETE',
  'Access-Control-Expose-Headers':
    'Request-Id, Stripe-Manage-Version, Stripe-Should-Retry, X-Stripe-External-Auth-Required, X-Stripe-Privileged-Session-Required',
  'Access-Control-Max-Age': '300',
};

/** From request to answer: authentication, fault dials, idempotency, parameters, handler, expansion, in the order Stripe has them. */
export async function answer(sandbox: Sandbox, incoming: Incoming): Promise<Outgoing> {
  const at = incoming.url.indexOf('?');
  const path = at < 0 ? incoming.url : incoming.url.slice(0, at);
  if (incoming.method === 'OPTIONS') {
    return {
      status: 200,
      headers: {
        ...cors,
        'Access-Control-Allow-Headers': String(incoming.headers['access-control-request-headers'] ?? '*'),
      },
      body: '',
    };
  }
  const id = `req_${randomText(14)}`;
  const headers: Record<string, string> = { 'Request-Id': id };
  const log = {
    id,
    at: Date.now(),
    method: incoming.method,
    path,
    account: '',
    status: 0,
    idempotency_key: null as string | null,
    error: null as string | null,
  };
  try {
    const result = await dispatch(sandbox, incoming, path, at < 0 ? '' : incoming.url.slice(at + 1), id, headers, log);
    log.status = result.status;
    return result;
  } catch (error) {
    const known =
      error instanceof StripeError ? error : new StripeError(500, 'An unknown error occurred', { type: 'api_error' });
    if (!(error instanceof StripeError))
      sandbox.options.log(
        `${incoming.method} ${path}: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    log.status = known.status;
    log.error = known.message;
    if (known.status === 401) headers['WWW-Authenticate'] = 'Bearer realm="Stripe"';
    return {
      status: known.status,
      headers: { ...headers, ...jsonHeaders },
      body: JSON.stringify(known.toJSON(id), null, 2),
    };
  } finally {
    if (!path.startsWith('/_control') && path !== '/') sandbox.logRequest(log);
  }
}

const jsonHeaders = { 'Content-Type': 'application/json', 'Cache-Control': 'no-cache, no-store', ...cors };

async function dispatch(
  sandbox: Sandbox,
  incoming: Incoming,
  path: string,
  query: string,
  id: string,
  headers: Record<string, string>,
  log: { account: string; idempotency_key: string | null },
): Promise<Outgoing> {
  const { method } = incoming;
  const match = sandbox.router.match(method === 'HEAD' ? 'GET' : method, path);
  const isPublic = match !== null && match !== 'method' && match.route.access === 'public';
  const raw = readParams(incoming, path, query);
  const caller = isPublic ? publicCaller(sandbox) : authenticate(sandbox, incoming.headers, raw);
  log.account = caller.account;
  if (!isPublic) {
    headers['Stripe-Version'] = caller.version;
    if (caller.account !== sandbox.platform) headers['Stripe-Account'] = caller.account;
  }
  const key =
    method === 'POST' && !isPublic ? ((incoming.headers['idempotency-key'] as string | undefined) ?? null) : null;
  log.idempotency_key = key;
  if (key !== null) headers['Idempotency-Key'] = key;
  if (match === null || match === 'method') throw unrecognized(method, path);
  if (caller.key === 'publishable' && match.route.access === 'secret') {
    throw new StripeError(
      401,
      'This API call cannot be made with a publishable API key. Please use a secret API key. You can find a list of your API keys at https://dashboard.stripe.com/account/apikeys.',
      { code: 'secret_key_required' },
    );
  }
  const call: Call = { id, method, path, raw, caller, key };
  const fault = isPublic
    ? null
    : sandbox.faults.strike({
        method,
        path,
        account: caller.account,
        header: incoming.headers['stripe-sandbox-fault'] as string | undefined,
        key,
      });
  const early = fault && before(fault, headers);
  if (early) return early;
  const result = await run(sandbox, call, match.route, match.ids, headers, fault);
  if (fault?.kind === 'delay_after') await pause(fault.ms);
  return result;
}

/** Faults that strike before the idempotency layer, where neither effect nor memory is left. */
function before(fault: Fault, headers: Record<string, string>): Outgoing | null {
  switch (fault.kind) {
    case '429':
    case '429_retry':
    case '429_no_retry': {
      if (fault.kind !== '429') headers['Stripe-Should-Retry'] = String(fault.kind === '429_retry');
      headers['Stripe-Rate-Limited-Reason'] = 'global-rate';
      throw new StripeError(
        429,
        'Request rate limit exceeded. You can learn more about rate limits here https://stripe.com/docs/rate-limits.',
        { code: 'rate_limit' },
      );
    }
    case 'lock_timeout':
      throw new StripeError(
        429,
        'This object cannot be accessed right now because another API request or Stripe process is currently accessing it. If you see this error intermittently, retry the request.',
        { code: 'lock_timeout' },
      );
    case '409':
      throw new StripeError(
        409,
        'There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through). Please try again later.',
        { type: 'idempotency_error', code: 'idempotency_key_in_use' },
      );
    case '502_html':
      return gateway(502, 'Bad Gateway');
    case '503':
      return gateway(503, 'Service Temporarily Unavailable');
    case 'reset_before':
      return { status: 0, headers: {}, body: '', cut: 'reset' };
    default:
      return null;
  }
}

/** The part that Stripe runs once per idempotency key. The handler itself is synchronous: no other request sees a half-done effect. */
async function run(
  sandbox: Sandbox,
  call: Call,
  route: Route,
  ids: Record<string, string>,
  headers: Record<string, string>,
  fault: Fault | null,
): Promise<Outgoing> {
  const { caller, key } = call;
  if (key !== null) {
    const stored = sandbox.idempotency.begin(
      caller.account,
      key,
      `${call.method} ${call.path} ${canonical(call.raw)}`,
      sandbox.clock.now(),
    );
    if (stored) {
      return {
        status: stored.status,
        headers: { ...headers, ...jsonHeaders, 'Idempotent-Replayed': 'true', 'Original-Request': stored.request },
        body: stored.body,
        ...cutOf(fault),
      };
    }
    headers['Original-Request'] = call.id;
  }
  let status = 200;
  let body: string;
  let keep = true;
  try {
    // The key is taken meanwhile: a second request under it gets its 409.
    if (fault?.kind === 'delay') await pause(fault.ms);
    const ctx = sandbox.context(
      caller.account,
      caller.version,
      { id: route.access === 'public' ? null : call.id, idempotencyKey: key },
      caller.key,
    );
    if (fault?.kind === '500_before') throw internal();
    if (fault?.kind === '402')
      throw cardError('Your card was declined.', { code: 'card_declined', decline_code: 'generic_decline' });
    const result = execute(ctx, call, route, ids);
    if (result instanceof RawAnswer)
      return { status: result.status, headers: { ...headers, ...result.headers }, body: result.body };
    body = result;
    if (fault?.kind === '500_after') throw internal();
  } catch (error) {
    if (error instanceof StripeError) keep = !error.isValidation;
    else keep = false;
    if (!keep || !(error instanceof StripeError)) {
      if (key !== null) sandbox.idempotency.release(caller.account, key);
      throw error;
    }
    status = error.status;
    body = JSON.stringify(error.toJSON(call.id), null, 2);
  } finally {
    if (call.method !== 'GET') sandbox.onChange();
  }
  if (key !== null) sandbox.idempotency.finish(caller.account, key, { status, body, request: call.id });
  return { status, headers: { ...headers, ...jsonHeaders }, body, ...cutOf(fault) };
}

function execute(ctx: Context, call: Call, route: Route, ids: Record<string, string>): string | RawAnswer {
  const { expand, ...rest } = call.raw;
  const paths = expand === undefined ? [] : expandPaths(expand);
  const params = parseParams(route.params, rest);
  const result = route.handler(ctx, params as never, ids);
  if (result instanceof RawAnswer) return result;
  return JSON.stringify(ctx.sandbox.expander.expand(ctx, result, paths), null, 2);
}

function expandPaths(expand: unknown): string[] {
  const paths = typeof expand === 'string' ? [expand] : expand;
  if (!Array.isArray(paths) || !paths.every((path) => typeof path === 'string'))
    throw invalid('Invalid array', 'expand');
  return paths;
}

/** What a proxy in front of Stripe says: HTML, and no request id. */
function gateway(status: number, reason: string): Outgoing {
  const body = `<html>\r\n<head><title>${status} ${reason}</title></head>\r\n<body>\r\n<center><h1>${status} ${reason}</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n`;
  return { status, headers: { 'Content-Type': 'text/html' }, body };
}

function internal(): StripeError {
  return new StripeError(
    500,
    'Sorry! There was an error while talking to one of our backends. Support has been notified.',
    { type: 'api_error' },
  );
}

function cutOf(fault: Fault | null): Pick<Outgoing, 'cut'> {
  if (fault?.kind === 'reset_after') return { cut: 'reset' };
  if (fault?.kind === 'truncate') return { cut: 'truncate' };
  return {};
}

function publicCaller(sandbox: Sandbox): Caller {
  return { account: sandbox.platform, version: sandbox.version, key: 'none' };
}

/** v1 takes forms, v2 JSON; the query counts for every method. */
export function readParams(incoming: Incoming, path: string, query: string): Record<string, unknown> {
  const fromQuery = decodeForm(query);
  if (incoming.body === '') return fromQuery;
  const type = String(incoming.headers['content-type'] ?? '');
  const wantsJson = path.startsWith('/v2/') || path.startsWith('/_control');
  if (type.includes('json')) {
    if (!wantsJson)
      throw invalid(
        'Invalid request (check that your POST content type is application/x-www-form-urlencoded). If you have any questions, we can help at https://support.stripe.com/.',
      );
    return { ...fromQuery, ...parseJson(incoming.body) };
  }
  if (type.startsWith('multipart/form-data')) return { ...fromQuery, ...decodeMultipart(incoming.body, type) };
  if (path.startsWith('/v2/'))
    throw invalid('Requests to /v2 endpoints take a JSON body (content type application/json).');
  return { ...fromQuery, ...decodeForm(incoming.body) };
}

function parseJson(body: string): Record<string, unknown> {
  try {
    const value = JSON.parse(body) as unknown;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // said below
  }
  throw invalid('Invalid request body: it is not a JSON object.');
}

function unrecognized(method: string, path: string): StripeError {
  return new StripeError(
    404,
    `Unrecognized request URL (${method}: ${path}). Please see https://stripe.com/docs or we can help at https://support.stripe.com/.`,
  );
}

/** The same text for the same parameters, in whatever order they were sent. */
function canonical(value: unknown): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value) ?? 'null';
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`;
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonical(item)}`).join(',')}}`;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
