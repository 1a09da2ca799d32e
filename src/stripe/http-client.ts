import { AsyncLocalStorage } from 'node:async_hooks';
import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import Stripe from 'stripe';
import { type CircuitBreaker } from './circuit-breaker.js';

type Client = ReturnType<typeof Stripe.createNodeHttpClient>;
type Answer = Awaited<ReturnType<Client['makeRequest']>>;

/** What became of the tries of one call. The SDK retries by itself and reports only the last try; the earlier ones count too. */
export interface CallTrace {
  /** When the call must be over, by `performance.now()`. */
  readonly deadline: number;
  /** Whether some try may have reached Stripe and got no answer that settles it. */
  unsettled: boolean;
}

/** Joins a call to the requests that the SDK makes for it. */
export const callTrace = new AsyncLocalStorage<CallTrace>();

/** The network saying that not one byte was sent. */
const neverSent = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ERR_INVALID_URL',
  'HELD_BACK',
]);

/**
 * The SDK's own HTTP client, watched: it notes which tries were left open, keeps a call within its deadline (the SDK's timeout is one of
 * silence, per try), and holds requests back while Stripe is down.
 */
export class WatchedHttpClient {
  private readonly inner: Client;

  constructor(
    protocol: 'http' | 'https',
    private readonly breaker: CircuitBreaker,
  ) {
    // The SDK's default agent is shared by the whole process; ours is closed with the service.
    this.agent = protocol === 'http' ? new HttpAgent({ keepAlive: true }) : new HttpsAgent({ keepAlive: true });
    this.inner = Stripe.createNodeHttpClient(this.agent);
  }

  private readonly agent: HttpAgent;

  getClientName(): string {
    return this.inner.getClientName();
  }

  async makeRequest(...request: Parameters<Client['makeRequest']>): Promise<Answer> {
    const trace = callTrace.getStore();
    const timeout = request[7];
    const left = trace ? Math.min(timeout, trace.deadline - performance.now()) : timeout;
    // Held back requests look to the SDK like a network that is down.
    if (left <= 0 || !this.breaker.admit()) throw heldBack();
    request[7] = Math.ceil(left);
    try {
      const answer = await within(left, this.inner.makeRequest(...request));
      const status = answer.getStatusCode();
      this.breaker.report(status < 500);
      // 2xx: something happened, and the call may still fail on what is read. 409: a request under the same key is still running.
      if (trace && (status < 400 || status >= 500 || status === 409)) trace.unsettled = true;
      return watchBody(answer, left, trace);
    } catch (error) {
      this.breaker.report(false);
      if (trace && !neverSent.has(codeOf(error))) trace.unsettled = true;
      throw error;
    }
  }

  /** Closes idle connections; a request under way is not cut. */
  close(): void {
    this.agent.destroy();
  }
}

/** Notes an answer whose body did not arrive whole, and gives up on one that trickles in. */
function watchBody(answer: Answer, ms: number, trace: CallTrace | undefined): Answer {
  const read = answer.toJSON.bind(answer);
  answer.toJSON = async () => {
    try {
      const body = (await within(ms, read())) as unknown;
      // The SDK stumbles over JSON that is no object.
      if (typeof body !== 'object' || body === null) throw new Error('The answer is no object.');
      return body;
    } catch (error) {
      if (trace) trace.unsettled = true;
      (answer.getRawResponse() as { destroy?: () => void }).destroy?.();
      throw error;
    }
  };
  return answer;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(Object.assign(new Error('No whole answer in time.'), { code: 'ETIMEDOUT' })), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function heldBack(): Error {
  return Object.assign(new Error('Not sent: Stripe is down, or the time for this call is over.'), {
    code: 'HELD_BACK',
  });
}

function codeOf(error: unknown): string {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === 'string' ? code : '';
}
