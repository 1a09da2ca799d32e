import { randomBytes } from 'node:crypto';
import { startLocalStripe } from '../../dev/local-stripe.js';
import { until } from './until.js';

export interface SandboxOptions {
  /** Where it posts its webhooks; nowhere that answers, when left out. */
  readonly webhookUrl?: string;
  /** A file or folder for every exchange, to be checked against Stripe's types. */
  readonly record?: string;
  /** More of its flags, see sandbox/README.md. */
  readonly flags?: readonly string[];
  /** A port to come back to, for tests that stop and start it. */
  readonly port?: number;
  /** A file for its state, for tests that stop and start it. */
  readonly dataFile?: string;
}

/** A local Stripe of a test's own, and what is needed to talk to it. */
export interface TestSandbox {
  readonly url: string;
  readonly secretKey: string;
  readonly publishableKey: string;
  readonly webhookSecrets: { readonly snapshot: string; readonly thin: string };
  /** Calls `/_control<path>`: POST with a body, GET without. */
  control<T = Record<string, unknown>>(
    path: string,
    body?: Record<string, unknown>,
    method?: 'GET' | 'POST' | 'DELETE',
  ): Promise<T>;
  /** Calls the API with the secret key as the platform would, for a connected account or for itself. */
  api<T = Record<string, unknown>>(method: string, path: string, options?: ApiOptions): Promise<T>;
  stop(): Promise<void>;
}

interface ApiOptions {
  readonly account?: string;
  readonly form?: Record<string, string>;
  /** As Stripe.js does: the publishable key instead of the secret one. */
  readonly asBrowser?: boolean;
}

/** Waits until the local Stripe has done all that follows by itself within seconds: bookings, an account's last words. */
export async function atRest({ control }: Pick<TestSandbox, 'control'>): Promise<void> {
  await until(async () => {
    const { now, due } = await control<{ now: number; due: { at: number }[] }>('/state');
    return due.every(({ at }) => at > now + 5);
  }, 'Stripe is at rest');
}

export async function startSandbox(options: SandboxOptions = {}): Promise<TestSandbox> {
  const id = randomBytes(8).toString('hex');
  const secretKey = `sk_test_local_${id}`;
  const publishableKey = `pk_test_local_${id}`;
  const webhookSecrets = { snapshot: `whsec_${id}snapshot`, thin: `whsec_${id}thin` };
  const running = await startLocalStripe({
    port: options.port ?? 0,
    secretKey,
    // The discard port: refuses at once.
    webhookUrl: options.webhookUrl ?? 'http://127.0.0.1:9/',
    webhookSecrets,
    flags: ['--retry-schedule', '0.2,0.5,1,2,4', ...(options.flags ?? [])],
    ...(options.record && { record: options.record }),
    ...(options.dataFile && { dataFile: options.dataFile }),
  });

  const send = async <T>(method: string, path: string, init: RequestInit): Promise<T> => {
    const response = await fetch(`${running.url}${path}`, { method, ...init });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    return JSON.parse(text) as T;
  };
  return {
    url: running.url,
    secretKey,
    publishableKey,
    webhookSecrets,
    control: (path, body, method = body ? 'POST' : 'GET') =>
      send(method, `/_control${path}`, {
        ...(body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }),
      }),
    api: (method, path, { account, form, asBrowser } = {}) => {
      const query = method === 'GET' && form ? `?${new URLSearchParams(form).toString()}` : '';
      return send(method, `${path}${query}`, {
        headers: {
          authorization: `Bearer ${asBrowser ? publishableKey : secretKey}`,
          ...(account && { 'stripe-account': account }),
        },
        ...(form && method !== 'GET' && { body: new URLSearchParams(form) }),
      });
    },
    stop: () => running.stop(),
  };
}
