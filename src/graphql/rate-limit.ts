/** How a caller stands after one more request. */
export interface Standing {
  readonly isExceeded: boolean;
  /** As browsers' and other clients' libraries read it: draft 7 of the IETF's RateLimit header fields. */
  readonly headers: readonly [name: string, value: string][];
  readonly resetSeconds: number;
}

const windowMs = 60_000;

/** Counts requests per minute, in the memory of this process. All counts begin anew together, so what is kept is one minute's callers. */
export class RateLimit {
  private counts = new Map<string, number>();
  private endsAt = 0;

  constructor(private readonly limit: number) {}

  /** @param key who asks */
  count(key: string): Standing {
    const now = performance.now();
    if (now >= this.endsAt) {
      this.counts = new Map();
      this.endsAt = now + windowMs;
    }
    const count = (this.counts.get(key) ?? 0) + 1;
    this.counts.set(key, count);
    const { limit } = this;
    const resetSeconds = Math.ceil((this.endsAt - now) / 1000);
    const standing = `limit=${limit}, remaining=${Math.max(0, limit - count)}, reset=${resetSeconds}`;
    return {
      isExceeded: count > limit,
      resetSeconds,
      headers: [
        ['RateLimit-Policy', `${limit};w=${windowMs / 1000}`],
        ['RateLimit', standing],
      ],
    };
  }
}
