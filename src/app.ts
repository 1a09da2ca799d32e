import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, Server as NetServer } from 'node:net';
import express, { type ErrorRequestHandler, type Express } from 'express';
import helmet from 'helmet';
import { entities } from '../mikro-orm.config.js';
import { createBackground } from './app/background.js';
import { mailAttachments } from './app/mailing.js';
import { type Config } from './config.js';
import { Database } from './db/database.js';
import { createOrm } from './db/orm.js';
import { ReadDatabase } from './db/reads/reads.js';
import { Readiness } from './db/readiness.js';
import { assertSafeRole } from './db/runtime-role.js';
import { mailPreviewRoutes } from './features/mail/mail-preview.routes.js';
import { LiveFeed } from './features/live/live-feed.js';
import { OnboardingLinks } from './features/onboarding/onboarding-links.js';
import { onboardingRoutes } from './features/onboarding/onboarding.routes.js';
import { OnboardingService } from './features/onboarding/onboarding.service.js';
import { PayLinks } from './features/pay-page/pay-links.js';
import { payPageRoutes } from './features/pay-page/pay-page.routes.js';
import { payPageActor, PayPageService } from './features/pay-page/pay-page.service.js';
import { PaymentService } from './features/payments/payment.service.js';
import { insightReports } from './features/insights/insights-reports.js';
import { reportRoutes } from './features/payouts/report.routes.js';
import { AddressGuard } from './features/webhook-endpoints/endpoint-address.js';
import { EndpointSecrets } from './features/webhook-endpoints/endpoint-secret.js';
import { Authenticator } from './graphql/auth.js';
import { type ServerParts } from './graphql/context.js';
import { createGraphqlEndpoint } from './graphql/server.js';
import { Commands } from './jobs/commands/commands.js';
import { clientAddress } from './shared/client-address.js';
import { type Clock, systemClock } from './shared/clock.js';
import { createLogger, type Logger } from './shared/logger.js';
import { metrics } from './shared/metrics.js';
import { requestLog } from './shared/request-log.js';
import { StripeService } from './stripe/stripe.service.js';
import { AtHand } from './webhooks/at-hand.js';
import { EventHealth } from './webhooks/event-health.js';
import { handlers } from './webhooks/handlers.js';
import { Processor } from './webhooks/processor.js';
import { rehearsalOf } from './webhooks/rehearsal.js';
import { createWebhookReceiver, type WebhookSettings } from './webhooks/webhooks.js';

/** After so many milliseconds without a request, nobody is in the middle of a conversation. */
const quietMs = 500;

export interface AppOptions {
  readonly logger?: Logger;
  readonly clock?: Clock;
  /** False where no job may run by the clock: in tests, which run those that they are about themselves. */
  readonly schedules?: boolean;
}

export interface App {
  /**
   * Checks what it stands on, and opens its ports.
   * @throws UnsafeRoleError, or what the ports and the database say
   */
  start(): Promise<{ readonly url: string; readonly port: number; readonly metricsPort: number }>;
  /** Takes nothing new, ends what is under way, and closes everything. Safe to repeat. */
  stop(): Promise<void>;
}

