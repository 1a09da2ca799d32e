import { StripeError } from './errors.js';

export interface StoredAnswer {
  status: number;
  body: string;
  /** Id of the request that first had this answer. */
  request: string;
}

interface Entry {
  fingerprint: string;
  /** Unix seconds on the sandbox's clock. */
  at: number;
  answer: StoredAnswer | null;
}

const keptSeconds = 24 * 3600;

/**
 * The first result under a key is replayed for 24 hours, whatever it was (402 and 500 included); other parameters under the same key are refused;
 * a request while the first is still running gets a 409. Keys are per account. {@link https://docs.stripe.com/api/idempotent_requests}
 */
export class Idempotency {
  private readonly entries = new Map<string, Entry>();

  /**
   * Opens a key for a request, or returns what it answered before.
   * @throws StripeError 400 `idempotency_error`, 409 `idempotency_key_in_use`, 400 for a key beyond 255 characters
   */
  begin(account: string, key: string, fingerprint: string, now: number): StoredAnswer | null {
    if (key.length > 255)
      throw new StripeError(400, 'Idempotency keys may be at most 255 characters long.', { type: 'idempotency_error' });
    this.prune(now);
    const id = `${account} ${key}`;
    const entry = this.entries.get(id);
    if (!entry) {
      this.entries.set(id, { fingerprint, at: now, answer: null });
      return null;
    }
    if (entry.fingerprint !== fingerprint) {
      throw new StripeError(
        400,
        `Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '${key}' if you meant to execute a different request.`,
        { type: 'idempotency_error' },
      );
    }
    if (entry.answer === null) {
      throw new StripeError(
        409,
        `There is currently another in-progress request using this Idempotent Key (that probably means you submitted twice, and the other request is still going through): ${key}. Please try again later.`,
        { type: 'idempotency_error', code: 'idempotency_key_in_use' },
      );
    }
    return entry.answer;
  }

  finish(account: string, key: string, answer: StoredAnswer): void {
    const entry = this.entries.get(`${account} ${key}`);
    if (entry) entry.answer = answer;
  }

  /** The request never began to execute: the key stays free. */
  release(account: string, key: string): void {
    this.entries.delete(`${account} ${key}`);
  }

  clear(): void {
    this.entries.clear();
  }

  dump(): [string, Entry][] {
    return [...this.entries].filter(([, entry]) => entry.answer !== null);
  }

  load(entries: [string, Entry][]): void {
    for (const [id, entry] of entries) this.entries.set(id, entry);
  }

  /** Entries stand in order of time, so the old ones are at the front. */
  private prune(now: number): void {
    for (const [id, entry] of this.entries) {
      if (entry.at > now - keptSeconds) return;
      if (entry.answer !== null) this.entries.delete(id);
    }
  }
}
