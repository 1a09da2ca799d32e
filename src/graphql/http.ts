import { type IncomingMessage, type ServerResponse } from 'node:http';
import { type ApolloServer, HeaderMap } from '@apollo/server';
import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { UnreadableBody } from '../shared/body.js';
import { AppError, type ErrorCode } from '../shared/errors.js';
import { type Viewer } from '../shared/viewer.js';
import { type Authenticator } from './auth.js';
import { readJson } from './body.js';
import { type PersistedDocuments } from './persisted-documents.js';
import { RateLimit } from './rate-limit.js';

export interface HttpSettings<Context extends object> {
  readonly apollo: ApolloServer<Context>;
  readonly authenticator: Authenticator;
  readonly contextOf: (viewer: Viewer | null) => Context;
  readonly documents: PersistedDocuments | null;
  /** Requests a tenant may make per minute and process; who shows no token is counted by address. */
  readonly rateLimitPerMinute: number;
  /** Of a client without a token. */
  readonly addressOf: (request: IncomingMessage) => string;
  readonly format: (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;
}

/**
 * `POST /graphql` on bare node:http: who is it, may they ask so often, and then Apollo. All requests come this way, so there is nothing on it that
 * they do not need.
 */
export function graphqlHandler<Context extends object>(settings: HttpSettings<Context>) {
  const { apollo, authenticator, contextOf, documents, addressOf, format } = settings;
  const limit = new RateLimit(settings.rateLimitPerMinute);

  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    let viewer: Viewer | null = null;
    let refusal: unknown;
    try {
      viewer = await authenticator.authenticate(request.headers.authorization);
    } catch (error) {
      refusal = error;
    }
    const key = viewer ? (viewer.tenantId ?? `platform ${viewer.subject}`) : addressOf(request);
    const { isExceeded, headers, resetSeconds } = limit.count(key);
    for (const [name, value] of headers) response.setHeader(name, value);
    if (isExceeded) {
      response.setHeader('Retry-After', `${resetSeconds}`);
      return refuse(response, 429, 'RATE_LIMITED', 'Too many requests; try again in a minute.');
    }
    // Refused only after it was counted: guessing tokens is limited, too.
    if (refusal !== undefined) return fail(response, refusal);
    const received = await readJson(request);
    const question = documents ? documents.resolve(received) : received;
    const {
      status,
      headers: answered,
      body,
    } = await apollo.executeHTTPGraphQLRequest({
      httpGraphQLRequest: { method: 'POST', headers: headersOf(request), search: '', body: question },
      context: () => Promise.resolve(contextOf(viewer)),
    });
    // Deferred answers are not switched on, so there are no others.
    if (body.kind !== 'complete') throw new Error('An answer in pieces was not asked for.');
    for (const [name, value] of answered) response.setHeader(name, value);
    response.statusCode = status ?? 200;
    // As many bytes as characters: nothing in it has to be encoded.
    const isAscii = answered.get('content-length') === `${body.string.length}`;
    response.end(body.string, isAscii ? 'latin1' : 'utf8');
  };

  /** Tells the client of an error outside of GraphQL's own execution, in GraphQL's form. */
  const fail = (response: ServerResponse, error: unknown): void => {
    if (error instanceof AppError && error.code === 'UNAUTHENTICATED') {
      response.setHeader('WWW-Authenticate', 'Bearer error="invalid_token"');
      return refuse(response, 401, error.code, error.message);
    }
    if (error instanceof UnreadableBody) {
      const text = error.status === 413 ? 'The request is too large.' : `The request cannot be read: ${error.message}`;
      return refuse(response, error.status, 'BAD_USER_INPUT', text);
    }
    if (error instanceof AppError && error.code === 'BAD_USER_INPUT') {
      return answer(response, 400, { message: error.message, extensions: { ...error.extensions } });
    }
    const message = error instanceof Error ? error.message : String(error);
    const formatted = format({ message }, new GraphQLError(message, { originalError: error as Error }));
    answer(response, 500, formatted);
  };

  return (request: IncomingMessage, response: ServerResponse): void => {
    response.setHeader('Cache-Control', 'no-store');
    serve(request, response).catch((error: unknown) => fail(response, error));
  };
}

/** Refuses a request, in GraphQL's form. */
export function refuse(response: ServerResponse, status: number, code: ErrorCode, message: string): void {
  answer(response, status, { message, extensions: { code } });
}

function answer(response: ServerResponse, status: number, error: GraphQLFormattedError): void {
  if (response.headersSent || response.destroyed) return;
  // What was not read of the request is not waited for.
  if (!response.req.complete) response.setHeader('Connection', 'close');
  response.setHeader('Content-Type', 'application/json; charset=utf-8');
  response.statusCode = status;
  response.end(JSON.stringify({ errors: [error] }));
}

function headersOf({ headers }: IncomingMessage): HeaderMap {
  const map = new HeaderMap();
  for (const name in headers) {
    const value = headers[name];
    if (value !== undefined) map.set(name, Array.isArray(value) ? value.join(', ') : value);
  }
  return map;
}
