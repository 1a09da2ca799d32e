import { type IncomingMessage, type ServerResponse } from 'node:http';
import { ApolloServer } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginInlineTraceDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import { Router } from 'express';
import { ipKeyGenerator } from 'express-rate-limit';
import { clientAddress } from '../shared/client-address.js';
import { type Logger } from '../shared/logger.js';
import { type Authenticator } from './auth.js';
import { askToRetry } from './busy.js';
import { compiledQueries, stringifyResult } from './compiled/plugin.js';
import { RequestContext, type ServerParts } from './context.js';
import { errorFormatter } from './errors.js';
import { explorerRouter } from './explorer.js';
import { graphqlHandler, refuse } from './http.js';
import { limitRules, maxTokens } from './limits.js';
import { LiveEndpoint } from './live.js';
import { PersistedDocuments } from './persisted-documents.js';
import { createSchema } from './schema.js';

const graphqlPath = '/graphql';

export interface GraphqlSettings {
  readonly parts: ServerParts;
  readonly authenticator: Authenticator;
  readonly introspection: boolean;
  /** Whether `GET /graphql` shows the explorer, and with which token. */
  readonly explorer: { readonly token?: string | undefined } | null;
  /** Requests a tenant may make per minute and process; who shows no token is counted by address. */
  readonly rateLimitPerMinute: number;
  /** Express's setting of that name. */
  readonly trustProxy: number | string | boolean;
  /** A manifest of documents that clients name by their ids; strict: that, and nothing else, is answered. */
  readonly persistedDocuments: { readonly path: string; readonly isStrict: boolean } | null;
  readonly logger: Logger;
}

export interface GraphqlEndpoint {
  /** Whether it is a question. All others are the router's. */
  takes(request: IncomingMessage): boolean;
  /** Whether it wants to become a WebSocket at the address of questions. */
  takesOver(request: IncomingMessage): boolean;
  /** Answers `POST /graphql`. */
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Subscriptions, over WebSocket. */
  readonly live: LiveEndpoint;
  /** The explorer, and what to do instead of anything but POST. */
  readonly router: Router;
  stop(): Promise<void>;
}

/** Apollo, and the way to it. */
export async function createGraphqlEndpoint(settings: GraphqlSettings): Promise<GraphqlEndpoint> {
  const { parts, authenticator, introspection, rateLimitPerMinute, logger } = settings;
  const format = errorFormatter(logger);
  const schema = createSchema();
  const { path, isStrict = false } = settings.persistedDocuments ?? {};
  const documents = path ? await PersistedDocuments.read(path, isStrict, schema) : null;
  const apollo = new ApolloServer<RequestContext>({
    schema,
    introspection,
    // Names of what exists are for those who may see the schema.
    hideSchemaDetailsFromClientErrors: !introspection,
    csrfPrevention: true,
    allowBatchedHttpRequests: false,
    includeStacktraceInErrorResponses: false,
    persistedQueries: false,
    stopOnTerminationSignals: false,
    validationRules: limitRules(),
    parseOptions: { maxTokens },
    formatError: format,
    plugins: [
      ApolloServerPluginCacheControlDisabled(),
      // For subgraphs of a federation. Where it is not, it is loaded all the same: some megabytes.
      ApolloServerPluginInlineTraceDisabled(),
      ApolloServerPluginLandingPageDisabled(),
      compiledQueries(schema),
      askToRetry(),
    ],
    stringifyResult,
    nodeEnv: 'production',
    logger: quiet(logger),
  });
  await apollo.start();

  const addressIn = clientAddress(settings.trustProxy);
  const addressOf = (request: IncomingMessage) => ipKeyGenerator(addressIn(request));
  const live = new LiveEndpoint({
    ...{ schema, authenticator, introspection, documents, addressOf, format },
    contextOf: (viewer, connection) => new RequestContext(parts, viewer, connection),
    clock: parts.clock,
  });
  const handle = graphqlHandler({
    apollo,
    authenticator,
    contextOf: (viewer) => new RequestContext(parts, viewer),
    documents,
    rateLimitPerMinute,
    addressOf,
    format,
  });

  const router = Router();
  if (settings.explorer) router.use(explorerRouter({ path: graphqlPath, ...settings.explorer }));
  router.all(graphqlPath, (_request, response) => {
    response.set('Allow', 'POST');
    refuse(response, 405, 'BAD_USER_INPUT', 'GraphQL is asked with POST.');
  });
  return {
    takes: ({ method, url }) =>
      method === 'POST' && (url === graphqlPath || Boolean(url?.startsWith(`${graphqlPath}?`))),
    takesOver: ({ url }) => url === graphqlPath || Boolean(url?.startsWith(`${graphqlPath}?`)),
    handle,
    live,
    router,
    stop: () => apollo.stop(),
  };
}

/** Apollo tells of requests that it refused; they are answered, and that is enough. */
function quiet(logger: Logger) {
  return {
    debug: (message?: unknown) => logger.trace({ source: 'apollo' }, String(message)),
    info: (message?: unknown) => logger.debug({ source: 'apollo' }, String(message)),
    warn: (message?: unknown) => logger.warn({ source: 'apollo' }, String(message)),
    error: (message?: unknown) => logger.error({ source: 'apollo' }, String(message)),
  };
}
