import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';

/** A line to PostgreSQL that can be made to fail. */
export class Proxy {
  /**
   * `cut-answer`: what is asked arrives, and the line is cut before the answer does. `half-open`: the other end is gone, and nobody said so; so it
   * stays for the lines that were open then. `log-in`: lets in, and answers nothing more, as a pooler whose PostgreSQL is away.
   */
  mode: 'pass' | 'refuse' | 'swallow' | 'cut-answer' | 'half-open' | 'log-in' = 'pass';
  private readonly server: Server;
  private readonly sockets = new Set<Socket>();

  private constructor(private readonly target: URL) {
    const { hostname, port } = target;
    this.server = createServer((client) => {
      this.sockets.add(client);
      client.on('error', () => undefined);
      if (this.mode === 'refuse') return void client.destroy();
      let isIn = false;
      const upstream = connect(Number(port), hostname);
      this.sockets.add(upstream);
      upstream.on('error', () => client.destroy());
      upstream.on('close', () => {
        if (this.mode !== 'half-open') client.destroy();
      });
      client.on('close', () => upstream.destroy());
      client.on('data', (chunk) => {
        if (this.mode === 'refuse') client.destroy();
        else if (this.mode === 'half-open') upstream.destroy();
        else if (this.mode !== 'swallow' && !upstream.destroyed) upstream.write(chunk);
      });
      upstream.on('data', (chunk) => {
        if (this.mode === 'cut-answer') client.destroy();
        else if (this.mode === 'pass' || (this.mode === 'log-in' && !isIn)) client.write(chunk);
        isIn ||= chunk.includes('Z\0\0\0\x05I');
      });
    });
  }

  /** @param target a connection string */
  static async to(target: string): Promise<Proxy> {
    const proxy = new Proxy(new URL(target));
    await new Promise<void>((resolve) => proxy.server.listen(0, '127.0.0.1', resolve));
    return proxy;
  }

  /** The connection string that leads through here. */
  get url(): string {
    const url = new URL(this.target);
    url.port = String((this.server.address() as AddressInfo).port);
    return url.href;
  }

  close(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
