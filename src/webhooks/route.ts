import express, { type NextFunction, type Request, type Response, type Router } from 'express';
import { type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';
import { readJsonBytes, UnreadableBody } from '../shared/body.js';
import { eventsRefused } from '../shared/metrics.js';
import { verifyWebhook, WebhookSignatureError, type WebhookSecrets } from '../stripe/webhook-signature.js';
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
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Where Stripe delivers: `POST /api/stripe/webhook`, snapshot and thin events alike. Answers 200 once the event is stored, for the first time or
 * again; 401 to what Stripe did not sign; 503 when it could not be stored, so that Stripe delivers it again.
 *
 * Mount it before any body parser: the signature is over the bytes as they arrived.
 */
export function webhookRouter(settings: WebhookRouteSettings): Router {
  const { inbox, handlers, secrets, livemode, clock, logger } = settings;
  const failures = new FailureLimit(clock);

  const refuse = (request: Request, response: Response, status: number, reason: string) => {
    eventsRefused.inc({ reason });
    if (failures.exceeded(request.ip ?? '')) {
      response.status(429).set('Retry-After', '60').json({ error: 'too-many-failures' });
      return;
    }
    logger.warn({ reason, address: request.ip }, 'A webhook delivery was refused');
    response.status(status).json({ error: reason });
  };

  const receive = async (request: Request, response: Response): Promise<void> => {
    const body = await readJsonBytes(request);
    if (!body) return refuse(request, response, 415, 'not-json');
    const delivery = deliveryOf(
      verifyWebhook(body, request.get('stripe-signature'), secrets, clock.now()),
      body.toString('utf8'),
      handlers,
      livemode,
    );
    if (!delivery) return refuse(request, response, 400, 'not-an-event');
    await inbox.store(delivery);
    response.writeHead(200, { 'Content-Type': 'application/json; charset=utf-8' }).end('{"received":true}');
  };

  const router = express.Router({ caseSensitive: true, strict: true });
  router.post(webhookPath, receive);
  router.all(webhookPath, (request, response) => {
    response.set('Allow', 'POST');
    refuse(request, response, 405, 'method');
  });
  router.use(webhookPath, (error: unknown, request: Request, response: Response, next: NextFunction) => {
    if (response.headersSent) return next(error);
    if (error instanceof WebhookSignatureError) return refuse(request, response, 401, error.reason);
    if (error instanceof InboxUnavailable) {
      eventsRefused.inc({ reason: 'unavailable' });
      response.status(503).set('Retry-After', '5').json({ error: 'unavailable' });
      return;
    }
    if (error instanceof UnreadableBody) return refuse(request, response, error.status, 'body');
    eventsRefused.inc({ reason: 'internal' });
    logger.error({ err: error }, 'A webhook delivery failed');
    response.status(500).json({ error: 'internal' });
  });
  return router;
}
