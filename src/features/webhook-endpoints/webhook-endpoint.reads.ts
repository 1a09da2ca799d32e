import {
  anyOf,
  ascending,
  equals,
  integer,
  json,
  newestFirst,
  one,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { WebhookDelivery, type WebhookDeliveryState } from './webhook-delivery.entity.js';
import { WebhookEndpoint, type WebhookEndpointStatus } from './webhook-endpoint.entity.js';

/** Those that were not deleted. */
export const webhookEndpointReads = readModel(WebhookEndpoint, {
  table: 'active_webhook_endpoints',
  fields: {
    id: uuid<Uuid>(),
    url: text(),
    description: text<string | null>(),
    types: json<string[]>(),
    status: text<WebhookEndpointStatus>(),
    disabledReason: text<string | null>(),
    failingSince: time<Date | null>(),
    previousSecretUntil: time<Date | null>(),
    createdAt: time(),
    updatedAt: time(),
  },
  order: ascending('id'),
});

export const webhookDeliveryReads = readModel(WebhookDelivery, {
  table: 'webhook_deliveries',
  fields: {
    id: uuid<Uuid>(),
    endpoint: one(() => webhookEndpointReads, { endpoint_id: 'id' }),
    type: text(),
    data: json<Record<string, unknown>>(),
    state: text<WebhookDeliveryState>(),
    attempts: integer(),
    nextAttemptAt: time<Date | null>(),
    lastAttemptAt: time<Date | null>(),
    responseStatus: integer<number | null>(),
    error: text<string | null>(),
    deliveredAt: time<Date | null>(),
    createdAt: time(),
  },
  order: newestFirst('createdAt', 'id'),
  filters: { endpointId: equals('endpoint_id'), state: anyOf('state'), type: anyOf('type') },
});
