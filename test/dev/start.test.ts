import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdtemp, readFile, rm, stat, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { graphql } from '../../dev/api-client.js';
import { type DevFile } from '../../dev/dev-file.js';
import { root } from '../../dev/local-directory.js';
import { freePort } from '../../dev/postgres.js';
import { isAlive } from '../../dev/processes.js';
import { until } from '../support/until.js';

/** A checkout of its own, so that nobody's `.local/` is touched. Only what npm installed is shared. */
let checkout: string;
let ports: Record<'PORT' | 'SANDBOX_PORT' | 'METRICS_PORT', string>;
const started: Npm[] = [];

beforeAll(async () => {
  checkout = await mkdtemp(join(tmpdir(), 'psa-checkout-'));
  await chmod(checkout, 0o755); // as root, PostgreSQL runs as somebody who has to get through
  for (const part of ['package.json', 'mikro-orm.config.ts', 'scripts', 'src', 'dev', 'dist', 'sandbox']) {
    await cp(join(root, part), join(checkout, part), { recursive: true, preserveTimestamps: true });
  }
  await symlink(join(root, 'node_modules'), join(checkout, 'node_modules'));
  const free = await freePort(20_000 + Math.floor(Math.random() * 10_000));
  ports = { PORT: String(free), SANDBOX_PORT: String(free + 1), METRICS_PORT: String(free + 2) };
});
afterEach(async () => {
  for (const npm of started.splice(0)) {
    npm.kill('SIGTERM');
    await npm.ended;
  }
});
afterAll(() => rm(checkout, { recursive: true, force: true }));

interface Npm {
  readonly output: () => string;
  readonly ended: Promise<number | null>;
  kill(signal: NodeJS.Signals): void;
  /** npm itself and everything below it. */
  family(): number[];
}

function npm(script: string, env: Record<string, string> = {}): Npm {
  const child: ChildProcess = spawn('npm', ['run', script], {
    cwd: checkout,
    // Nothing configured but where it may listen; nothing of this test's own environment.
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...ports, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout!, child.stderr!])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const running: Npm = {
    output: () => output,
    ended: new Promise((done) => child.once('close', done)),
    kill: (signal) => void child.kill(signal),
    family: () => descendants(child.pid!),
  };
  started.push(running);
  return running;
}

function descendants(pid: number): number[] {
  const lines = spawnSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' }).stdout.trim().split('\n');
  const parents = lines.map((line) => line.trim().split(/\s+/).map(Number) as [number, number]);
  const below = (id: number): number[] => [
    id,
    ...parents.filter(([, parent]) => parent === id).flatMap(([child]) => below(child)),
  ];
  return below(pid);
}

const devFile = () => join(checkout, '.local/dev.json');
async function ready(start: Npm): Promise<DevFile> {
  await until(
    () => {
      if (/npm error|^\s+at /m.test(start.output())) throw new Error(start.output());
      return existsSync(devFile()) && start.output().includes('Next: npm run demo');
    },
    `npm start has come up:\n${start.output()}`,
    120_000,
  );
  return JSON.parse(await readFile(devFile(), 'utf8')) as DevFile;
}

async function accounts(dev: DevFile): Promise<unknown[]> {
  return Promise.all(
    dev.tokens.tenants.map(async ({ viewer }) => {
      const query = '{ stripeConfig { stripeAccountId onboarding } }';
      return (await graphql<{ stripeConfig: unknown }>(dev.graphqlUrl, viewer, query)).stripeConfig;
    }),
  );
}

test('npm start brings everything up, survives kill −9, walks through npm run demo, and SIGTERM leaves nothing behind', async () => {
  const first = npm('start');
  const dev = await ready(first);

  // What a newcomer and a program need.
  expect(Object.keys(dev)).toEqual([
    'graphqlUrl',
    'webhookUrl',
    'sandboxUrl',
    'databaseUrl',
    'publishableKey',
    'webhookSecrets',
    'tokens',
    'inboxUrl',
  ]);
  expect((await stat(devFile())).mode & 0o777).toBe(0o600);
  expect(first.output()).toContain(dev.graphqlUrl);
  expect(first.output()).toContain(dev.tokens.tenants[0]!.admin);
  const before = await accounts(dev);
  expect(before).toEqual([
    { stripeAccountId: expect.stringMatching(/^acct_/), onboarding: 'ACTIVE' },
    { stripeAccountId: expect.stringMatching(/^acct_/), onboarding: 'IN_PROGRESS' },
    null,
  ]);

  // A second one would stop the first one's database.
  const second = npm('start');
  expect(await second.ended).not.toBe(0);
  expect(second.output()).toMatch(/It is running already/);

  // kill −9 of all that npm started, as an out-of-memory killer might.
  const killed = first.family();
  for (const pid of killed.slice(1)) if (isAlive(pid)) process.kill(pid, 'SIGKILL');
  await first.ended;

  const third = npm('start');
  const again = await ready(third);
  expect(await accounts(again)).toEqual(before);
  expect(again.webhookSecrets).toEqual(dev.webhookSecrets);

  const demo = npm('demo');
  const code = await demo.ended;
  expect(demo.output()).toMatch(/paid by the customer\s+USD 100\.00/);
  expect(demo.output()).toMatch(/Stripe's fee\s+USD 3\.20/);
  expect(demo.output()).toMatch(/the platform's fee\s+USD 2\.50/);
  expect(demo.output()).toMatch(/the tenant receives\s+USD 94\.30/);
  expect(demo.output()).toMatch(/"Receipt from .+" to .+@.+, with receipt-.+\.pdf/);
  expect(code).toBe(0);

  const family = third.family();
  expect(family.length).toBeGreaterThan(4); // npm, the server, the local Stripe, PostgreSQL and its helpers
  third.kill('SIGTERM');
  await third.ended;
  await until(() => family.every((pid) => !isAlive(pid)), 'no process is left');
  expect(existsSync(devFile())).toBe(false);
});

test('when a port is taken the next free one is used, and said', async () => {
  const blocker = createServer().listen(Number(ports.PORT), '127.0.0.1');
  try {
    const start = npm('start');
    const dev = await ready(start);
    expect(start.output()).toContain(`Port ${ports.PORT} is taken; the API uses`);
    expect(new URL(dev.graphqlUrl).port).not.toBe(ports.PORT);
    await expect(accounts(dev)).resolves.toHaveLength(3);
  } finally {
    blocker.close();
  }
});

test('npm run demo says what to do when nothing runs', async () => {
  const demo = npm('demo');
  expect(await demo.ended).not.toBe(0);
  expect(demo.output()).toMatch(/Start it first, in another terminal: npm start/);
});

test('in production nothing is embedded, and what is missing is named', async () => {
  const start = npm('start', { NODE_ENV: 'production' });
  expect(await start.ended).not.toBe(0);
  expect(start.output()).toMatch(/DATABASE_URL must be/);
  expect(start.output()).toMatch(/STRIPE_TEST_SECRET_KEY must be set/);
});