/** Puts the server together, as `PROCESS_ROLE` wants it. Tests start the same one. */
export async function createApp(config: Config, options: AppOptions = {}): Promise<App> {
  const { logger = createLogger(config.logLevel), clock = systemClock, schedules = true } = options;
  const { url: databaseUrl, listenUrl, poolSize, readConnections } = config.database;
  const { livemode, webhookSecrets, timeoutMs, ...stripeSettings } = config.stripe;
  const orm = createOrm({ url: databaseUrl, poolSize, entities, logger });
  const database = new Database(orm, livemode, config.mail !== null);
  const reads = new ReadDatabase({ url: databaseUrl, livemode, logger, connections: readConnections });
  const stripe = new StripeService({ ...withoutUndefined(stripeSettings), livemode, timeoutMs, logger });
  const links = new OnboardingLinks({
    publicUrl: config.publicUrl,
    returnOrigins: config.returnUrlOrigins,
    secret: config.linkSecret,
    clock,
  });
  const payLinks = new PayLinks({ publicUrl: config.publicUrl, secret: config.linkSecret, clock });
  const live = new LiveFeed({ url: listenUrl ?? databaseUrl, livemode, clock, logger });
  const readiness = new Readiness(database);
  const rehearse = rehearsalOf(new Processor(database, handlers, stripe), database);
  const endpointSecrets = new EndpointSecrets(config.linkSecret);
  const addressGuard = new AddressGuard(config.environment !== 'production');
  const parts: ServerParts = {
    database,
    reads,
    stripe,
    links,
    payLinks,
    live,
    rehearse,
    endpointSecrets,
    addressGuard,
    clock,
    logger,
  };
  const servesHttp = config.processRole !== 'worker';
  const works = config.processRole !== 'api';
  const webhooks: WebhookSettings = {
    database,
    stripe,
    handlers,
    secrets: webhookSecrets,
    url: databaseUrl,
    ...(listenUrl && { listenUrl }),
    ...(servesHttp && works && { atHand: new AtHand() }),
    clock,
    logger,
  };
  const receiver = servesHttp ? createWebhookReceiver(webhooks, clientAddress(config.trustProxy)) : null;
  const authenticator = new Authenticator(config.auth, clock);
  const graphql = servesHttp
    ? await createGraphqlEndpoint({
        parts,
        authenticator,
        introspection: config.introspection,
        explorer: config.explorer ? { token: config.explorerToken } : null,
        rateLimitPerMinute: config.rateLimitPerMinute,
        trustProxy: config.trustProxy,
        persistedDocuments: config.persistedDocuments,
        logger,
      })
    : null;
  const background = works
    ? createBackground({
        ...{ database, stripe, clock, logger, webhooks, endpointSecrets, addressGuard, runsSchedules: schedules },
        eventRetentionDays: config.eventRetentionDays,
        mail: config.mail,
        payLinks,
        shutdownTimeoutMs: config.shutdownTimeoutMs,
      })
    : null;

  let isStopping = false;
  let lastRequestAt = -Infinity;
  const inside = createServer(healthApp(readiness, () => isStopping, new EventHealth(database)));
  const outside = createServer(receiver && graphql ? publicListener() : undefined);

  if (graphql) {
    outside.on('upgrade', (request, socket, head) => {
      if (graphql.takesOver(request)) graphql.live.upgrade(request, socket, head);
      else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\nContent-Length: 0\r\n\r\n');
    });
  }

  /** Questions and Stripe's deliveries go straight to their places; everything else is Express's. */
  function publicListener(): RequestListener {
    const app = publicApp();
    const careful = carefulHeaders(config.publicUrl.startsWith('https:'));
    const log = requestLog(logger);
    return (request, response) => {
      lastRequestAt = performance.now();
      if (isStopping) response.setHeader('Connection', 'close');
      for (const [name, value] of careful) response.setHeader(name, value);
      if (request.url !== '/livez' && request.url !== '/readyz') log(request, response);
      if (graphql!.takes(request)) graphql!.handle(request, response);
      else if (receiver!.takes(request)) receiver!.handle(request, response);
      else app(request, response);
    };
  }

  function publicApp(): Express {
    const app = plainExpress();
    app.set('trust proxy', config.trustProxy);
    app.use(healthApp(readiness, () => isStopping, null));
    app.use(
      onboardingRoutes({
        links,
        livemode,
        serviceOf: (tenantId) => {
          const commands = new Commands(database.tenant(tenantId), stripe, { clock, logger });
          return new OnboardingService({ db: commands.db, stripe, commands, links, clock, actor: 'onboarding link' });
        },
        logger,
      }),
    );
    app.use(
      payPageRoutes({
        links: payLinks,
        livemode,
        localStripe: config.stripe.apiBase,
        publishableKey: config.stripe.publishableKey,
        serviceOf: (tenantId) => {
          const commands = new Commands(database.tenant(tenantId), stripe, { clock, logger });
          const payments = new PaymentService(commands, stripe, payPageActor);
          return new PayPageService(commands.db, payments, payLinks, payPageActor);
        },
        logger,
      }),
    );
    app.use(
      reportRoutes({
        database,
        authenticate: (header) => authenticator.authenticate(header),
        more: insightReports,
        logger,
      }),
    );
    if (config.environment === 'development') app.use(mailPreviewRoutes(mailAttachments(config.mail?.font ?? null)));
    app.use(graphql!.router);
    app.use((_request, response) => void response.status(404).json({ error: 'not-found' }));
    app.use(lastResort(logger));
    return app;
  }

  let stopped: Promise<void> | null = null;
  const stop = () => (stopped ??= stopAll());
  const stopAll = async () => {
    isStopping = true;
    await Promise.all([
      close(outside, config.shutdownTimeoutMs, () => performance.now() - lastRequestAt > quietMs),
      graphql?.live.stop(),
      background?.stop(),
    ]);
    await receiver?.stop();
    await graphql?.stop();
    await live.stop();
    await reads.stop();
    await orm.close(true);
    stripe.close();
    await close(inside, 0);
  };

  return {
    async start() {
      try {
        await assertSafeRole(databaseUrl);
        const metricsPort = await listen(inside, config.metricsPort, config.host);
        const port = servesHttp ? await listen(outside, config.port, config.host) : metricsPort;
        if (servesHttp) live.start();
        background?.start();
        const host = config.host.includes(':') ? `[${config.host}]` : config.host;
        const url = `http://${['0.0.0.0', '[::]'].includes(host) ? 'localhost' : host}:${port}`;
        logger.info({ url, metricsPort, role: config.processRole, livemode }, 'Started');
        return { url, port, metricsPort };
      } catch (error) {
        await stop();
        throw error;
      }
    },
    stop,
  };
}

