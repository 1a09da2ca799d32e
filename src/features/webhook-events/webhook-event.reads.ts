import {
  anyOf,
  before,
  boolean,
  from,
  integer,
  json,
  newestFirst,
  readModel,
  text,
  time,
  uuid,
} from '../../db/reads/model.js';
import { type Uuid } from '../../shared/uuid.js';
import { WebhookEvent, type WebhookEventStatus, type WebhookKind } from './webhook-event.entity.js';

/** Ids grow with time, so newest first is by id. The view adds what the queue knows. */
export const webhookEventReads = readModel(WebhookEvent, {
  table: 'webhook_events',
  fields: {
    id: uuid<Uuid>(),
    stripeEventId: text(),
    type: text(),
    kind: text<WebhookKind>(),
    status: text<WebhookEventStatus>(),
    stripeAccountId: text<string | null>(),
    awaitsHandler: boolean(),
    livemode: boolean(),
    attempts: integer(),
    lastError: text<string | null>(),
    payload: json<Record<string, unknown>>(),
    stripeCreatedAt: time(),
    receivedAt: time(),
    processedAt: time<Date | null>(),
    nextAttemptAt: time<Date | null>(),
  },
  order: newestFirst('id'),
  filters: {
    status: anyOf('status'),
    type: anyOf('type'),
    receivedAfter: from('received_at'),
    receivedBefore: before('received_at'),
    accounts: anyOf('stripe_account_id'),
  },
});
