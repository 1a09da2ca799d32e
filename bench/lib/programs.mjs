import { fork, spawn } from 'node:child_process';
import { createWriteStream, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { bench, benchDirectory, serverRoot } from './paths.mjs';

const running = new Set();

/** Ends every process that was started here. */
export async function stopAll() {
  await Promise.all([...running].map((program) => program.stop()));
}

/** One process under measurement. */
class Program {
  constructor(name, child, url) {
    this.name = name;
    this.child = child;
    this.pid = child.pid;
    this.url = url;
    this.ended = new Promise((resolve) => child.once('exit', resolve));
    running.add(this);
  }

  async stop() {
    running.delete(this);
    if (this.child.exitCode !== null || this.child.signalCode) return;
    this.child.kill('SIGTERM');
    const late = setTimeout(() => this.child.kill('SIGKILL'), 15_000);
    await this.ended;
    clearTimeout(late);
  }
}

/**
 * Starts a server and waits until it answers.
 * @param file to be run by node
 * @param probe path that answers below 500 when it is ready
 */
export async function startServer({ name, file, env, port, probe, nodeArgs = [] }) {
  const log = createWriteStream(join(benchDirectory, `${name}.log`));
  const child = spawn(process.execPath, [...nodeArgs, file], {
    env: { PATH: process.env.PATH, NODE_ENV: 'production', PORT: String(port), ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stdout.pipe(log);
  child.stderr.pipe(log, { end: false });
  const program = new Program(name, child, `http://127.0.0.1:${port}`);
  let over = false;
  void program.ended.then(() => (over = true));
  for (const deadline = Date.now() + 60_000; ; await sleep(10)) {
    if (over || Date.now() > deadline) throw new Error(`${name} did not start; see ${log.path}`);
    const status = await fetch(program.url + probe, { signal: AbortSignal.timeout(2_000) }).then(
      (response) => response.status,
      () => 0,
    );
    if (status && status < 500) return program;
  }
}

const secrets = {
  webhook: 'whsec_bench_0123456789abcdef0123456789',
  jwt: { secret: 'only-for-benchmarks-0123456789abcdef', issuer: 'https://psa.bench', audience: 'psa-payments' },
};
export { secrets };

/** What `npm start` gives to node; BENCH_NODE_FLAGS to try others. */
const { start } = JSON.parse(readFileSync(join(serverRoot, 'package.json'), 'utf8')).scripts;
const flags = (process.env.BENCH_NODE_FLAGS ?? start.match(/(?<=exec node )(--\S+ )*/)[0]).split(' ').filter(Boolean);

/** Our own server, as it is built, with the settings of production; only one tenant's share of requests is not limited. */
export async function startOurs({ name = 'ours', databaseUrl, env = {}, nodeArgs = [] }) {
  const port = await freePort();
  return startServer({
    name,
    file: join(serverRoot, 'dist/bin/main.js'),
    port,
    probe: '/readyz',
    nodeArgs: [...flags, ...nodeArgs],
    env: {
      HOST: '127.0.0.1',
      METRICS_PORT: '0',
      // The others write no line per request either.
      LOG_LEVEL: 'warn',
      DATABASE_URL: databaseUrl,
      STRIPE_TEST_SECRET_KEY: 'sk_test_local_bench',
      STRIPE_TEST_PUBLISHABLE_KEY: 'pk_test_local_bench',
      // Nobody listens there: nothing that is measured may have to ask Stripe.
      STRIPE_API_BASE: 'http://127.0.0.1:9',
      STRIPE_WEBHOOK_SECRET: secrets.webhook,
      JWT_SECRET: secrets.jwt.secret,
      JWT_ISSUER: secrets.jwt.issuer,
      JWT_AUDIENCE: secrets.jwt.audience,
      RATE_LIMIT_PER_MINUTE: '1000000',
      ...env,
    },
  });
}

/** A peer: a file of servers/ that listens on PORT. */
export async function startPeer(name, env, probe = '/') {
  return startServer({ name, file: join(bench, 'servers', `${name}.mjs`), port: await freePort(), probe, env });
}

/** The load generator, a process of its own: what it costs must not slow down what it measures. */
export class Load {
  constructor() {
    this.child = fork(join(bench, 'lib/load.mjs'), { serialization: 'advanced' });
    this.program = new Program('load', this.child, '');
    void this.program.ended.then(() => this.fail?.(new Error('The load generator has ended.')));
  }

  /** @param job see load.mjs @returns what it measured */
  run(job) {
    return new Promise((resolve, reject) => {
      this.fail = reject;
      this.child.once('message', (answer) => (answer.error ? reject(new Error(answer.error)) : resolve(answer)));
      this.child.send(job);
    });
  }

  stop() {
    return this.program.stop();
  }
}

export function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}
