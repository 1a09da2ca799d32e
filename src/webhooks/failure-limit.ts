import { type Clock } from '../shared/clock.js';

/**
 * Counts failures per address, in windows. Only who fails is ever counted or refused, so authentic traffic, whatever address it shares, never
 * meets a limit.
 */
export class FailureLimit {
  private counts = new Map<string, number>();
  private windowEnds = 0;

  /**
   * @param perWindow failures of one address that are answered in full
   * @param windowMs length of a window, in milliseconds
   */
  constructor(
    private readonly clock: Clock,
    private readonly perWindow = 30,
    private readonly windowMs = 60_000,
  ) {}

  /** Notes a failure. @returns whether this address has used up its window */
  exceeded(address: string): boolean {
    const now = this.clock.now().getTime();
    // All windows end together: forgetting is one assignment, and nobody can fill the memory with addresses for longer than one.
    if (now >= this.windowEnds || this.counts.size > 50_000) {
      this.counts = new Map();
      this.windowEnds = now + this.windowMs;
    }
    const failures = (this.counts.get(address) ?? 0) + 1;
    this.counts.set(address, failures);
    return failures > this.perWindow;
  }
}
