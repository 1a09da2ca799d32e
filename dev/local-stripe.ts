import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from './local-directory.js';

export interface LocalStripeOptions {
  /** 0 takes a free one. */
  readonly port: number;
  readonly secretKey: string;
  readonly webhookUrl: string;
  readonly webhookSecrets: { readonly snapshot: string; readonly thin: string };
  /** Keeps its state in this file. Without it, the state ends with the process. */
  readonly dataFile?: string;
  /** Writes every exchange there, to be checked against Stripe's types. */
  readonly record?: string;
  /** More of its flags, see sandbox/README.md. */
  readonly flags?: readonly string[];
  /** Takes what it has to say, line by line. */
  readonly log?: (line: string) => void;
}

export interface LocalStripe {
  readonly url: string;
  readonly pid: number;
  /** Resolves when it ends, whatever the reason. */
  readonly ended: Promise<void>;
  /** Asks it to save and go, and waits until it has. */
  stop(): Promise<void>;
}

/**
 * Starts the local Stripe as a process of its own. It goes when this process does, whatever ends it: it watches its stdin.
 * @throws Error with its last words when it does not come up
 */
export async function startLocalStripe(options: LocalStripeOptions): Promise<LocalStripe> {
  const args = [
    ...['--port', String(options.port), '--key', options.secretKey, '--webhook-url', options.webhookUrl],
    ...['--webhook-secret', options.webhookSecrets.snapshot, '--webhook-secret-thin', options.webhookSecrets.thin],
    ...(options.dataFile ? ['--data', options.dataFile] : []),
    ...(options.record ? ['--record', options.record] : []),
    ...(options.flags ?? []),
    '--exit-with-parent',
  ];
  const program = join(root, 'sandbox/bin/local-stripe.mjs');
  if (!existsSync(program)) throw new Error(`${program} is missing.`);
  const child = spawn(process.execPath, ['--enable-source-maps', program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH },
    // Ctrl-C is for us: the server must have stopped before what it talks to.
    detached: process.platform !== 'win32',
  });
  child.stdin.on('error', () => undefined);
  const ended = new Promise<void>((done) => child.once('close', () => done()));

  const lastWords: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lastWords.push(line);
    lastWords.splice(0, lastWords.length - 20);
    options.log?.(line);
  });
  const url = await new Promise<string>((done, fail) => {
    child.once('error', fail);
    createInterface({ input: child.stdout }).once('line', (line) => done((JSON.parse(line) as { url: string }).url));
    void ended.then(() => fail(new Error(`The local Stripe did not start:\n${lastWords.join('\n')}`)));
  });
  const stop = async () => {
    child.stdin.end();
    const late = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await ended;
    clearTimeout(late);
  };
  return { url, pid: child.pid!, ended, stop };
}
