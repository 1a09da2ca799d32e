import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { deliver } from '../webhooks/stage.js';
import { random } from './dose.js';
import { testProgram } from '../support/program.js';

/** A receiver, a worker or both, as an operating system process that can be killed. */
export interface Victim {
  readonly child: ChildProcess;
  readonly url: string;
  readonly ended: Promise<unknown>;
}

/** All that were started, so that none outlives its test. */
export class Victims {
  private readonly children: ChildProcess[] = [];

  /** @param databaseUrl the runtime role's; for the negative controls, anybody's who may write */
  constructor(
    private readonly databaseUrl: string,
    private readonly script = 'worker-process.mjs',
  ) {}

  async start(env: Record<string, string> = {}): Promise<Victim> {
    const script = testProgram(new URL(this.script, import.meta.url));
    const child = spawn(process.execPath, [script], {
      env: { ...process.env, DATABASE_URL: this.databaseUrl, ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    this.children.push(child);
    const ended = once(child, 'exit');
    const [port] = (await Promise.race([
      once(child.stdout, 'data'),
      ended.then(() => {
        throw new Error('The process ended before it listened.');
      }),
    ])) as [Buffer];
    return { child, url: `http://127.0.0.1:${String(port).trim()}/api/stripe/webhook`, ended };
  }

  killAll(): void {
    for (const child of this.children) child.kill('SIGKILL');
  }
}

/** A receiver is killed and started again while somebody delivers. */
export interface Target {
  url: string;
}

/**
 * Delivers events as Stripe does: until each is answered 2xx, with a fifth of them twice, out of order and eight at a time.
 * @returns the ids that were answered 2xx
 */
export async function deliverAll(
  target: Target,
  events: readonly { readonly id: string }[],
  onAnswer: (answers: number) => void = () => undefined,
): Promise<Set<string>> {
  let answers = 0;
  const answered = new Set<string>();
  const all = [...events, ...events.filter(() => random() < 0.2)];
  const waiting = all.map((event) => ({ event, at: random() })).sort((a, b) => a.at - b.at);
  const send = async () => {
    for (let next = waiting.pop(); next; next = waiting.pop()) {
      try {
        if ((await deliver(target.url, next.event)).status === 200) {
          answered.add(next.event.id);
          onAnswer(++answers);
        } else waiting.unshift(next);
      } catch {
        waiting.unshift(next);
        await sleep(20);
      }
    }
  };
  await Promise.all(Array.from({ length: 8 }, send));
  return answered;
}
