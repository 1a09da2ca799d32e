import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';
import { readJsonBytes, UnreadableBody } from '../shared/body.js';
import { eventsRefused } from '../shared/metrics.js';
import { verifyWebhook, WebhookSignatureError, type WebhookSecrets } from '../stripe/webhook-signature.js';
import { type AtHand } from './at-hand.js';
import { deliveryOf } from './delivery.js';
import { FailureLimit } from './failure-limit.js';
import { type HandlerIndex } from './handler-index.js';
import { InboxUnavailable, type Inbox } from './inbox.js';

const webhookPath = '/api/stripe/webhook';

export interface WebhookRouteSettings {
  readonly inbox: Inbox;
  readonly handlers: HandlerIndex;
  /** A kind without a secret is refused. */
  readonly secrets: WebhookSecrets;
  /** The mode of our keys. */
  readonly livemode: boolean;
  /** Whom failures are counted by. */
  readonly addressOf: (request: IncomingMessage) => string;
  readonly atHand?: AtHand;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** What answers at a path, beside Express: its way through routers costs as much as checking a signature. */
export interface WebhookRoute {
  takes(request: IncomingMessage): boolean;
  handle(request: IncomingMessage, response: ServerResponse): void;
}

/**
 * Where Stripe delivers: `POST /api/stripe/webhook`, snapshot and thin events alike. Answers 200 once the event is stored, for the first time or
 * again; 401 to what Stripe did not sign; 503 when it could not be stored, so that Stripe delivers it again.
 */
export function webhookRoute(settings: WebhookRouteSettings): WebhookRoute {
  const { inbox, handlers, secrets, livemode, addressOf, atHand, clock, logger } = settings;
  const failures = new FailureLimit(clock);

  const refuse = (request: IncomingMessage, response: ServerResponse, status: number, reason: string) => {
    eventsRefused.inc({ reason });
    const address = addressOf(request);
    if (failures.exceeded(address)) {
      response.setHeader('Retry-After', '60');
      return answer(response, 429, { error: 'too-many-failures' });
    }
    logger.warn({ reason, address }, 'A webhook delivery was refused');
    answer(response, status, { error: reason });
  };

  const receive = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const body = await readJsonBytes(request);
    if (!body) return refuse(request, response, 415, 'not-json');
    const signature = request.headers['stripe-signature'];
    const verified = verifyWebhook(body, typeof signature === 'string' ? signature : undefined, secrets, clock.now());
    const delivery = deliveryOf(verified, handlers, livemode);
    if (!delivery) return refuse(request, response, 400, 'not-an-event');
    // Before it is stored: it may be claimed before this process hears that it is. What may be stored with characters replaced is read back.
    if (delivery.status === 'RECEIVED' && !maybeUnstorable.test(verified.text))
      atHand?.keep(delivery.stripeEventId, verified.kind === 'SNAPSHOT' ? verified.event : verified.notification);
    try {
      await inbox.store(delivery);
    } catch (error) {
      // What is delivered in its place counts.
      atHand?.take(delivery.stripeEventId);
      throw error;
    }
    answer(response, 200, received);
  };

  const failed = (error: unknown, request: IncomingMessage, response: ServerResponse): void => {
    if (response.headersSent) return void response.destroy();
    if (error instanceof WebhookSignatureError) return refuse(request, response, 401, error.reason);
    if (error instanceof InboxUnavailable) {
      eventsRefused.inc({ reason: 'unavailable' });
      response.setHeader('Retry-After', '5');
      return answer(response, 503, { error: 'unavailable' });
    }
    if (error instanceof UnreadableBody) return refuse(request, response, error.status, 'body');
    eventsRefused.inc({ reason: 'internal' });
    logger.error({ err: error }, 'A webhook delivery failed');
    answer(response, 500, { error: 'internal' });
  };

  return {
    takes: ({ url }) => url === webhookPath || Boolean(url?.startsWith(`${webhookPath}?`)),
    handle: (request, response) => {
      if (request.method === 'POST')
        return void receive(request, response).catch((error: unknown) => failed(error, request, response));
      response.setHeader('Allow', 'POST');
      refuse(request, response, 405, 'method');
    },
  };
}

/** See `storable`: U+0000, and halves of surrogate pairs; whole pairs are rare enough. */
const maybeUnstorable = /\\u(0000|d[89a-f])/i;

const received = { received: true };

function answer(response: ServerResponse, status: number, body: object): void {
  const text = JSON.stringify(body);
  response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', 'Content-Length': text.length });
  response.end(text);
}
