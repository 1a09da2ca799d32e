import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { Webhook } from 'standardwebhooks';

/** A request that an endpoint was sent. */
export interface Told {
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** What its body says. */
  readonly event: { readonly type: string; readonly timestamp: string; readonly data: Record<string, unknown> };
}

/** What a tenant's software is in these tests: a real HTTP server. */
export interface Receiver {
  readonly url: string;
  readonly told: Told[];
  /** Those of one type. */
  of(type: string): Told[];
  /** How the next requests are answered; the last goes for all that follow. `hang`: not before they are released. */
  answer(...answers: (number | 'hang' | 'flood')[]): void;
  /** Answers those that hang. */
  release(status: number): void;
  stop(): Promise<void>;
}

export async function startReceiver(): Promise<Receiver> {
  const told: Told[] = [];
  const hanging: ServerResponse[] = [];
  let answers: (number | 'hang' | 'flood')[] = [200];
  const server = createServer((request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      told.push({ headers: request.headers, body, event: JSON.parse(body) as Told['event'] });
      const answer = answers.length > 1 ? answers.shift()! : answers[0]!;
      if (answer === 'hang') return void hanging.push(response);
      if (answer === 'flood') {
        response.writeHead(200);
        const more = () => response.write('x'.repeat(65_536), () => void (response.destroyed || setImmediate(more)));
        return more();
      }
      response.writeHead(answer, { location: '/elsewhere' }).end('An answer.');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`,
    told,
    of: (type) => told.filter(({ event }) => event.type === type),
    answer: (...next) => void (answers = next),
    release: (status) => hanging.splice(0).forEach((response) => response.writeHead(status).end()),
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => void server.close(resolve));
    },
  };
}

/** Whether a request is signed with a secret, as a receiver would find out. */
export function isSigned({ headers, body }: Told, secret: string): boolean {
  try {
    new Webhook(secret).verify(body, headers as Record<string, string>);
    return true;
  } catch {
    return false;
  }
}
