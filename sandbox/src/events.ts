import { type Context } from './context.js';
import { newId } from './ids.js';
import { type StoredEvent, type StoredThinEvent } from './objects.js';
import { type Deliveries, type Target } from './deliveries.js';

export interface PublishOptions {
  /** The object as it was: `previous_attributes` are taken from the difference. */
  before?: object;
  /** `previous_attributes` when the caller knows better than the difference. */
  previous?: object;
  /** JSON of the object, when the caller has it at hand. */
  json?: string;
  /** Set false for snapshot only; by default v1 events have a thin twin (`v1.…`) for destinations that ask for it. */
  thin?: boolean;
}

interface EndpointSecret {
  secrets: string[];
  connect: boolean;
}

/** How many events an account keeps. Stripe keeps 30 days; a year of simulated billing would otherwise fill the memory. */
const keptPerAccount = 20_000;

/**
 * Makes events and hands them to whoever subscribed: snapshots to webhook endpoints, thin ones to event destinations.
 * {@link https://docs.stripe.com/api/events} {@link https://docs.stripe.com/event-destinations}
 */
export class Events {
  constructor(private readonly deliveries: Deliveries) {}

  /** Records that something happened to an object of `ctx`'s account. */
  publish(ctx: Context, type: string, object: { id?: string; object: string }, options: PublishOptions): StoredEvent {
    const json = options.json ?? JSON.stringify(object);
    const previous = options.previous ?? (options.before && difference(options.before, JSON.parse(json) as Hash));
    const event: StoredEvent = {
      id: newId('event'),
      object: 'event',
      type,
      created: ctx.now,
      api_version: ctx.sandbox.version,
      ...(ctx.isPlatform ? {} : { account: ctx.account }),
      data: `{"object":${json}${previous ? `,"previous_attributes":${JSON.stringify(previous)}` : ''}}`,
      pending: 0,
      request: { id: ctx.request.id, idempotency_key: ctx.request.idempotencyKey },
      related_object: object.id ?? null,
    };
    const table = ctx.table('event');
    table.insert(event);
    if (table.size > keptPerAccount)
      for (const old of table.oldestFirst()) {
        table.delete(old.id);
        break;
      }
    const targets = this.endpoints(ctx, type);
    event.pending = targets.length;
    ctx.sandbox.options.onExchange?.({ event: renderEvent(event) });
    if (targets.length > 0) {
      const payload = JSON.stringify(renderEvent(event), null, 2);
      for (const target of targets) this.deliveries.enqueue(ctx.account, event.id, type, payload, target);
    }
    if (options.thin !== false) this.publishThin(ctx, `v1.${type}`, object, { snapshot: event.id });
    return event;
  }

  /**
   * A thin event: it names the object and leaves fetching it to the receiver.
   * @param options.about events about an account belong to the platform, which created it
   */
  publishThin(
    ctx: Context,
    type: string,
    object: { id?: string; object: string },
    options: { snapshot?: string; data?: Record<string, unknown> } = {},
  ): void {
    const aboutAccount = type.startsWith('v2.core.account');
    const targets = this.destinations(ctx, type, aboutAccount);
    // Twins that nobody asked for are not kept: they would double the memory of every run.
    if (targets.length === 0 && !aboutAccount) return;
    const home = aboutAccount ? ctx.platform : ctx;
    const event: StoredThinEvent = {
      id: newId('v2.core.event'),
      object: 'v2.core.event',
      type,
      created: Math.round(ctx.sandbox.clock.exact() * 1000),
      ...(home.isPlatform ? {} : { context: home.account }),
      related_object: relatedObject(object, ctx.account),
      reason: ctx.request.id
        ? { type: 'request', request: { id: ctx.request.id, idempotency_key: ctx.request.idempotencyKey ?? '' } }
        : null,
      ...(options.snapshot && { snapshot_event: options.snapshot }),
      ...(options.data && { data: options.data }),
    };
    const table = home.table('v2.core.event');
    table.insert(event);
    if (table.size > keptPerAccount)
      for (const old of table.oldestFirst()) {
        table.delete(old.id);
        break;
      }
    ctx.sandbox.options.onExchange?.({ event: renderThinNotification(event) });
    if (targets.length === 0) return;
    const payload = JSON.stringify(renderThinNotification(event));
    for (const target of targets) this.deliveries.enqueue(ctx.account, event.id, type, payload, target);
  }

