import { createClient } from 'graphql-ws';
import { type TypedDocumentString } from './generated/graphql.js';

export interface ServerError {
  readonly message: string;
  /** One of a closed list of codes, and what goes with it: `field`, `paymentId`, … */
  readonly extensions: { readonly code: string; readonly field?: string } & Readonly<Record<string, unknown>>;
}

/** What the server refused a request with. The first error decides; the others are there as well. */
export class RequestRefused extends Error {
  constructor(readonly errors: readonly [ServerError, ...ServerError[]]) {
    super(errors[0].message);
  }

  get code(): string {
    return this.errors[0].extensions.code;
  }
}

export interface ServerSettings {
  /** `https://billing.example.com` */
  readonly url: string;
  /** Asked for before each request and each connection, so that a fresh token is taken when the old one expired. */
  readonly token: () => string;
}

/** All that a frontend needs of the server: ask, and follow. The types come with the documents. */
export class Server {
  private readonly live;

  constructor(private readonly settings: ServerSettings) {
    this.live = createClient({
      url: `${settings.url.replace(/^http/, 'ws')}/graphql`,
      connectionParams: () => ({ authorization: `Bearer ${settings.token()}` }),
      // After each reconnect the state of then is sent first: nothing has to be asked again.
      retryAttempts: Infinity,
    });
  }

  /**
   * @throws RequestRefused
   * @example const { payments } = await server.ask(PaymentHistoryDocument, { first: 20 });
   */
  async ask<Result, Variables>(
    document: TypedDocumentString<Result, Variables>,
    variables: Variables,
  ): Promise<Result> {
    const response = await fetch(`${this.settings.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${this.settings.token()}` },
      body: JSON.stringify({ query: document.toString(), variables }),
    });
    const { data, errors } = (await response.json()) as { data?: Result; errors?: [ServerError, ...ServerError[]] };
    if (errors) throw new RequestRefused(errors);
    return data!;
  }

  /**
   * Tells the state of now, and then each change.
   * @returns how to stop
   * @example const stop = server.follow(PaymentChangesDocument, { invoiceId: 42 }, ({ paymentUpdated }) => show(paymentUpdated));
   */
  follow<Result, Variables extends Record<string, unknown>>(
    document: TypedDocumentString<Result, Variables>,
    variables: Variables,
    told: (result: Result) => void,
    failed: (error: unknown) => void = console.error,
  ): () => void {
    const request = { query: document.toString(), variables };
    return this.live.subscribe<Result>(request, {
      next: ({ data, errors }) => (errors ? failed(errors) : data && told(data)),
      error: failed,
      complete: () => undefined,
    });
  }

  /** Closes the connection. */
  close(): void {
    void this.live.dispose();
  }
}
