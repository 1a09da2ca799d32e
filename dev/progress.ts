/** Shows on stderr how far something is: a line that is written over on a terminal, a line every few seconds in a log. */
export class Progress {
  private lastAt = -Infinity;
  private readonly isTerminal = process.stderr.isTTY;

  /** @param total null when nobody knows beforehand */
  constructor(
    private readonly what: string,
    private readonly total: number | null = null,
  ) {}

  at(done: number, now = ''): void {
    const pause = this.isTerminal ? 100 : 5_000;
    if (performance.now() - this.lastAt < pause) return;
    this.lastAt = performance.now();
    this.write(done, now);
  }

  end(done: number): void {
    this.write(done, '');
    if (this.isTerminal) process.stderr.write('\n');
  }

  private write(done: number, now: string): void {
    const width = 24;
    const share = this.total ? Math.min(1, done / this.total) : null;
    const bar =
      share === null ? '' : `[${'='.repeat(Math.round(share * width)).padEnd(width)}] ${Math.floor(share * 100)}% `;
    const line = `${this.what} ${bar}${done}${this.total === null ? '' : ` of ${this.total}`}${now && ` · ${now}`}`;
    process.stderr.write(this.isTerminal ? `\r\x1b[K${line}` : `${line}\n`);
  }
}
