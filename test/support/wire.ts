import { type AddressInfo, connect, createServer, type Server } from 'node:net';

/** A line to PostgreSQL on which round trips are counted. */
export class Wire {
  trips = 0;
  /** What was sent, for whoever wants to know why. */
  readonly sent: string[] = [];
  private server!: Server;
  url!: string;

  /** @param url a connection string */
  static async to(url: string): Promise<Wire> {
    const wire = new Wire();
    const target = new URL(url);
    wire.server = createServer((client) => {
      const upstream = connect(Number(target.port || 5432), target.hostname);
      let asked = false;
      client.on('data', (data) => {
        if (!asked) wire.trips += 1;
        asked = true;
        wire.sent.push(data.toString('latin1'));
        upstream.write(data);
      });
      upstream.on('data', (data) => {
        asked = false;
        client.write(data);
      });
      client.on('close', () => upstream.destroy()).on('error', () => undefined);
      upstream.on('close', () => client.destroy()).on('error', () => undefined);
    });
    await new Promise<void>((resolve) => wire.server.listen(0, '127.0.0.1', resolve));
    const through = new URL(url);
    through.hostname = '127.0.0.1';
    through.port = String((wire.server.address() as AddressInfo).port);
    wire.url = through.href;
    return wire;
  }

  close(): Promise<void> {
    return new Promise((resolve) => this.server.close(() => resolve()));
  }
}
