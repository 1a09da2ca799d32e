import { type IncomingMessage } from 'node:http';
import { type Database } from '../db/database.js';
import { systemClock, type Clock } from '../shared/clock.js';
import { type Logger } from '../shared/logger.js';
import { type StripeService } from '../stripe/stripe.service.js';
import { type WebhookSecrets } from '../stripe/webhook-signature.js';
import { type AtHand } from './at-hand.js';
import { EventHealth } from './event-health.js';
import { type HandlerIndex } from './handler-index.js';
import { Inbox } from './inbox.js';
import { webhookRoute, type WebhookRoute } from './route.js';
import { Sweep } from './sweep.js';
import { Upkeep } from './upkeep.js';
import { Worker, type WorkerSettings } from './worker.js';

export interface WebhookSettings {
  readonly database: Database;
  readonly stripe: StripeService;
  readonly handlers: HandlerIndex;
  readonly secrets: WebhookSecrets;
  /** Connection string of the runtime role; may lead through a pooler. */
  readonly url: string;
  /** The same past any pooler, for LISTEN. */
  readonly listenUrl?: string;
  /** Milliseconds between two looks at an account's list of events at Stripe: 15 minutes. */
  readonly sweepMs?: number;
  /** Where one process both receives and works. */
  readonly atHand?: AtHand;
  readonly clock?: Clock;
  readonly logger: Logger;
  /** For tests: shorter leases and pauses. */
  readonly worker?: Partial<Pick<WorkerSettings, 'batchSize' | 'batches' | 'fetches' | 'leaseMs' | 'pollMs' | 'retry'>>;
}

/** The receiving half, for processes that serve HTTP. */
export interface WebhookReceiver extends WebhookRoute {
  /** Stores what is waiting. Close the HTTP server first. */
  stop(): Promise<void>;
}

/** The working half, for processes that process events. */
export interface WebhookWorker {
  start(): void;
  /** Ends what is under way and gives the rest back. */
  stop(): Promise<void>;
}

/** @param addressOf whom failures are counted by */
export function createWebhookReceiver(
  settings: WebhookSettings,
  addressOf: (request: IncomingMessage) => string,
): WebhookReceiver {
  const { url, handlers, secrets, atHand, clock = systemClock, logger, database } = settings;
  const { livemode } = database;
  const inbox = new Inbox({ url, logger });
  const route = webhookRoute({
    ...{ inbox, handlers, secrets, livemode, addressOf, clock, logger },
    ...(atHand && { atHand }),
  });
  return { ...route, stop: () => inbox.close() };
}

export function createWebhookWorker(settings: WebhookSettings): WebhookWorker {
  const { clock = systemClock, logger } = settings;
  const worker = new Worker({ ...settings, ...settings.worker, clock });
  const upkeep = new Upkeep({ queue: worker.queue, health: new EventHealth(settings.database), logger });
  const { database, stripe, handlers, url, sweepMs } = settings;
  const inbox = new Inbox({ url, connections: 1, logger });
  const sweep = new Sweep({ database, stripe, handlers, inbox, clock, logger, ...(sweepMs && { everyMs: sweepMs }) });
  return {
    start: () => {
      worker.start();
      upkeep.start();
      sweep.start();
    },
    stop: async () => {
      await sweep.stop();
      await inbox.close();
      await upkeep.stop();
      await worker.stop();
    },
  };
}
