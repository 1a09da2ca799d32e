import { type IncomingMessage } from 'node:http';
import { type Duplex } from 'node:stream';
import {
  GraphQLError,
  type GraphQLFormattedError,
  type GraphQLSchema,
  getOperationAST,
  OperationTypeNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { CloseCode, type Context, type SubscribePayload } from 'graphql-ws';
import { type Extra, useServer } from 'graphql-ws/use/ws';
import { decodeJwt } from 'jose';
import { WebSocketServer } from 'ws';
import { type LiveConnection } from '../features/live/live.service.js';
import { type Clock } from '../shared/clock.js';
import { AppError, badInput } from '../shared/errors.js';
import { type Viewer } from '../shared/viewer.js';
import { type Authenticator } from './auth.js';
import { limitRules, maxTokens } from './limits.js';
import { type PersistedDocuments } from './persisted-documents.js';
import { RateLimit } from './rate-limit.js';

export interface LiveSettings {
  readonly schema: GraphQLSchema;
  readonly authenticator: Authenticator;
  readonly contextOf: (viewer: Viewer, connection: LiveConnection) => object;
  readonly introspection: boolean;
  readonly documents: PersistedDocuments | null;
  /** Of a client, for counting how often it connects. */
  readonly addressOf: (request: IncomingMessage) => string;
  readonly format: (formatted: GraphQLFormattedError, error: unknown) => GraphQLFormattedError;
  readonly clock: Clock;
}

/** Connections that one address may open per minute. */
const connectionsPerMinute = 120;
/** Connections that the people of one tenant may hold, in this process. */
const connectionsPerTenant = 500;
const subscriptionsPerConnection = 20;
const maxMessageBytes = 64 * 1024;
/** How long a client may take to say who it is, and to answer when it is told to go. */
const patienceMs = 5_000;
/** How often it is asked whether it is still there. One that does not answer until the next time is cut off. */
const pulseMs = 12_000;

/** "Try again later", of RFC 6455's registry: graphql-ws clients come back after it. */
const tryAgainLater = 1013;

/** What is known of a connection once its token was checked. */
type Admitted = Partial<Record<'viewer', Viewer>>;

type LiveContext = Context<Record<string, unknown>, Extra & Admitted>;

/**
 * Subscriptions over WebSocket, protocol graphql-transport-ws. The token comes in `connection_init` as `authorization: "Bearer …"`; when it expires
 * the connection is closed with 4403, and a client comes back with a new one. Queries and mutations are for `POST /graphql`.
 */
export class LiveEndpoint {
  private readonly sockets = new WebSocketServer({ noServer: true, maxPayload: maxMessageBytes });
  private readonly server: ReturnType<typeof useServer>;
  private readonly connects = new RateLimit(connectionsPerMinute);
  private readonly held = new Map<string, number>();
  private readonly rules = [...specifiedRules, ...limitRules()];
  private isStopping = false;

  constructor(private readonly settings: LiveSettings) {
    this.server = useServer<Record<string, unknown>, Admitted>(
      {
        connectionInitWaitTimeout: patienceMs,
        onConnect: (context) => this.admit(context),
        onSubscribe: (context, _id, payload) => this.check(context, payload),
        onNext: (_context, _id, _payload, _args, result) =>
          result.errors ? { ...result, errors: this.format(result.errors) } : undefined,
        onError: (_context, _id, _payload, errors) => this.format(errors),
      },
      this.sockets,
      pulseMs,
    );
  }

  /** Takes over a request that wants to become a WebSocket. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.isStopping) return turnAway(socket, '503 Service Unavailable');
    if (this.connects.count(this.settings.addressOf(request)).isExceeded)
      return turnAway(socket, '429 Too Many Requests');
    this.sockets.handleUpgrade(request, socket, head, (open) => this.sockets.emit('connection', open, request));
  }

  /** Tells all clients to go (1001), and waits until they have; for some seconds. */
  async stop(): Promise<void> {
    this.isStopping = true;
    const cut = setTimeout(() => this.sockets.clients.forEach((socket) => socket.terminate()), patienceMs);
    await this.server.dispose();
    clearTimeout(cut);
  }

  /** @returns false closes the connection with 4403 */
  private async admit({ connectionParams, extra }: LiveContext): Promise<boolean> {
    const header = connectionParams?.authorization ?? connectionParams?.Authorization;
    const { authenticator, clock } = this.settings;
    if (typeof header !== 'string') return false;
    const viewer = await authenticator.authenticate(header).catch((error: unknown) => {
      if (error instanceof AppError) return null;
      throw error;
    });
    const { socket } = extra;
    if (!viewer || socket.readyState !== socket.OPEN) return false;
    const holder = viewer.tenantId ?? 'platform';
    const count = this.held.get(holder) ?? 0;
    if (count >= connectionsPerTenant) {
      socket.close(tryAgainLater, 'Too many connections');
      return false;
    }
    this.held.set(holder, count + 1);
    // Later than a timer can be set for, it is set again by the client's next connection.
    const { exp = 0 } = decodeJwt(header.replace(/^Bearer +/i, ''));
    const lifetime = Math.min(Math.max(0, exp * 1000 - clock.now().getTime()), 2 ** 31 - 1);
    const expiry = setTimeout(() => socket.close(CloseCode.Forbidden, 'The token expired'), lifetime);
    socket.once('close', () => {
      clearTimeout(expiry);
      const left = (this.held.get(holder) ?? 1) - 1;
      if (left > 0) this.held.set(holder, left);
      else this.held.delete(holder);
    });
    extra.viewer = viewer;
    return true;
  }

  /** The same limits as over HTTP, and subscriptions only. */
  private check(context: LiveContext, payload: SubscribePayload) {
    const { schema, contextOf, introspection } = this.settings;
    const { socket, viewer } = context.extra;
    // The one that asks is counted already.
    if (Object.keys(context.subscriptions).length > subscriptionsPerConnection)
      return [
        new AppError('RATE_LIMITED', `A connection carries at most ${subscriptionsPerConnection} subscriptions.`),
      ];
    try {
      const { query, operationName, variables } = this.documentOf(payload);
      const document = parse(query, { maxTokens });
      const errors = validate(schema, document, this.rules);
      if (errors.length) return errors.map((error) => refusal(error, introspection));
      if (getOperationAST(document, operationName)?.operation !== OperationTypeNode.SUBSCRIPTION)
        throw badInput('query', 'Only subscriptions are asked here; ask others with POST.');
      const contextValue = contextOf(viewer!, { drop: () => socket.close(tryAgainLater, 'The client is too slow') });
      return { schema, document, operationName, variableValues: variables, contextValue };
    } catch (error) {
      if (error instanceof GraphQLError) return [error];
      throw error;
    }
  }

  /** The protocol wants a text; where a document is named by its id, it is empty. @throws AppError BAD_USER_INPUT */
  private documentOf(payload: SubscribePayload): SubscribePayload {
    const { documents } = this.settings;
    if (!documents) return payload;
    const { query, ...rest } = payload;
    return documents.resolve(query === '' ? rest : payload) as SubscribePayload;
  }

  private format(errors: readonly (GraphQLError | GraphQLFormattedError)[]): GraphQLFormattedError[] {
    return errors.map((error) => {
      const formatted = error instanceof GraphQLError ? error.toJSON() : error;
      const isSyntax = error instanceof GraphQLError && !error.originalError && !error.path;
      const code = isSyntax && !formatted.extensions?.code ? { extensions: { code: 'BAD_USER_INPUT' } } : {};
      return this.settings.format({ ...formatted, ...code }, error);
    });
  }
}

/** Why a document is not executed. What exists is not guessed at for those who may not see the schema. */
function refusal({ message, nodes, extensions }: GraphQLError, introspection: boolean): GraphQLError {
  if (extensions.code === 'QUERY_TOO_COMPLEX') return new AppError('QUERY_TOO_COMPLEX', message);
  const said = introspection ? message : message.replace(/ ?Did you mean .*$/s, '');
  return new GraphQLError(said, { nodes: nodes ?? null, extensions });
}

function turnAway(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}
