/** How the breaker may be tuned. */
export interface BreakerSettings {
  /** Failures in a row, with no success between them, after which nothing more is sent. */
  readonly threshold: number;
  /** How long nothing is sent, in milliseconds; then one request goes through to see. */
  readonly cooldownMs: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly now?: () => number;
}

/**
 * Stops calling a service that is down, so that callers fail at once instead of each waiting for its own timeout. One per process:
 * processes may see different networks.
 */
export class CircuitBreaker {
  private failures = 0;
  private openUntil = 0;
  private probing = false;
  private readonly now: () => number;

  constructor(private readonly settings: BreakerSettings) {
    this.now = settings.now ?? (() => performance.now());
  }

  /** Whether a request would be held back now. */
  get holds(): boolean {
    return this.isOpen && (this.probing || this.now() < this.openUntil);
  }

  /** Asks to send one request. After `true`, {@link report} must follow. */
  admit(): boolean {
    if (this.holds) return false;
    this.probing = this.isOpen;
    return true;
  }

  /** @param healthy whether the service itself answered, if only with a refusal */
  report(healthy: boolean): void {
    this.probing = false;
    if (healthy) {
      this.failures = 0;
      return;
    }
    this.failures += 1;
    if (this.isOpen) this.openUntil = this.now() + this.settings.cooldownMs;
  }

  private get isOpen(): boolean {
    return this.failures >= this.settings.threshold;
  }
}
