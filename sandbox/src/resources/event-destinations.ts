import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { mergeMetadata, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';
import { pageParams, v2Page } from '../v2.js';
import { type EndpointState } from './webhook-endpoints.js';

type Destination = Stripe.V2.Core.EventDestination;

const include = p.array(p.enum('webhook_endpoint.signing_secret', 'webhook_endpoint.url'));

export interface NewDestination {
  name: string;
  enabled_events: string[];
  event_payload: 'snapshot' | 'thin';
  type: 'webhook_endpoint';
  events_from?: string[];
  description?: string;
  metadata?: Record<string, string> | null;
  snapshot_api_version?: string;
  webhook_endpoint?: { url: string };
}

/** Registers a destination on the context's account. */
export function createDestination(
  ctx: Context,
  params: NewDestination,
  secrets = [ctx.sandbox.newSigningSecret()],
): Destination {
  if (!params.webhook_endpoint)
    throw invalid('Missing required param: webhook_endpoint.', 'webhook_endpoint', 'parameter_missing');
  const now = new Date(ctx.now * 1000).toISOString();
  const destination = ctx.table('v2.core.event_destination').insert({
    id: newId('v2.core.event_destination'),
    object: 'v2.core.event_destination',
    created: now,
    description: params.description ?? '',
    enabled_events: params.enabled_events,
    event_payload: params.event_payload,
    events_from: params.events_from ?? ['@self'],
    livemode: false,
    metadata: mergeMetadata({}, params.metadata),
    name: params.name,
    ...(params.event_payload === 'snapshot' && {
      snapshot_api_version: params.snapshot_api_version ?? ctx.sandbox.version,
    }),
    status: 'enabled',
    type: params.type,
    updated: now,
    webhook_endpoint: { url: params.webhook_endpoint.url },
  });
  ctx.secret<EndpointState>(destination.id).secrets = secrets;
  return destination;
}

/** The URL and the secret are shown only to those who ask. */
function render(ctx: Context, destination: Destination, asked: string[] = []): Destination {
  const { webhook_endpoint: endpoint, ...rest } = destination;
  const secret = ctx.secret<EndpointState>(destination.id).secrets?.[0];
  return {
    ...rest,
    webhook_endpoint: {
      ...(asked.includes('webhook_endpoint.url') && endpoint?.url !== undefined && { url: endpoint.url }),
      ...(asked.includes('webhook_endpoint.signing_secret') && secret !== undefined && { signing_secret: secret }),
    },
  };
}

function touch(ctx: Context, destination: Destination): void {
  destination.updated = new Date(ctx.now * 1000).toISOString();
}

/** Event destinations. {@link https://docs.stripe.com/api/v2/core/event-destinations} */
export const eventDestinations: Resource = {
  routes: [
    route(
      'POST',
      '/v2/core/event_destinations',
      {
        name: p.string().required(),
        enabled_events: p.array(p.string()).required(),
        event_payload: p.enum('snapshot', 'thin').required(),
        type: p.enum('webhook_endpoint').required(),
        events_from: p.array(p.enum('@self', '@accounts')),
        description: p.string(),
        metadata: p.metadata(),
        snapshot_api_version: p.string(),
        webhook_endpoint: p.hash({ url: p.string().required() }),
        include,
      },
      (ctx, params) => render(ctx, createDestination(ctx, params), params.include),
    ),
    route('GET', '/v2/core/event_destinations', { ...pageParams, include }, (ctx, params) =>
      v2Page([...ctx.table('v2.core.event_destination').newestFirst()], '/v2/core/event_destinations', params, (row) =>
        render(ctx, row, params.include),
      ),
    ),
    route('GET', '/v2/core/event_destinations/:id', { include }, (ctx, params, { id }) =>
      render(ctx, ctx.table('v2.core.event_destination').require(id), params.include),
    ),
    route(
      'POST',
      '/v2/core/event_destinations/:id',
      {
        name: p.string(),
        enabled_events: p.array(p.string()),
        description: p.string(),
        metadata: p.metadata(),
        webhook_endpoint: p.hash({ url: p.string().required() }),
        include,
      },
      (ctx, params, { id }) => {
        const destination = ctx.table('v2.core.event_destination').require(id);
        if (params.name !== undefined) destination.name = params.name;
        if (params.enabled_events) destination.enabled_events = params.enabled_events;
        if (params.description !== undefined) destination.description = params.description;
        if (params.webhook_endpoint) destination.webhook_endpoint = { url: params.webhook_endpoint.url };
        destination.metadata = mergeMetadata(destination.metadata ?? {}, params.metadata);
        touch(ctx, destination);
        return render(ctx, destination, params.include);
      },
    ),
    route('DELETE', '/v2/core/event_destinations/:id', {}, (ctx, _params, { id }) => {
      ctx.table('v2.core.event_destination').require(id);
      ctx.table('v2.core.event_destination').delete(id);
      return { id, object: 'v2.core.event_destination' };
    }),
    ...(['enable', 'disable'] as const).map((verb) =>
      route('POST', `/v2/core/event_destinations/:id/${verb}`, {}, (ctx, _params, ids: Record<string, string>) => {
        const destination = ctx.table('v2.core.event_destination').require(ids['id']!);
        destination.status = verb === 'enable' ? 'enabled' : 'disabled';
        touch(ctx, destination);
        return render(ctx, destination);
      }),
    ),
  ],
};
