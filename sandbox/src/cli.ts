import { parseArgs } from 'node:util';
import { type Context } from './context.js';
import { DataFile } from './data-file.js';
import { recorder } from './record.js';
import { createDestination } from './resources/event-destinations.js';
import { createEndpoint, type EndpointState } from './resources/webhook-endpoints.js';
import { type Sandbox } from './sandbox.js';
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

/**
 * The endpoints of the command line. After a restart with `--data` they are there already, under the same ids; they take the URL and the secrets
 * of this start.
 */
function registerEndpoints(sandbox: Sandbox): void {
  const url = flags['webhook-url'];
  if (!url) return;
  const ctx = sandbox.context();
  const secret = flags['webhook-secret'];
  const roles = {
    connect: secret,
    platform: flags['webhook-secret-platform'] ?? secret,
    thin: flags['webhook-secret-thin'],
  };
  const known = ctx.secret<Record<keyof typeof roles, string>>('command line');
  for (const role of ['connect', 'platform', 'thin'] as const) {
    const key = roles[role];
    if (!key) continue;
    const id = known[role];
    const endpoint = id === undefined ? undefined : ctx.table('webhook_endpoint').get(id);
    const destination = id === undefined ? undefined : ctx.table('v2.core.event_destination').get(id);
    if (endpoint) endpoint.url = url;
    if (destination) destination.webhook_endpoint = { url };
    if (endpoint || destination) ctx.secret<EndpointState>(id!).secrets = [key];
    else known[role] = register(ctx, role, url, key);
  }
}

function register(ctx: Context, role: 'connect' | 'platform' | 'thin', url: string, key: string): string {
  if (role !== 'thin') {
    const description = role === 'connect' ? 'connected accounts' : 'platform';
    return createEndpoint(ctx, { url, enabled_events: ['*'], connect: role === 'connect', description }, [key]).id;
  }
  const thin = {
    name: 'thin events',
    type: 'webhook_endpoint' as const,
    event_payload: 'thin' as const,
    enabled_events: flags['thin-events'].split(',').map((name) => name.trim()),
    events_from: ['@self', '@accounts'],
    webhook_endpoint: { url },
  };
  return createDestination(ctx, thin, [key]).id;
}

async function main(): Promise<void> {
  if (flags.help) {
    process.stdout.write(usage);
    return;
  }
  const running = await startSandbox({
    port: Number(flags.port),
    keys: flags.key,
    log,
    ...(flags.record && { onExchange: recorder(flags.record) }),
    ...(flags['settle-ms'] && { settleMs: Number(flags['settle-ms']) }),
    ...(flags['retry-schedule'] && { delivery: { retrySchedule: flags['retry-schedule'].split(',').map(Number) } }),
  });
  const { sandbox } = running;
  const data = flags.data ? new DataFile(flags.data, sandbox) : null;
  data?.read();
  registerEndpoints(sandbox);
  sandbox.onReset = () => registerEndpoints(sandbox);
  data?.follow();

  let stopping = false;
  const stop = (): void => {
    if (stopping) return;
    stopping = true;
    data?.save();
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
  // The server may be listening already.
  process.exit(1);
});
