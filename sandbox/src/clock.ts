/** Work that falls due at a time; kept as data so that it survives a restart with `--data`. */
export interface Due {
  /** Unix seconds; fractions allowed. */
  at: number;
  /** Which handler does it: a key of some resource's `due` table. */
  kind: string;
  /** The account whose objects it concerns. */
  account: string;
  /** What it concerns, usually an object's id. */
  ref: string;
  /** The test clock it waits on; null waits on the sandbox's own clock. */
  clock: string | null;
  /** Equal times keep the order of scheduling. */
  seq: number;
}

/**
 * Time as the sandbox sees it: the machine's clock plus an offset that only grows (`/_control/advance`). While due work runs, time stands
 * at the moment that the work was due, so that whatever it creates bears the right stamp.
 */
export class Clock {
  /** Seconds ahead of the machine's clock. */
  offset = 0;
  private pinned: number | null = null;

  /** Unix seconds with fractions. */
  exact(): number {
    return this.pinned ?? Date.now() / 1000 + this.offset;
  }

  /** The sandbox's own time even while due work stands at another: what is a matter of the wire, not of billing, waits on this. */
  unpinned(): number {
    return Date.now() / 1000 + this.offset;
  }

  /** Unix seconds, whole, as in `created`. */
  now(): number {
    return Math.floor(this.exact());
  }

  /** Runs synchronous work as if it were `at`. */
  pin<T>(at: number, work: () => T): T {
    const before = this.pinned;
    this.pinned = at;
    try {
      return work();
    } finally {
      this.pinned = before;
    }
  }
}

/** A binary heap per clock: due work comes out in time order. */
export class Scheduler {
  private readonly heaps = new Map<string | null, Due[]>();
  private seq = 0;
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  /**
   * @param run does one piece of work; time is already pinned to its `at`
   * @param failed hears of work that threw, which never stops the rest
   */
  constructor(
    private readonly clock: Clock,
    private readonly run: (due: Due) => void,
    private readonly failed: (due: Due, error: unknown) => void,
  ) {}

  schedule(work: { at: number; kind: string; account: string; ref: string; clock?: string | null }): void {
    const due: Due = { ...work, clock: work.clock ?? null, seq: this.seq++ };
    const heap = this.heap(due.clock);
    heap.push(due);
    this.up(heap, heap.length - 1);
    if (due.clock === null) this.arm();
  }

  /** Drops the work of one kind (or all) for an object. Linear: for rare use. */
  cancel(ref: string, kind?: string): void {
    for (const [key, heap] of this.heaps) {
      const kept = heap.filter((due) => due.ref !== ref || (kind !== undefined && due.kind !== kind));
      if (kept.length === heap.length) continue;
      kept.sort(before);
      this.heaps.set(key, kept);
    }
  }

  /** Forgets a test clock and all that waits on it. */
  drop(clock: string): void {
    this.heaps.delete(clock);
  }

  /** When the next work of a clock falls due, or null. */
  next(clock: string | null): number | null {
    return this.heaps.get(clock)?.[0]?.at ?? null;
  }

  /**
   * Does everything of one clock that is due by `until`, in time order, including what that work schedules in turn.
   * @param step hears the time before each piece (test clocks move their frozen time)
   */
  runUntil(clock: string | null, until: number, step?: (at: number) => void): number {
    const heap = this.heap(clock);
    let done = 0;
    for (let due = this.heap(clock)[0]; due && due.at <= until; due = this.heap(clock)[0]) {
      this.pop(this.heap(clock));
      const work = due;
      step?.(work.at);
      this.clock.pin(work.at, () => {
        try {
          this.run(work);
        } catch (error) {
          this.failed(work, error);
        }
      });
      done++;
    }
    if (heap.length > 0 && clock === null) this.arm();
    return done;
  }

  stop(): void {
    this.stopped = true;
    if (this.timer) clearTimeout(this.timer);
  }

  clear(): void {
    this.heaps.clear();
  }

  all(): Due[] {
    return [...this.heaps.values()].flat().sort(before);
  }

  /** Wakes when the next work of the sandbox's own clock is due. */
  arm(): void {
    if (this.stopped) return;
    const at = this.next(null);
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    if (at === null) return;
    // setTimeout cannot wait longer than 2^31 ms; waking early only arms again.
    const wait = Math.min(Math.max(0, (at - this.clock.exact()) * 1000), 2_000_000_000);
    this.timer = setTimeout(() => {
      this.timer = null;
      this.runUntil(null, this.clock.exact());
      this.arm();
    }, wait);
    this.timer.unref();
  }

  private heap(clock: string | null): Due[] {
    let heap = this.heaps.get(clock);
    if (!heap) this.heaps.set(clock, (heap = []));
    return heap;
  }

  private up(heap: Due[], i: number): void {
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (before(heap[i]!, heap[parent]!) >= 0) return;
      [heap[i], heap[parent]] = [heap[parent]!, heap[i]!];
      i = parent;
    }
  }

  private pop(heap: Due[]): void {
    const last = heap.pop()!;
    if (heap.length === 0) return;
    heap[0] = last;
    for (let i = 0; ;) {
      const left = 2 * i + 1;
      const right = left + 1;
      let least = i;
      if (left < heap.length && before(heap[left]!, heap[least]!) < 0) least = left;
      if (right < heap.length && before(heap[right]!, heap[least]!) < 0) least = right;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  }
}

function before(a: Due, b: Due): number {
  return a.at - b.at || a.seq - b.seq;
}
