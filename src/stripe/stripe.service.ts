import Stripe from 'stripe';
import { createLogger, type Logger } from '../shared/logger.js';
import { type AccountReport } from './account-report.js';
import { AccountStripe } from './account-stripe.js';
import * as accounts from './accounts.js';
import * as bookings from './bookings.js';
import * as charges from './charges.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { Connection, type Wire } from './connection.js';
import * as events from './events.js';
import { WatchedHttpClient } from './http-client.js';
import {
  type AccountId,
  type Balance,
  type EventId,
  type Keyed,
  type Lookup,
  type StripeEvent,
  type ThinNotification,
} from './types.js';

/** What the service is made of. Times are milliseconds. */
export interface StripeSettings {
  readonly secretKey: string;
  /** For the frontend: the only key that leaves the server. */
  readonly publishableKey: string;
  /** Which side of Stripe the key is of. Every answer is held against it. */
  readonly livemode: boolean;
  /** Where Stripe is, if not at api.stripe.com: `http://localhost:12111`. */
  readonly apiBase?: string;
  /** Which API makes accounts. */
  readonly accountsApi?: accounts.AccountsApi;
  /** The platform's own `ca_…`. Without it, access to an account can be given up only by its owner. */
  readonly clientId?: string;
  /** Silence on one try after which it is given up: 15,000. */
  readonly timeoutMs?: number;
  /** What a call may take with all its tries: twice the timeout. */
  readonly budgetMs?: number;
  /** Tries of the SDK after the first, on broken connections, 409 and 5xx: 2. */
  readonly maxNetworkRetries?: number;
  /** First pause before a try after 429 or an unreadable answer: 500. */
  readonly retryPauseMs?: number;
  /** When Stripe counts as down: after 10 failed requests in a row, for 10,000. */
  readonly breaker?: { readonly threshold: number; readonly cooldownMs: number };
  readonly logger?: Logger;
}

/**
 * The only door to Stripe. It builds parameters, sends them, checks the answers and translates the failures; it decides nothing and
 * stores nothing.
 *
 * What concerns the platform is here; what concerns a tenant is behind {@link forAccount}, so that no call of a tenant can forget whose
 * it is. Every method throws {@link StripeFailure} and nothing else.
 *
 * @example
 * const intent = await stripe.forAccount('acct_1').createPaymentIntent(
 *   { amount: 10_000, currency: 'usd', applicationFee: 250, metadata: { command_id: command.id } },
 *   { key: stripeKey(command.id, 'payment-intent') },
 * );
 */
export class StripeService {
  readonly publishableKey: string;
  readonly livemode: boolean;
  private readonly accountsApi: accounts.AccountsApi;
  private readonly clientId: string | undefined;
  private readonly wire: Wire;
  private readonly platform: Connection;
  private readonly http: WatchedHttpClient;

  constructor(settings: StripeSettings) {
    const { timeoutMs = 15_000, retryPauseMs = 500, maxNetworkRetries = 2, logger = createLogger('warn') } = settings;
    const { protocol, host, port } = addressOf(settings.apiBase);
    const breaker = new CircuitBreaker(settings.breaker ?? { threshold: 10, cooldownMs: 10_000 });
    this.publishableKey = settings.publishableKey;
    this.livemode = settings.livemode;
    this.accountsApi = settings.accountsApi ?? 'v2';
    this.clientId = settings.clientId;
    this.http = new WatchedHttpClient(protocol, breaker);
    const sdk = new Stripe(settings.secretKey, {
      protocol,
      host,
      port,
      timeout: timeoutMs,
      maxNetworkRetries,
      telemetry: false,
      httpClient: this.http,
      appInfo: { name: 'psa-payments' },
    });
    logAnswers(sdk, logger);
    this.wire = {
      sdk,
      breaker,
      livemode: settings.livemode,
      budgetMs: settings.budgetMs ?? 2 * timeoutMs,
      retryPauseMs,
      logger,
    };
    this.platform = new Connection(this.wire, null);
  }

  /** Stripe as one connected account sees it. Cheap: nothing is opened. */
  forAccount(account: AccountId): AccountStripe {
    return new AccountStripe(new Connection(this.wire, account));
  }

