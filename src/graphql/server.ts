import { ApolloServer, HeaderMap } from '@apollo/server';
import {
  ApolloServerPluginCacheControlDisabled,
  ApolloServerPluginLandingPageDisabled,
} from '@apollo/server/plugin/disabled';
import express, { type ErrorRequestHandler, type Request, type RequestHandler, type Response, Router } from 'express';
import { ipKeyGenerator, rateLimit } from 'express-rate-limit';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { AppError, type ErrorCode } from '../shared/errors.js';
import { type Logger } from '../shared/logger.js';
import { type Viewer } from '../shared/viewer.js';
import { type Authenticator } from './auth.js';
import { compiledQueries, stringifyResult } from './compiled/plugin.js';
import { RequestContext, type ServerParts } from './context.js';
import { errorFormatter } from './errors.js';
import { explorerRouter } from './explorer.js';
import { limitRules, maxTokens } from './limits.js';
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
  readonly logger: Logger;
}

export interface GraphqlEndpoint {
  /** `POST /graphql`. */
  readonly router: Router;
  stop(): Promise<void>;
}

/** What a request carries from one step to the next. */
interface Passport {
  viewer?: Viewer | null;
  /** Why the token was not taken. */
  refusal?: unknown;
}

/** GraphQL over HTTP: who is it, may they ask so often, and then Apollo. */
export async function createGraphqlEndpoint(settings: GraphqlSettings): Promise<GraphqlEndpoint> {
  const { parts, authenticator, introspection, rateLimitPerMinute, logger } = settings;
  const format = errorFormatter(logger);
  const schema = createSchema();
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
      ApolloServerPluginLandingPageDisabled(),
      compiledQueries(schema),
    ],
    stringifyResult,
    nodeEnv: 'production',
    logger: quiet(logger),
  });
  await apollo.start();

  const authenticate: RequestHandler = async (request, response, next) => {
    const passport = response.locals as Passport;
    passport.viewer = await authenticator.authenticate(request.get('authorization')).catch((error: unknown) => {
      passport.refusal = error;
      return null;
    });
    next();
  };
  // Refused only after it was counted: guessing tokens is limited, too.
  const admit: RequestHandler = (_request, response, next) => next((response.locals as Passport).refusal);
  const execute: RequestHandler = async (request, response) => {
    const viewer = (response.locals as Passport).viewer ?? null;
    const { status, headers, body } = await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: {
        method: request.method,
        headers: headersOf(request),
        search: '',
        body: request.body as unknown,
      },
      context: () => Promise.resolve(new RequestContext(parts, viewer)),
    });
    for (const [name, value] of headers) response.setHeader(name, value);
    response.setHeader('Cache-Control', 'no-store');
    response.statusCode = status ?? 200;
    // Deferred answers are not switched on, so there are no others.
    if (body.kind === 'complete') response.end(body.string);
    else throw new Error('An answer in pieces was not asked for.');
  };

  const router = Router();
  if (settings.explorer) router.use(explorerRouter({ path: graphqlPath, ...settings.explorer }));
  router.post(
    graphqlPath,
    authenticate,
    limitPerMinute(rateLimitPerMinute),
    admit,
    express.json({ limit: '256kb', inflate: false }),
    execute,
  );
  router.all(graphqlPath, (_request, response) => {
    response.set('Allow', 'POST');
    answer(response, 405, 'BAD_USER_INPUT', 'GraphQL is asked with POST.');
  });
  router.use(graphqlPath, failure(format));
  return { router, stop: () => apollo.stop() };
}

/** Tells the client of an error outside of GraphQL's own execution, in GraphQL's form. */
function failure(
  format: (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError,
): ErrorRequestHandler {
  return (error: unknown, _request, response, next) => {
    if (response.headersSent) return next(error);
    if (error instanceof AppError && error.code === 'UNAUTHENTICATED') {
      response.set('WWW-Authenticate', 'Bearer error="invalid_token"');
      return answer(response, 401, error.code, error.message);
    }
    const { status, message } = error as { status?: unknown; message: string };
    // What the body parser found: 400, 413, 415.
    if (typeof status === 'number' && status >= 400 && status < 500) {
      return answer(
        response,
        status,
        'BAD_USER_INPUT',
        status === 413 ? 'The request is too large.' : `The request cannot be read: ${message}`,
      );
    }
    const formatted = format({ message }, new GraphQLError(message, { originalError: error as Error }));
    response.status(500).json({ errors: [formatted] });
  };
}

function answer(response: Response, status: number, code: ErrorCode, message: string): void {
  response.status(status).json({ errors: [{ message, extensions: { code } }] });
}

/** Counts by tenant, and without a token by address, in the memory of this process. */
function limitPerMinute(limit: number): RequestHandler {
  return rateLimit({
    windowMs: 60_000,
    limit,
    keyGenerator: (request, response) => {
      const { viewer } = response.locals as Passport;
      return viewer ? (viewer.tenantId ?? `platform ${viewer.subject}`) : ipKeyGenerator(request.ip ?? '');
    },
    standardHeaders: 'draft-7',
    legacyHeaders: false,
    handler: (_request, response) => answer(response, 429, 'RATE_LIMITED', 'Too many requests; try again in a minute.'),
  });
}

function headersOf(request: Request): HeaderMap {
  const headers = new HeaderMap();
  for (const [name, value] of Object.entries(request.headers)) {
    if (value !== undefined) headers.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return headers;
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
