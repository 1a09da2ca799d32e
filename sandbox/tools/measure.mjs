/**
 * What the local Stripe costs, measured from outside on the built program: how fast it starts, how much CPU a payment takes, how much
 * memory many objects need, how long a large state takes to come back.
 *
 *   npm run build && npm run measure -w local-stripe [-- --payments 2500 --check]
 *
 * With `--check` it exits with 1 when a figure is beyond what the README promises.
 */
import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({
  options: { payments: { type: 'string', default: '2500' }, check: { type: 'boolean', default: false } },
});
const payments = Number(flags.payments);
const limits = { startMs: 500, cpuMs: 1, memoryMb: 300 };
const program = join(dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'local-stripe.mjs');
const agent = new Agent({ keepAlive: true, maxSockets: 8 });

async function start(...args) {
  const began = performance.now();
  const child = spawn(process.execPath, [program, '--port', '0', ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = await once(child.stdout, 'data');
  const { url } = JSON.parse(line.toString());
  return { child, url, ms: performance.now() - began };
}

async function stop({ child }) {
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
}

/** CPU time the process has used, milliseconds; Linux counts it in hundredths of a second. */
const cpuOf = ({ child }) => {
  const fields = readFileSync(`/proc/${child.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * 10;
};
const memoryOf = ({ child }) =>
  Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))[1]) / 1024;

function post(url, path, form, account) {
  const body = new URLSearchParams(form).toString();
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: 'Bearer sk_test_local_measure',
      'idempotency-key': randomUUID(),
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': Buffer.byteLength(body),
      ...(account && { 'stripe-account': account }),
    };
    const outgoing = request(url + path, { method: 'POST', agent, headers }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (part) => (text += part));
      response.on('end', () =>
        response.statusCode === 200 ? resolve(JSON.parse(text)) : reject(new Error(`${path}: ${text}`)),
      );
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** `work` for 0…n-1, eight at a time. */
async function many(n, work) {
  let next = 0;
  await Promise.all(
    Array.from({ length: 8 }, async () => {
      while (next < n) await work(next++);
    }),
  );
}

const card = {
  amount: '2000',
  currency: 'usd',
  payment_method: 'pm_card_visa',
  'automatic_payment_methods[enabled]': 'true',
  'automatic_payment_methods[allow_redirects]': 'never',
};

const starts = [];
for (let i = 0; i < 5; i++) {
  const running = await start();
  starts.push(running.ms);
  await stop(running);
}

const folder = mkdtempSync(join(tmpdir(), 'local-stripe-measure-'));
const results = [];
try {
  const running = await start();
  const { url } = running;
  const { id: account } = await post(url, '/v1/accounts', { type: 'standard', country: 'US' });
  await post(url, `/_control/accounts/${account}/onboard`, {});
  const pay = () =>
    post(url, '/v1/payment_intents', { ...card, confirm: 'true', application_fee_amount: '100' }, account);
  await many(500, pay); // the compiler warms up
  const before = cpuOf(running);
  await many(payments, pay);
  await setTimeout(300); // settlement
  const cpu = (cpuOf(running) - before) / payments;
  const twice = cpuOf(running);
  await many(payments, async () => {
    const { id } = await post(url, '/v1/payment_intents', card, account);
    await post(url, `/v1/payment_intents/${id}/confirm`, {}, account);
  });
  await setTimeout(300);
  const cpuTwice = (cpuOf(running) - twice) / payments;
  const state = await (await fetch(`${url}/_control/state`)).json();
  const objects = state.accounts.flatMap(({ counts }) => Object.values(counts)).reduce((sum, count) => sum + count, 0);
  results.push(
    ['started, best of five', Math.min(...starts), 'ms', limits.startMs],
    ['payment in one request, with fee, events and settlement', cpu, 'ms CPU', limits.cpuMs],
    ['payment created, then confirmed', cpuTwice, 'ms CPU', limits.cpuMs],
    [
      `memory with ${objects.toLocaleString('en')} objects, events among them`,
      memoryOf(running),
      'MB',
      limits.memoryMb,
    ],
  );
  await stop(running);

  const file = join(folder, 'state.json');
  const first = await start('--data', file);
  await many(payments, () => post(first.url, '/v1/payment_intents', { ...card, confirm: 'true' }));
  await stop(first);
  const second = await start('--data', file);
  results.push([
    `started with ${Math.round(statSync(file).size / 1e6)} MB of state (${payments} payments)`,
    second.ms,
    'ms',
    null,
  ]);
  await stop(second);
} finally {
  agent.destroy();
  rmSync(folder, { recursive: true, force: true });
}

let beyond = 0;
for (const [name, value, unit, limit] of results) {
  const isBeyond = limit !== null && value > limit;
  if (isBeyond) beyond++;
  console.log(
    `${name.padEnd(70)} ${value.toFixed(value < 10 ? 2 : 0).padStart(7)} ${unit}${limit === null ? '' : `  (at most ${limit})`}${isBeyond ? '  TOO MUCH' : ''}`,
  );
}
process.exitCode = flags.check && beyond > 0 ? 1 : 0;
