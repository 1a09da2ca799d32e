import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { pino } from 'pino';
import { type StripeSettings, StripeService } from '../../src/stripe/stripe.service.js';

/** One request as it arrived. */
interface Seen {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

export type Reply = (request: Seen, response: ServerResponse) => void;

/** A bad network with a server at its end: answers each request with the next of the replies, and the last one for ever. */
export async function fakeStripe(...replies: Reply[]) {
  const seen: Seen[] = [];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk) => (body += String(chunk)));
    request.on('end', () => {
      const one = { method: request.method!, path: request.url!, headers: request.headers, body };
      seen.push(one);
      replies[Math.min(seen.length, replies.length) - 1]!(one, response);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    seen,
    url,
    replyWith: (...next: Reply[]) => {
      replies.splice(0, replies.length, ...next);
      seen.length = 0;
    },
    stop: () =>
      new Promise<void>((resolve) => {
        server.closeAllConnections();
        server.close(() => resolve());
      }),
  };
}

/** The real service with the real SDK, in a hurry. */
export function serviceAt(apiBase: string, overrides: Partial<StripeSettings> = {}): StripeService {
  return new StripeService({
    secretKey: 'sk_test_local_transport',
    publishableKey: 'pk_test_local_transport',
    livemode: false,
    apiBase,
    timeoutMs: 500,
    budgetMs: 8_000,
    retryPauseMs: 10,
    maxNetworkRetries: 0,
    logger: pino({ level: 'silent' }),
    ...overrides,
  });
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Reply {
  return (_, response) => {
    response.writeHead(status, { 'content-type': 'application/json', 'request-id': 'req_1', ...headers });
    response.end(JSON.stringify(body));
  };
}

export function refusal(status: number, error: Record<string, unknown>, headers: Record<string, string> = {}): Reply {
  return json(status, { error: { type: 'invalid_request_error', message: 'No.', ...error } }, headers);
}

export const html: (status: number) => Reply = (status) => (_, response) => {
  response.writeHead(status, { 'content-type': 'text/html' });
  response.end('<html><body>Bad gateway</body></html>');
};

/** The effect happened, and half of the good news arrives. */
export function truncated(body: unknown): Reply {
  return (_, response) => {
    const text = JSON.stringify(body);
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
    response.write(text.slice(0, text.length / 2));
    setTimeout(() => response.destroy(), 10);
  };
}

export const reset: Reply = (_, response) => void response.destroy();
export const silence: Reply = () => {};

/** An intent as Stripe answers one, nested objects left out. */
export function anIntent(overrides: Record<string, unknown> = {}) {
  return {
    id: 'pi_1',
    object: 'payment_intent',
    amount: 10_000,
    amount_capturable: 0,
    amount_received: 0,
    application_fee_amount: 250,
    canceled_at: null,
    cancellation_reason: null,
    client_secret: 'pi_1_secret_1',
    created: 1_764_000_000,
    currency: 'usd',
    customer: null,
    last_payment_error: null,
    latest_charge: null,
    livemode: false,
    metadata: { command_id: 'c1' },
    payment_method: null,
    status: 'requires_payment_method',
    ...overrides,
  };
}
