import type Stripe from 'stripe';
import { type Context } from '../context.js';
import { invalid } from '../errors.js';
import { newId } from '../ids.js';
import { listPage } from '../list.js';
import { listParams, mergeMetadata, p } from '../params.js';
import { type Resource } from '../resource.js';
import { route } from '../router.js';

/** What the sandbox remembers of an endpoint besides the object. While a secret is rolled there are several. */
export interface EndpointState {
  secrets: string[];
  connect: boolean;
}

const url = p.string().check((value) => {
  if (!/^https?:\/\//.test(value)) throw invalid('Invalid URL: must be an http or https URL', 'url', 'url_invalid');
});

export interface NewEndpoint {
  url: string;
  enabled_events: string[];
  connect?: boolean;
  description?: string | null;
  metadata?: Record<string, string> | null;
  api_version?: string;
}

/** Registers an endpoint on the context's account. `connect` hears of the connected accounts instead of the account itself. */
export function createEndpoint(
  ctx: Context,
  params: NewEndpoint,
  secrets = [ctx.sandbox.newSigningSecret()],
): Stripe.WebhookEndpoint {
  const endpoint = ctx.table('webhook_endpoint').insert({
    id: newId('webhook_endpoint'),
    object: 'webhook_endpoint',
    api_version: params.api_version ?? null,
    application: params.connect ? 'ca_local' : null,
    created: ctx.now,
    description: params.description ?? null,
    enabled_events: params.enabled_events,
    livemode: false,
    metadata: mergeMetadata({}, params.metadata),
    status: 'enabled',
    url: params.url,
  });
  const state = ctx.secret<EndpointState>(endpoint.id);
  state.secrets = secrets;
  state.connect = params.connect ?? false;
  return endpoint;
}

/** Webhook endpoints for snapshot events. {@link https://docs.stripe.com/api/webhook_endpoints} */
export const webhookEndpoints: Resource = {
  routes: [
    route(
      'POST',
      '/v1/webhook_endpoints',
      {
        url: url.required(),
        enabled_events: p.array(p.string()).required(),
        connect: p.boolean(),
        description: p.string().clearable(),
        metadata: p.metadata(),
        api_version: p.string(),
      },
      (ctx, params) => {
        const endpoint = createEndpoint(ctx, params);
        // The secret is shown once, at creation.
        return { ...endpoint, secret: ctx.secret<EndpointState>(endpoint.id).secrets?.[0] };
      },
    ),
    route('GET', '/v1/webhook_endpoints', listParams, (ctx, params) =>
      listPage(ctx.table('webhook_endpoint'), '/v1/webhook_endpoints', params),
    ),
    route('GET', '/v1/webhook_endpoints/:id', {}, (ctx, _params, { id }) => ctx.table('webhook_endpoint').require(id)),
    route(
      'POST',
      '/v1/webhook_endpoints/:id',
      {
        url,
        enabled_events: p.array(p.string()),
        disabled: p.boolean(),
        description: p.string().clearable(),
        metadata: p.metadata(),
      },
      (ctx, params, { id }) => {
        const endpoint = ctx.table('webhook_endpoint').require(id);
        if (params.url !== undefined) endpoint.url = params.url;
        if (params.enabled_events !== undefined) endpoint.enabled_events = params.enabled_events;
        if (params.disabled !== undefined) endpoint.status = params.disabled ? 'disabled' : 'enabled';
        if (params.description !== undefined) endpoint.description = params.description;
        endpoint.metadata = mergeMetadata(endpoint.metadata, params.metadata);
        return endpoint;
      },
    ),
    route('DELETE', '/v1/webhook_endpoints/:id', {}, (ctx, _params, { id }) => {
      ctx.table('webhook_endpoint').require(id);
      ctx.table('webhook_endpoint').delete(id);
      return { id, object: 'webhook_endpoint', deleted: true };
    }),
    /** Rolls the secret of an endpoint or destination: deliveries bear both signatures until `finish`. */
    route(
      'POST',
      '/_control/endpoints/:id/roll_secret',
      { secret: p.string(), finish: p.boolean() },
      (ctx, { secret, finish }, { id }) => {
        const state = ctx.secret<EndpointState>(id);
        if (!state.secrets) throw invalid(`No such endpoint: '${id}'`, 'id');
        // In place: what waits for its next attempt is signed with the secrets of that moment.
        if (finish) state.secrets.length = 1;
        else state.secrets.unshift(secret ?? ctx.sandbox.newSigningSecret());
        return { id, secrets: state.secrets };
      },
      'public',
    ),
  ],
};
