import { closeSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { type Sandbox, type StateRecord } from './sandbox.js';

/** A save waits so many times as long as the last one took: however large the state, it costs at most a twentieth of the time. */
const patience = 20;
const shortestWaitMs = 500;

/**
 * Keeps a sandbox in a file: JSON lines, written aside and put in place in one step, so that whoever kills the process finds the last
 * whole state, at most half a second old (longer only when writing it takes long).
 */
export class DataFile {
  private timer: NodeJS.Timeout | null = null;
  private waitMs = shortestWaitMs;

  constructor(
    private readonly path: string,
    private readonly sandbox: Sandbox,
  ) {}

  /** Takes over what the file holds. @returns false when there is no file yet @throws Error when it is none of ours */
  read(): boolean {
    let text: string;
    try {
      text = readFileSync(this.path, 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return false;
      throw error;
    }
    try {
      this.sandbox.load(linesOf(text));
    } catch (error) {
      throw new Error(
        `${this.path} cannot be read as the state of a local Stripe (${error instanceof Error ? error.message : String(error)}); move it away to start anew`,
        { cause: error },
      );
    }
    return true;
  }

  /** Saves from now on whenever something changed. */
  follow(): void {
    this.sandbox.onChange = () => {
      this.timer ??= setTimeout(() => this.save(), this.waitMs);
    };
  }

  /** Writes the state now. */
  save(): void {
    if (this.timer) clearTimeout(this.timer);
    this.timer = null;
    const began = performance.now();
    const aside = `${this.path}.new`;
    const fd = openSync(aside, 'w', 0o600);
    try {
      let lines: string[] = [];
      let size = 0;
      const flush = (): void => {
        writeSync(fd, lines.join(''));
        lines = [];
        size = 0;
      };
      for (const record of this.sandbox.records()) {
        const line = `${JSON.stringify(record)}\n`;
        lines.push(line);
        size += line.length;
        if (size > 1_000_000) flush();
      }
      flush();
    } finally {
      closeSync(fd);
    }
    renameSync(aside, this.path);
    this.waitMs = Math.max(shortestWaitMs, (performance.now() - began) * patience);
  }
}

function* linesOf(text: string): Generator<StateRecord> {
  for (let at = 0; at < text.length;) {
    const end = text.indexOf('\n', at);
    const line = text.slice(at, end < 0 ? undefined : end);
    at = end < 0 ? text.length : end + 1;
    if (line !== '') yield JSON.parse(line) as StateRecord;
  }
}