  /** Whether {@link disconnectAccount} can do anything at Stripe. */
  get canDisconnect(): boolean {
    return this.clientId !== undefined;
  }

  /** Makes a tenant's account, with nothing known of it yet but what is given. {@link accounts.createConnectAccount} */
  createConnectAccount(input: accounts.CreateConnectAccount, keyed: Keyed): Promise<AccountReport> {
    return accounts.createConnectAccount(this.platform, this.accountsApi, input, keyed);
  }

  /** A link into Stripe's onboarding form, good once and for minutes. */
  createAccountLink(input: accounts.CreateAccountLink, keyed: Keyed): Promise<accounts.AccountLink> {
    return accounts.createAccountLink(this.platform, this.accountsApi, input, keyed);
  }

  /** The account's status and open requirements now. @throws AppError ACCOUNT_DISCONNECTED */
  retrieveAccount(id: AccountId): Promise<AccountReport> {
    return accounts.retrieveAccount(this.platform, id);
  }

  /** The account that carries this metadata, for a creation whose answer was lost. */
  findAccount(lookup: Lookup): Promise<AccountReport | null> {
    return accounts.findAccount(this.platform, this.accountsApi, lookup);
  }

  /** Gives the platform's access to an account up; the account goes on living. Only where {@link canDisconnect}. */
  disconnectAccount(id: AccountId, keyed: Keyed): Promise<void> {
    if (this.clientId === undefined)
      throw new Error('Without the platform’s client id no account can be disconnected.');
    return accounts.deauthorizeAccount(this.platform, this.clientId, id, keyed);
  }

  /** What was booked on the platform's own balance. {@link bookings.bookingsAfter} */
  bookingsAfter(after: string | null): AsyncGenerator<bookings.BookingReport[]> {
    return bookings.bookingsAfter(this.platform, after);
  }

  /** The platform's own balance: its fees. */
  retrieveBalance(): Promise<Balance> {
    return charges.retrieveBalance(this.platform);
  }

  /** The platform's own events, newest first: application fees, and nothing of the tenants. */
  listEvents(filter: { readonly since: Date; readonly types?: readonly string[] }): AsyncGenerator<StripeEvent> {
    return events.listEvents(this.platform, filter);
  }

  /** {@link events.listThinEvents} */
  listThinEvents(filter: {
    readonly since: Date;
    readonly types: readonly string[];
  }): AsyncGenerator<ThinNotification> {
    return events.listThinEvents(this.platform, filter);
  }

  /** One of the platform's own events. */
  retrieveEvent(id: EventId): Promise<StripeEvent> {
    return events.retrieveEvent(this.platform, id);
  }

  /**
   * What a thin event is about, as it is now. For accounts use {@link retrieveAccount}: v2 leaves out what is not asked for.
   * {@link events.retrieveRelatedObject}
   */
  retrieveRelatedObject<T extends { id: string; object: string }>(
    notification: Pick<ThinNotification, 'context' | 'related_object'>,
  ): Promise<T | null> {
    return events.retrieveRelatedObject<T>(this.platform, notification);
  }

  /** Whether Stripe counts as up: false while the breaker holds calls back. Who walks over many accounts stops then. */
  get isAvailable(): boolean {
    return !this.wire.breaker.holds;
  }

  /** Closes the connections. Calls under way fail. */
  close(): void {
    this.http.close();
  }
}

function addressOf(apiBase: string | undefined): { protocol: 'http' | 'https'; host?: string; port?: string } {
  if (!apiBase) return { protocol: 'https' };
  const url = new URL(apiBase);
  const protocol = url.protocol === 'http:' ? 'http' : 'https';
  return { protocol, host: url.hostname, port: url.port || (protocol === 'http' ? '80' : '443') };
}

/** The SDK leaves its emitter untyped. */
function logAnswers(
  sdk: { on: (name: 'response', listener: (answer: Stripe.ResponseEvent) => void) => void },
  logger: Logger,
) {
  sdk.on('response', ({ method, path, status, request_id: requestId, elapsed, account }) => {
    // Without its query: that can hold an e-mail address.
    logger.debug({ method, path: path.split('?')[0], status, requestId, elapsed, account }, 'Stripe answered');
  });
}
