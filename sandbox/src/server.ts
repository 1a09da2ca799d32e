import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo } from 'node:net';
import { answer, type Incoming, type Outgoing } from './api.js';
import { exchangeOf, recorder } from './record.js';
import { resources } from './resources/index.js';
import { Sandbox, type SandboxOptions } from './sandbox.js';

const bodyLimit = 2 * 1024 * 1024;
/** Evidence files of a dispute may have 4.5 MB together. {@link https://docs.stripe.com/disputes/best-practices} */
const uploadLimit = 8 * 1024 * 1024;

export interface RunningSandbox {
  sandbox: Sandbox;
  /** e.g. `http://127.0.0.1:12111`. */
  url: string;
  stop(): Promise<void>;
}

/**
 * Starts a sandbox on loopback. Port 0 takes a free one. With `LOCAL_STRIPE_RECORD=PATH` in the environment it records what passes there
 * (see {@link recorder}), however it was started: so a test run can have all its traffic checked without a word from any test.
 */
export async function startSandbox(
  options: Partial<SandboxOptions> & { port?: number; host?: string } = {},
): Promise<RunningSandbox> {
  const { port = 0, host = '127.0.0.1', ...rest } = options;
  const record = process.env['LOCAL_STRIPE_RECORD'];
  const sandbox = new Sandbox(resources, { ...(record && { onExchange: recorder(record) }), ...rest });
  const server = createServer((request, response) => {
    handle(sandbox, request, response).catch((error: unknown) => {
      sandbox.options.log(`request failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
      response.destroy();
    });
  });
  server.keepAliveTimeout = 65_000;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  sandbox.url = `http://${host}:${(server.address() as AddressInfo).port}`;
  return {
    sandbox,
    url: sandbox.url,
    stop: async () => {
      sandbox.stop();
      await close(server);
    },
  };
}

async function close(server: Server): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  server.closeIdleConnections();
  const timer = setTimeout(() => server.closeAllConnections(), 1_000);
  await closed;
  clearTimeout(timer);
}

async function handle(sandbox: Sandbox, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const body = await read(request);
  const incoming: Incoming = {
    method: request.method ?? 'GET',
    url: request.url ?? '/',
    headers: request.headers,
    body,
  };
  const outgoing = await answer(sandbox, incoming);
  sandbox.options.onExchange?.(exchangeOf(incoming, outgoing));
  write(sandbox, outgoing, response);
}

function write(sandbox: Sandbox, outgoing: Outgoing, response: ServerResponse): void {
  if (outgoing.cut === 'reset') {
    response.socket?.resetAndDestroy();
    return;
  }
  response.sendDate = false;
  const body = Buffer.from(outgoing.body);
  response.writeHead(outgoing.status, {
    Server: 'local-stripe',
    Date: new Date(sandbox.clock.exact() * 1000).toUTCString(),
    ...outgoing.headers,
    'Content-Length': outgoing.cut === 'truncate' ? Math.floor(body.length / 2) : body.length,
  });
  response.end(outgoing.cut === 'truncate' ? body.subarray(0, Math.floor(body.length / 2)) : body);
}

function read(request: IncomingMessage): Promise<string> {
  const isUpload = String(request.headers['content-type']).startsWith('multipart/form-data');
  const limit = isUpload ? uploadLimit : bodyLimit;
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let size = 0;
    request.on('data', (chunk: Buffer) => {
      size += chunk.length;
      if (size > limit) reject(new Error('body too large'));
      else chunks.push(chunk);
    });
    request.on('end', () => resolve(Buffer.concat(chunks).toString(isUpload ? 'latin1' : 'utf8')));
    request.on('error', reject);
  });
}
