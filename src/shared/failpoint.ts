/** The named places where a process can be made to die, so that a test can show what survives. See docs/adr. */
const failpoints = [
  'command.before-insert',
  'command.after-insert',
  'command.after-find',
  'command.after-stripe',
  'command.in-apply',
  'command.after-apply',
  'inbox.before-insert',
  'inbox.after-insert',
  'worker.after-claim',
  'worker.after-fetch',
  'worker.in-transaction',
  'worker.after-settle',
  'worker.after-commit',
  'dunning.after-claim',
  'dunning.after-attempt',
  'dunning.after-record',
  'mail.after-claim',
  'mail.after-send',
  'webhook-endpoint.before-send',
  'webhook-endpoint.after-send',
  'ledger.in-import',
  'ledger.after-page',
  'payout.after-record',
  'payout.before-arrival',
] as const;

export type Failpoint = (typeof failpoints)[number];

const armed: { name: string; countdown: number } | null = parse(process.env.FAILPOINT);

/**
 * Kills the process with SIGKILL where `FAILPOINT=<name>[:<nth time>]` says so; otherwise does nothing. A kill, not an exception:
 * nothing gets the chance to tidy up, as in a power cut.
 */
export function failpoint(name: Failpoint): void {
  if (armed?.name !== name || --armed.countdown > 0) return;
  process.kill(process.pid, 'SIGKILL');
  // The signal is asynchronous; not one more instruction of the caller may run.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

function parse(setting: string | undefined): typeof armed {
  if (!setting) return null;
  const [name = '', nth = '1'] = setting.split(':');
  if (!(failpoints as readonly string[]).includes(name)) throw new Error(`FAILPOINT names no failpoint: ${name}`);
  return { name, countdown: Number(nth) };
}
