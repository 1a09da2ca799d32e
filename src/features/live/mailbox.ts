import { type Uuid } from '../../shared/uuid.js';

export interface MailboxLimits {
  /** Rows that may wait. Each waits once, however often it changes. */
  readonly rows: number;
  /** Milliseconds that something may wait before its reader counts as stuck. */
  readonly waitMs: number;
}

const usual: MailboxLimits = { rows: 10_000, waitMs: 30_000 };

/** Rows that changed and were not told yet, for one reader. It holds ids, never what rows say: those are read when it is their turn. */
export class Mailbox {
  private readonly waiting = new Set<Uuid>();
  private reader: ((id: Uuid | null) => void) | null = null;
  private stuck: NodeJS.Timeout | null = null;
  private isClosed = false;

  /** @param overflowed called once, when the reader cannot keep up; the mailbox is closed then */
  constructor(
    private readonly overflowed: () => void,
    private readonly limits: MailboxLimits = usual,
  ) {}

  add(id: Uuid): void {
    if (this.isClosed) return;
    const { reader, limits } = this;
    if (reader) {
      this.reader = null;
      return reader(id);
    }
    this.waiting.add(id);
    this.stuck ??= setTimeout(() => this.overflow(), limits.waitMs).unref();
    if (this.waiting.size > limits.rows) this.overflow();
  }

  /** The next one, as soon as there is one; null when it was closed. For one reader at a time. */
  next(): Promise<Uuid | null> {
    if (this.stuck) clearTimeout(this.stuck);
    this.stuck = null;
    if (this.isClosed) return Promise.resolve(null);
    const [first] = this.waiting;
    if (first === undefined) return new Promise((resolve) => (this.reader = resolve));
    this.waiting.delete(first);
    if (this.waiting.size) this.stuck = setTimeout(() => this.overflow(), this.limits.waitMs).unref();
    return Promise.resolve(first);
  }

  close(): void {
    this.isClosed = true;
    this.waiting.clear();
    if (this.stuck) clearTimeout(this.stuck);
    this.reader?.(null);
    this.reader = null;
  }

  private overflow(): void {
    this.close();
    this.overflowed();
  }
}
