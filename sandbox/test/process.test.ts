import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Stripe from 'stripe';
import { aListener, type Listener } from './support/stripe.js';

const program = fileURLToPath(new URL('../bin/local-stripe.mjs', import.meta.url));
const started: ChildProcess[] = [];
afterEach(() => {
  for (const child of started.splice(0)) child.kill('SIGKILL');
});

async function start(
  ...flags: string[]
): Promise<{ child: ChildProcess; url: string; stripe: Stripe; stopped: Promise<number | null> }> {
  const child = spawn(process.execPath, [program, '--port', '0', ...flags], { stdio: ['pipe', 'pipe', 'inherit'] });
  started.push(child);
  const stopped = new Promise<number | null>((resolve) => child.on('exit', resolve));
  const line = await new Promise<string>((resolve, reject) => {
    child.stdout.once('data', (data: Buffer) => resolve(data.toString('utf8')));
    child.once('error', reject);
  });
  const { url } = JSON.parse(line) as { url: string };
  const { hostname, port } = new URL(url);
  return {
    child,
    url,
    stopped,
    stripe: new Stripe('sk_test_local_x', { host: hostname, port, protocol: 'http', telemetry: false }),
  };
}

describe('the program', () => {
  let hook: Listener;
  beforeEach(async () => (hook = await aListener()));
  afterEach(() => hook.close());

  test('prints where it listens within half a second, and registers the endpoints it was given', async () => {
    const before = Date.now();
    const { stripe } = await start(
      '--webhook-url',
      hook.url,
      '--webhook-secret',
      'whsec_a',
      '--webhook-secret-platform',
      'whsec_p',
      '--webhook-secret-thin',
      'whsec_t',
    );
    expect(Date.now() - before).toBeLessThan(2_000);
    const { id } = await stripe.accounts.create({ country: 'US', type: 'standard' });
    await stripe.customers.create({});
    await stripe.customers.create({}, { stripeAccount: id });
    await hook.until((posted) => posted.filter(({ body }) => body.includes('customer.created')).length === 2);
    const keys = hook.posted
      .filter(({ body }) => body.includes('customer.created'))
      .map(({ body, signature }) => ['whsec_a', 'whsec_p'].find((key) => verifies(stripe, body, signature, key)));
    expect(keys.sort()).toEqual(['whsec_a', 'whsec_p']);
  });

  test('keeps its state over a restart when it is given a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'local-stripe-'));
    const file = join(folder, 'state.json');
    const first = await start('--data', file);
    const customer = await first.stripe.customers.create({ name: 'kept' }, { idempotencyKey: 'kept' });
    first.child.kill('SIGTERM');
    expect(await first.stopped).toBe(0);
    const second = await start('--data', file);
    expect(await second.stripe.customers.retrieve(customer.id)).toMatchObject({ name: 'kept' });
    expect((await second.stripe.customers.create({ name: 'kept' }, { idempotencyKey: 'kept' })).id).toBe(customer.id);
    await rm(folder, { recursive: true });
  });

  test('keeps what was written when it is killed, and goes on where it was: clock, due work, deliveries', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'local-stripe-'));
    const file = join(folder, 'state.json');
    const flags = ['--data', file, '--webhook-url', hook.url, '--retry-schedule', '30', '--webhook-secret'];
    const first = await start(...flags, 'whsec_old');
    const { id: account } = await first.stripe.accounts.create({ country: 'US', type: 'standard' });
    const own = { stripeAccount: account };
    const control = (url: string, path: string, body: object) =>
      fetch(`${url}/_control${path}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      }).then((response) => response.json() as Promise<{ now: number }>);
    await control(first.url, `/accounts/${account}/onboard`, {});
    await control(first.url, '/advance', { seconds: 40 * 86_400 });
    await control(first.url, '/deliveries/hold', {});
    const intent = await first.stripe.paymentIntents.create(
      {
        amount: 1000,
        currency: 'usd',
        payment_method: 'pm_card_visa',
        confirm: true,
        automatic_payment_methods: { enabled: true, allow_redirects: 'never' },
      },
      own,
    );
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    hook.posted.splice(0);
    first.child.kill('SIGKILL');
    await first.stopped;
    // What was being written aside at that moment is of no interest.
    await writeFile(`${file}.new`, '{"kind":"sandbox","for');
    const second = await start(...flags, 'whsec_new');
    expect(await second.stripe.paymentIntents.retrieve(intent.id, {}, own)).toMatchObject({ status: 'succeeded' });
    const now = await control(second.url, '/advance', { seconds: 3 * 86_400 });
    expect(now.now).toBeGreaterThan(Date.now() / 1000 + 42 * 86_400);
    expect((await second.stripe.payouts.list({}, own)).data).toMatchObject([{ amount: 941 }]);
    await control(second.url, '/deliveries/release', {});
    await hook.until(() => hook.types().includes('payout.paid') && hook.types().includes('payment_intent.succeeded'));
    const paid = hook.posted.find(({ body }) => body.includes('payout.paid'))!;
    expect(verifies(second.stripe, paid.body, paid.signature, 'whsec_new')).toBe(true);
    expect((await second.stripe.webhookEndpoints.list()).data).toHaveLength(2);
    await rm(folder, { recursive: true });
  });

  test('refuses a file that is not its own, and leaves it alone', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'local-stripe-'));
    const file = join(folder, 'state.json');
    for (const text of ['hello', '{"kind":"sandbox","format":1,"platform":"acct_1","offset":0,"due":[]}\n']) {
      await writeFile(file, text);
      const child = spawn(process.execPath, [program, '--port', '0', '--data', file], { stdio: 'pipe' });
      started.push(child);
      expect(await new Promise((resolve) => child.on('exit', resolve))).toBe(1);
      expect(await readFile(file, 'utf8')).toBe(text);
    }
    await rm(folder, { recursive: true });
  });

  test('ends with its parent when asked to', async () => {
    const { child, stopped } = await start('--exit-with-parent');
    child.stdin!.end();
    expect(await stopped).toBe(0);
  });

  test('says what is wrong with a flag and exits', async () => {
    const child = spawn(process.execPath, [program, '--nonsense'], { stdio: 'pipe' });
    started.push(child);
    expect(await new Promise((resolve) => child.on('exit', resolve))).not.toBe(0);
  });
});

function verifies(stripe: Stripe, body: string, signature: string, key: string): boolean {
  try {
    stripe.webhooks.constructEvent(body, signature, key);
    return true;
  } catch {
    return false;
  }
}
