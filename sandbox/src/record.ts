import { mkdirSync, openSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Incoming, type Outgoing, readParams } from './api.js';
import { randomText } from './ids.js';

/** A request with its answer, decoded: what {@link SandboxOptions.onExchange} is told. */
export interface Exchange {
  method: string;
  path: string;
  params: Record<string, unknown>;
  version?: string;
  /** Made with a publishable key, as Stripe.js does: other parameters, and answers that show less. */
  publishable?: true;
  status: number;
  /** Text where it is no JSON. */
  body: unknown;
}

/** An event at the moment it was made, whether or not anybody subscribed to it. */
interface Happening {
  event: unknown;
}

export type Observer = (record: Exchange | Happening) => void;

/**
 * Writes records as JSON lines. At once and not buffered: a sandbox that is killed in a crash test leaves what it did.
 *
 * @param path a file; or a folder, and then each sandbox writes a file of its own there
 */
export function recorder(path: string): Observer {
  const isFolder = !path.endsWith('.jsonl') || statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  const file = isFolder ? join(path, `${process.pid}-${randomText(6)}.jsonl`) : path;
  let fd: number | null = null;
  return (record) => {
    if (fd === null) {
      mkdirSync(dirname(file), { recursive: true });
      fd = openSync(file, 'a');
    }
    writeSync(fd, `${JSON.stringify(record)}\n`);
  };
}

/** What passed, for an observer. An answer that was cut on the way is shown whole. */
export function exchangeOf(incoming: Incoming, outgoing: Outgoing): Exchange {
  const [path = '', query = ''] = incoming.url.split('?', 2);
  const params = outgoing.status >= 400 ? {} : readParams(incoming, path, query);
  const key = params['key'] ?? incoming.headers.authorization?.replace('Bearer ', '');
  return {
    method: incoming.method,
    path,
    params,
    ...(outgoing.headers['Stripe-Version'] && { version: outgoing.headers['Stripe-Version'] }),
    ...(typeof key === 'string' && key.startsWith('pk_') && { publishable: true }),
    status: outgoing.status,
    body: parsed(outgoing.body.toString()),
  };
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return body;
  }
}
