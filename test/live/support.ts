import { type Client, createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { type TestApp } from '../support/harness.js';
import { until } from '../support/until.js';

/** One subscription as a client sees it. */
export interface Following {
  /** What was told, in order: the field's value. */
  readonly told: Record<string, any>[]; // eslint-disable-line @typescript-eslint/no-explicit-any -- tests look into all of it
  readonly errors: { readonly message: string; readonly extensions?: Record<string, unknown> }[];
  stop(): void;
}

export interface LiveClient {
  /** Codes and reasons with which the connection was closed. */
  readonly closes: { readonly code: number; readonly reason: string }[];
  /** The sockets that were opened, the newest last. */
  readonly sockets: WebSocket[];
  follow(query: string, variables?: Record<string, unknown>, extensions?: Record<string, unknown>): Following;
  dispose(): Promise<void>;
}

/** A graphql-ws client as a frontend uses it, on a real WebSocket. */
export function aLiveClient(app: Pick<TestApp, 'url'>, token: string | (() => string), retryAttempts = 0): LiveClient {
  const closes: LiveClient['closes'] = [];
  const sockets: WebSocket[] = [];
  class Watched extends WebSocket {
    constructor(address: string, protocol: string) {
      super(address, protocol);
      sockets.push(this);
    }
  }
  const client: Client = createClient({
    url: `${app.url.replace('http', 'ws')}/graphql`,
    webSocketImpl: Watched,
    retryAttempts,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, 100)),
    connectionParams: () => ({ authorization: `Bearer ${typeof token === 'string' ? token : token()}` }),
    on: { closed: (event) => closes.push(event as { code: number; reason: string }) },
  });
  return {
    closes,
    sockets,
    follow(query, variables = {}, extensions = {}) {
      const following = { told: [] as Following['told'], errors: [] as Following['errors'] };
      const stop = client.subscribe<Record<string, Record<string, unknown>>>(
        { query, variables, extensions },
        {
          next: ({ data, errors }) => {
            if (data) following.told.push(...Object.values(data));
            if (errors) following.errors.push(...errors);
          },
          error: (error) => following.errors.push(...(Array.isArray(error) ? error : [{ message: String(error) }])),
          complete: () => undefined,
        },
      );
      return { ...following, stop };
    },
    dispose: async () => client.dispose(),
  };
}

/** Waits until so much was told. */
export function toldOf(following: Following, count: number) {
  return until(() => following.told.length >= count && following.told, `${count} states were told`);
}
