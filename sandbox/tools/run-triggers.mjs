/**
 * Runs every script of `stripe trigger` against the local Stripe, on the platform and on a connected account, and prints what
 * came of it. Exits with 1 if a script failed that uses nothing but calls the local Stripe means to serve.
 *
 *   npm run triggers -w local-stripe [-- --api-base http://127.0.0.1:12111] [EVENT…]
 *
 * Without `--api-base` it starts a local Stripe of its own (built: `npm run build`).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { ensureSchemas } from './schemas.mjs';
import { StripeCli } from './stripe-cli.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { 'api-base': { type: 'string' } },
});
const apiKey = 'sk_test_local_triggers';

/** @returns the process and the URL that it announces on its first line */
async function startLocalStripe() {
  const bin = join(dirname(fileURLToPath(import.meta.url)), '..', 'bin', 'local-stripe.mjs');
  const child = spawn(process.execPath, [bin, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  for await (const line of createInterface({ input: child.stdout })) {
    const url = /http:\/\/[\w.]+:\d+/.exec(line)?.[0];
    if (url) return { child, url };
  }
  throw new Error('The local Stripe ended without saying where it listens');
}

async function post(path, form) {
  const headers = { authorization: `Bearer ${apiKey}` };
  const response = await fetch(apiBase + path, { method: 'POST', headers, body: new URLSearchParams(form) });
  const body = await response.json();
  if (!response.ok) throw new Error(`POST ${path}: ${JSON.stringify(body)}`);
  return body;
}

/** An account that has been through onboarding, so that it may charge. */
async function connectedAccount() {
  const account = await post('/v1/accounts', { type: 'standard', country: 'US' });
  await post(`/_control/accounts/${account.id}/onboard`, {});
  return account.id;
}

/**
 * Whether the account has seen such an event; some come a moment after the call, so it looks for two seconds. What a script does
 * to an account that it made is told to that account, so for the platform its connected accounts count too.
 */
async function happened(type, account) {
  const get = async (path, of) => {
    const response = await fetch(apiBase + path, {
      headers: { authorization: `Bearer ${apiKey}`, ...(of && { 'stripe-account': of }) },
    });
    return (await response.json()).data ?? [];
  };
  for (const deadline = Date.now() + 2_000; Date.now() < deadline; await setTimeout(100)) {
    const accounts = account ? [account] : [undefined, ...(await get('/v1/accounts?limit=100')).map(({ id }) => id)];
    for (const of of accounts) if ((await get(`/v1/events?type=${type}&limit=1`, of)).length > 0) return true;
  }
  return false;
}

/** Runs a script and looks for the event that it promises. */
async function run(event, account) {
  const result = await cli.trigger(event, { apiBase, apiKey, account });
  // Only a platform makes accounts, so there is nothing to be seen with --stripe-account.
  if (account && result.calls.includes('POST /v1/accounts')) return { ...result, ok: true };
  // `subscription.payment_failed` and `issuing_card.created.eu` are names of the CLI's own; and from an account that cut the
  // connection nothing can be read any more.
  const visible = knownEvents.has(event) && event !== 'account.application.deauthorized';
  if (!result.ok || result.unserved.length > 0 || !visible) return result;
  if (await happened(event, account)) return result;
  return { ...result, ok: false, reason: 'all calls went well, but there is no such event' };
}

const knownEvents = new Set(Object.keys(JSON.parse(readFileSync(ensureSchemas(), 'utf8')).events));
const own = values['api-base'] ? undefined : await startLocalStripe();
const apiBase = values['api-base'] ?? own.url;
const cli = new StripeCli();
let failed = 0;
try {
  const account = await connectedAccount();
  const events = positionals.length > 0 ? positionals : await cli.events();
  const rows = [];
  for (const event of events) {
    // Both at once: the scripts share nothing, and this halves the wait.
    const [platform, connected] = await Promise.all([run(event), run(event, account)]);
    rows.push({ event, platform, connected });
    console.log(`${event.padEnd(52)} ${mark(platform)} ${mark(connected)}`);
  }
  const within = rows.filter(({ platform }) => platform.unserved.length === 0);
  const broken = within.filter(({ platform, connected }) => !platform.ok || !connected.ok);
  const outside = rows.filter((row) => !within.includes(row));
  console.log(
    `\n${within.length - broken.length} of ${within.length} scripts within the served calls run on both accounts.`,
  );
  for (const { event, platform, connected } of broken) {
    console.log(`  ${event}`);
    if (!platform.ok) console.log(`    on the platform: ${platform.reason}`);
    if (!connected.ok && connected.reason !== platform.reason)
      console.log(`    with --stripe-account: ${connected.reason}`);
  }
  console.log(`${outside.length} need calls that are not served:`);
  for (const { event, platform } of outside) {
    console.log(`  ${event.padEnd(52)} ${platform.ok ? '(runs all the same) ' : ''}${platform.unserved.join(', ')}`);
  }
  failed = broken.length;
} finally {
  cli.close();
  if (own) {
    own.child.kill();
    await once(own.child, 'exit');
  }
}
process.exitCode = failed > 0 ? 1 : 0;

function mark({ ok, unserved }) {
  if (ok) return 'ok  ';
  return unserved.length > 0 ? '-   ' : 'FAIL';
}
