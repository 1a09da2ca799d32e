import { createServer, type Server } from 'node:http';
import { type AddressInfo } from 'node:net';
import Stripe from 'stripe';
import { type RunningSandbox, startSandbox } from '../../src/server.js';
import { type SandboxOptions } from '../../src/sandbox.js';

/** A sandbox of a test's own, with the real SDK pointed at it. */
export interface TestStripe extends RunningSandbox {
  stripe: Stripe;
  /** Another SDK client of the same sandbox. */
  client(key: string, config?: Stripe.StripeConfig): Stripe;
  control<T = Record<string, unknown>>(path: string, body?: object, method?: string): Promise<T>;
  /** A connected account that can charge, as request options. */
  connected(params?: Stripe.AccountCreateParams): Promise<{ stripeAccount: string }>;
}

export async function aStripe(options: Partial<SandboxOptions> = {}): Promise<TestStripe> {
  const running = await startSandbox({ settleMs: 5, ...options });
  const { hostname, port } = new URL(running.url);
  const client = (key: string, config: Stripe.StripeConfig = {}): Stripe =>
    new Stripe(key, {
      host: hostname,
      port,
      protocol: 'http',
      maxNetworkRetries: 0,
      telemetry: false,
      timeout: 60_000,
      ...config,
    });
  const stripe = client('sk_test_local_tests');
  const control = async <T>(path: string, body?: object, method = body ? 'POST' : 'GET'): Promise<T> => {
    const response = await fetch(`${running.url}/_control${path}`, {
      method,
      ...(body && { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
    });
    const answer = (await response.json()) as T;
    if (!response.ok) throw new Error(`${path}: ${JSON.stringify(answer)}`);
    return answer;
  };
  return {
    ...running,
    stripe,
    client,
    control,
    connected: async (params = {}) => {
      const { id } = await stripe.accounts.create({
        country: 'US',
        controller: {
          fees: { payer: 'account' },
          losses: { payments: 'stripe' },
          requirement_collection: 'stripe',
          stripe_dashboard: { type: 'full' },
        },
        ...params,
      });
      await control(`/accounts/${id}/onboard`, {});
      return { stripeAccount: id };
    },
  };
}

// Answers of unknown shape, as `fetch` gives them.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Loose = any;

export interface Posted {
  signature: string;
  body: string;
}

/** Something that listens for webhooks and answers as it is told. */
export interface Listener {
  url: string;
  posted: Posted[];
  /** Status for the next requests, in order; afterwards 200. */
  answers: number[];
  types(): string[];
  /** Waits until `test` holds. */
  until(test: (posted: Posted[]) => boolean): Promise<void>;
  close(): Promise<void>;
}

export async function aListener(): Promise<Listener> {
  const posted: Posted[] = [];
  const answers: number[] = [];
  const server: Server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      posted.push({
        signature: String(request.headers['stripe-signature']),
        body: Buffer.concat(chunks).toString('utf8'),
      });
      response.writeHead(answers.shift() ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    posted,
    answers,
    types: () => posted.map(({ body }) => (JSON.parse(body) as { type: string }).type),
    until: async (test) => {
      for (let i = 0; i < 6_000; i++) {
        if (test(posted)) return;
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
      throw new Error(
        `never happened; posted: ${posted.map(({ body }) => (JSON.parse(body) as { type: string }).type).join(', ')}`,
      );
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** What the SDK threw. */
export async function failure(work: Promise<unknown>): Promise<Stripe.errors.StripeError> {
  try {
    await work;
  } catch (error) {
    return error as Stripe.errors.StripeError;
  }
  throw new Error('it should have failed');
}
