import { type ChildProcess, spawn } from 'node:child_process';
import { programEnvironment, testProgram } from './program.js';

/** How a process ended that was to carry out one request. */
export interface Ended {
  readonly signal: NodeJS.Signals | null;
  /** Null: it died before there was one. */
  readonly answer: Record<string, string> | null;
}

/** Processes of a script that carry out one request each, to be killed meanwhile. The next one loads its code while the last one works. */
export interface OneRequestProcesses {
  /** @param failpoint where it dies, see `failpoint.ts` */
  ask(settings: object, failpoint?: string): Promise<Ended>;
  stop(): Promise<void>;
}

/** @param script reads `{ failpoint, ...settings }` as JSON from its input, and writes its answer as JSON; nothing to read: it ends */
export function oneRequestProcesses(script: URL): OneRequestProcesses {
  const start = () => {
    const child = spawn(process.execPath, [testProgram(script)], {
      env: programEnvironment,
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    // One that dies before it was asked says so by how it ends.
    child.stdin.on('error', () => undefined);
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
    const ended = new Promise<Ended>((done) =>
      child.once('close', (_code, signal) => done({ signal, answer: out ? JSON.parse(out) : null })),
    );
    return { child: child as ChildProcess, ended };
  };
  let next = start();
  return {
    ask(settings, failpoint) {
      const { child, ended } = next;
      child.stdin!.end(JSON.stringify({ ...settings, failpoint }));
      next = start();
      return ended;
    },
    async stop() {
      next.child.stdin!.end();
      await next.ended;
    },
  };
}