  /** The account's own endpoints, and for a connected account the platform's Connect endpoints. */
  private endpoints(ctx: Context, type: string): Target[] {
    const found: Target[] = [];
    const collect = (at: Context, connect: boolean): void => {
      for (const endpoint of at.table('webhook_endpoint').oldestFirst()) {
        const { secrets = [], connect: isConnect = false } = at.secret<EndpointSecret>(endpoint.id);
        if (endpoint.status === 'enabled' && isConnect === connect && subscribes(endpoint.enabled_events, type)) {
          found.push({ endpoint: endpoint.id, url: endpoint.url, secrets, kind: 'snapshot' });
        }
      }
    };
    collect(ctx, false);
    if (!ctx.isPlatform && ctx.sandbox.isConnected(ctx.account)) collect(ctx.platform, true);
    return found;
  }

  private destinations(ctx: Context, type: string, aboutAccount: boolean): Target[] {
    const found: Target[] = [];
    const platform = ctx.platform;
    if (!ctx.isPlatform && !ctx.sandbox.isConnected(ctx.account)) return found;
    const from = ctx.isPlatform ? '@self' : '@accounts';
    for (const destination of platform.table('v2.core.event_destination').oldestFirst()) {
      if (
        destination.status !== 'enabled' ||
        destination.event_payload !== 'thin' ||
        !destination.webhook_endpoint?.url
      )
        continue;
      const sources: string[] = destination.events_from?.length ? destination.events_from : ['@self'];
      if (!aboutAccount && !sources.includes(from)) continue;
      if (!subscribes(destination.enabled_events, type)) continue;
      const { secrets = [] } = platform.secret<EndpointSecret>(destination.id);
      found.push({ endpoint: destination.id, url: destination.webhook_endpoint.url, secrets, kind: 'thin' });
    }
    return found;
  }
}

/** `*` means all; `v2.core.*` all that begin so (the sandbox's own convenience, Stripe wants exact names). */
export function subscribes(enabled: string[], type: string): boolean {
  return enabled.some(
    (name) => name === '*' || name === type || (name.endsWith('*') && type.startsWith(name.slice(0, -1))),
  );
}

/** An event as the API shows it. */
export function renderEvent(event: StoredEvent): Record<string, unknown> {
  return {
    id: event.id,
    object: 'event',
    ...(event.account && { account: event.account }),
    api_version: event.api_version,
    created: event.created,
    data: JSON.parse(event.data) as unknown,
    livemode: false,
    pending_webhooks: event.pending,
    request: event.request,
    type: event.type,
  };
}

/** A thin event as it is posted. */
function renderThinNotification(event: StoredThinEvent): Record<string, unknown> {
  const { data: _data, created, reason, related_object: related, ...rest } = event;
  return {
    ...rest,
    created: new Date(created).toISOString(),
    livemode: false,
    ...(reason && { reason }),
    ...(related && { related_object: related }),
  };
}

/** A thin event as `/v2/core/events/:id` shows it: with its data. */
export function renderThinEvent(event: StoredThinEvent): Record<string, unknown> {
  return { ...renderThinNotification(event), ...(event.data && { data: event.data }) };
}

type Hash = Record<string, unknown>;

/** The old values of what changed, hash by hash; lists are given whole. {@link https://docs.stripe.com/api/events/object#event_object-data-previous_attributes} */
function difference(before: object, after: object): Hash {
  const result: Hash = {};
  const old = before as Hash;
  const now = after as Hash;
  for (const key of new Set([...Object.keys(old), ...Object.keys(now)])) {
    const a = old[key];
    const b = now[key];
    if (JSON.stringify(a) === JSON.stringify(b)) continue;
    result[key] = isHash(a) && isHash(b) ? difference(a, b) : (a ?? null);
  }
  return result;
}

function isHash(value: unknown): value is Hash {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const irregular: Record<string, string> = {
  'v2.core.account': '/v2/core/accounts',
  fee_refund: '/v1/application_fees',
  line_item: '/v1/invoices',
};

/** What a thin event points to. Nothing where nothing can be fetched: an application, the preview of an invoice. */
function relatedObject(
  { id, object }: { id?: string; object: string },
  account: string,
): StoredThinEvent['related_object'] {
  if (object === 'balance') return { type: object, url: '/v1/balance' };
  return id && object !== 'application' ? { id, type: object, url: objectUrl(object, id, account) } : null;
}

/** Where an object is found, as thin events say it. */
function objectUrl(object: string, id: string, account: string): string {
  if (object === 'capability') return `/v1/accounts/${account}/capabilities/${id}`;
  const base = irregular[object] ?? `/v1/${object.replaceAll('.', '/')}${object.endsWith('y') ? '' : 's'}`;
  return `${base}/${id}`;
}