/** `/livez`: the process runs. `/readyz`: it can work. `/metrics`, and how events are doing: only where the network keeps strangers out. */
function healthApp(readiness: Readiness, isStopping: () => boolean, events: EventHealth | null): Express {
  const app = plainExpress();
  app.get('/livez', (_request, response) => void response.json({ status: 'ok' }));
  app.get('/readyz', async (_request, response) => {
    const problem = isStopping() ? 'stopping' : await readiness.problem();
    const report = problem ? null : await events?.report().catch(() => null);
    response.status(problem ? 503 : 200).json({ status: problem ?? 'ok', ...(report && { events: report }) });
  });
  if (events) {
    app.get('/metrics', async (_request, response) => {
      response.type(metrics.contentType).send(await metrics.metrics());
    });
  }
  return app;
}

/** For what no route caught: the client learns that it failed, and nothing of how. Express tells by the number of arguments. */
function lastResort(logger: Logger): ErrorRequestHandler {
  return (error: Error & { status?: number }, _request, response, next) => {
    const status = error.status && error.status >= 400 && error.status < 500 ? error.status : 500;
    if (status === 500) logger.error({ err: error }, 'A request failed');
    if (response.headersSent) return next(error);
    response.status(status).json({ error: status === 500 ? 'internal' : 'bad-request' });
  };
}

function plainExpress(): Express {
  return express().set('env', 'production').disable('x-powered-by').disable('etag').set('query parser', 'simple');
}

/** What keeps browsers careful. Helmet says the same of each request, so it is asked once. */
function carefulHeaders(isHttps: boolean): [name: string, value: string][] {
  const said: [string, string][] = [];
  const response = {
    setHeader: (name: string, value: string) => said.push([name, value]),
    removeHeader: () => undefined,
  };
  helmet({ strictTransportSecurity: isHttps })({} as IncomingMessage, response as never, (error) => {
    if (error) throw error as Error;
  });
  return said;
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

/**
 * Stops listening, and lets what is under way end. Connections that are kept alive are first told to let go, with their next answer: one that is
 * closed while a request travels on it would fail that request. What is still open after `patienceMs` is cut.
 */
async function close(server: Server, patienceMs: number, isQuiet = () => true): Promise<void> {
  if (!server.listening) return;
  const letGo = () => void (isQuiet() && server.closeIdleConnections());
  const ticking = setInterval(letGo, 50);
  const patience = setTimeout(() => server.closeAllConnections(), patienceMs);
  // Not the HTTP server's own close: that one closes idle connections at once.
  const closed = new Promise<void>((resolve) => void NetServer.prototype.close.call(server, () => resolve()));
  letGo();
  await closed;
  clearInterval(ticking);
  clearTimeout(patience);
  server.close(() => undefined); // tidies up what the other left
}

function withoutUndefined<T extends object>(settings: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as never;
}
