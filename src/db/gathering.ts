import { type Connection } from 'pg';

/** What leaves a connection in one write. */
export class Gathering {
  private messages: Buffer[] = [];
  /** pg's connection, writing here. */
  readonly wire: Wire;

  constructor(connection: Connection) {
    const stream = { writable: true, write: (message: Buffer) => void this.messages.push(message) };
    // Only what it writes to differs. That a Sync was sent it notes on itself.
    this.wire = Object.create(connection, {
      stream: { value: stream },
      _ending: { set: (value: boolean) => void ((connection as unknown as { _ending: boolean })._ending = value) },
    }) as Wire;
  }

  get isEmpty(): boolean {
    return this.messages.length === 0;
  }

  add(bytes: Buffer): void {
    this.messages.push(bytes);
  }

  /** @returns the bytes of what `write` writes, which are gathered like all others */
  bytesOf(write: (wire: Wire) => void): Buffer {
    const from = this.messages.length;
    write(this.wire);
    const bytes = Buffer.concat(this.messages.splice(from));
    this.messages.push(bytes);
    return bytes;
  }

  take(): Buffer {
    const bytes = Buffer.concat(this.messages);
    this.messages = [];
    return bytes;
  }
}

/** What a message is made with: methods of pg's connection. */
interface Wire {
  parse(message: { name: string; text: string; types: [] }): void;
  bind(message: { portal: string; statement: string; values: readonly (string | null)[] }): void;
  execute(message: { portal: string; rows: number }): void;
  sync(): void;
}

/** Of the nameless portal, without a limit of rows. */
export const everything = { portal: '', rows: 0 };
