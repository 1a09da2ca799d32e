import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { root } from '../../dev/local-directory.js';
import { aPort } from './port.js';
import { programEnvironment } from './program.js';
import { until } from './until.js';

/** The built server as an operating system process, for tests that kill it. */
export interface ServerProcess {
  readonly url: string;
  readonly pid: number;
  /** What it has logged so far, line by line. */
  readonly log: readonly string[];
  /** How it ended. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  kill(signal?: NodeJS.Signals): void;
  /** SIGTERM, and waits until it has gone. */
  stop(): Promise<void>;
}

/**
 * Starts `dist/bin/main.js` and waits until it is ready.
 * @param env all of its settings, as `TestApp.env` has them; `PORT` is chosen anew unless `keepPort`
 * @throws Error with its log when it ends before it is ready
 */
export async function startServerProcess(
  env: Record<string, string>,
  { keepPort = false, awaitReady = true } = {},
): Promise<ServerProcess> {
  const port = keepPort ? Number(env.PORT) : await aPort();
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(process.execPath, [join(root, 'dist/bin/main.js')], {
    env: { ...programEnvironment, ...env, PORT: String(port) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const log: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    createInterface({ input: stream }).on('line', (line) => log.push(line));
  }
  let over = false;
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((done) => {
    child.once('close', (code, signal) => {
      over = true;
      done({ code, signal });
    });
  });
  const server: ServerProcess = {
    url,
    pid: child.pid!,
    log,
    ended,
    kill: (signal = 'SIGKILL') => void child.kill(signal),
    stop: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
  if (!awaitReady) return server;
  try {
    await until(
      async () => {
        if (over) throw new Error(`The server ended before it was ready:\n${log.join('\n')}`);
        return (await fetch(`${url}/readyz`).catch(() => null))?.ok ?? false;
      },
      'the server is ready',
      120_000,
    );
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
  return server;
}
