import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { recorder } from './record.js';
import { createDestination } from './resources/event-destinations.js';
import { createEndpoint } from './resources/webhook-endpoints.js';
import { type Sandbox, type SandboxDump } from './sandbox.js';
import { startSandbox } from './server.js';

const usage = `local-stripe: a Stripe on this machine.

  --port N                    port on 127.0.0.1 (12111; 0 takes a free one)
  --key sk_test_…             accept only this secret key (repeatable); default: every sk_test_…
  --webhook-url URL           register this URL at start: a platform endpoint, a Connect endpoint, a thin destination
  --webhook-secret whsec_…    secret of the snapshot endpoints
  --webhook-secret-platform   secret of the platform's own endpoint, when it is to differ
  --webhook-secret-thin       secret of the thin destination
  --thin-events a,b           what the thin destination hears (v2.core.*); * adds a twin of every snapshot event
  --retry-schedule 1,5,20     seconds between delivery attempts
  --settle-ms N               milliseconds until a charge's balance transaction is there (60)
  --record PATH               write every exchange and event to a .jsonl file, or to a file of its own in a folder
  --data FILE                 keep the state in this file
  --exit-with-parent          stop when stdin closes
  --help
`;

const { values: flags } = parseArgs({
  options: {
    port: { type: 'string', default: '12111' },
    key: { type: 'string', multiple: true, default: [] },
    'webhook-url': { type: 'string' },
    'webhook-secret': { type: 'string' },
    'webhook-secret-platform': { type: 'string' },
    'webhook-secret-thin': { type: 'string' },
    'thin-events': { type: 'string', default: 'v2.core.*' },
    'retry-schedule': { type: 'string' },
    'settle-ms': { type: 'string' },
    record: { type: 'string' },
    data: { type: 'string' },
    'exit-with-parent': { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
});

function log(line: string): void {
  process.stderr.write(`local-stripe: ${line}\n`);
}

/** The endpoints of the command line. After a restart with `--data` they are there already. */
function registerEndpoints(sandbox: Sandbox): void {
  const url = flags['webhook-url'];
  if (!url) return;
  const ctx = sandbox.context();
  const known = [...ctx.table('webhook_endpoint').oldestFirst()].some((endpoint) => endpoint.url === url);
  if (known) return;
  const secret = flags['webhook-secret'];
  const platformSecret = flags['webhook-secret-platform'] ?? secret;
  const thin = flags['webhook-secret-thin'];
  if (secret)
    createEndpoint(ctx, { url, enabled_events: ['*'], connect: true, description: 'connected accounts' }, [secret]);
  if (platformSecret)
    createEndpoint(ctx, { url, enabled_events: ['*'], connect: false, description: 'platform' }, [platformSecret]);
  if (thin) {
    const events = flags['thin-events'].split(',').map((name) => name.trim());
    createDestination(
      ctx,
      {
        name: 'thin events',
        type: 'webhook_endpoint',
        event_payload: 'thin',
        enabled_events: events,
        events_from: ['@self', '@accounts'],
        webhook_endpoint: { url },
      },
      [thin],
    );
  }
}

/** Saves at most once in half a second, and when the process ends; the file is replaced in one step. */
function keepIn(file: string, sandbox: Sandbox): () => void {
  let dirty: NodeJS.Timeout | null = null;
  const save = (): void => {
    if (dirty) clearTimeout(dirty);
    dirty = null;
    writeFileSync(`${file}.new`, JSON.stringify(sandbox.dump()), { mode: 0o600 });
    renameSync(`${file}.new`, file);
  };
  sandbox.onChange = () => {
    dirty ??= setTimeout(save, 500);
  };
  return save;
}

function readData(file: string): SandboxDump | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  return JSON.parse(text) as SandboxDump;
}

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(usage);
    return;
  }
  const dump = flags.data ? readData(flags.data) : null;
  const running = await startSandbox({
    port: Number(flags.port),
    keys: flags.key,
    log,
    ...(flags.record && { onExchange: recorder(flags.record) }),
    ...(flags['settle-ms'] && { settleMs: Number(flags['settle-ms']) }),
    ...(flags['retry-schedule'] && { delivery: { retrySchedule: flags['retry-schedule'].split(',').map(Number) } }),
  });
  const { sandbox } = running;
  if (dump) sandbox.load(dump);
  registerEndpoints(sandbox);
  sandbox.onReset = () => registerEndpoints(sandbox);
  const save = flags.data ? keepIn(flags.data, sandbox) : () => undefined;

  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    save();
    void running.stop().then(() => process.exit(0));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  if (flags['exit-with-parent']) {
    process.stdin.on('end', stop);
    process.stdin.on('close', stop);
    process.stdin.resume();
  }
  process.stdout.write(`${JSON.stringify({ url: running.url, platform: sandbox.platform })}\n`);
}

main().catch((error: unknown) => {
  log(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
});
